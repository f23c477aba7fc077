// Signs in as the demo expert and judges tasks with the keyboard alone, while a second window watches the leaderboard change by itself.
// Then every page is scanned with axe, light and dark.
//   node judge.mjs http://localhost:8002 [FOLDER FOR PICTURES]
import { DESK, check, launch, scan, signIn, troubleList } from './house.mjs';

const [base, pictures] = process.argv.slice(2);
if (!base) { console.error('usage: judge.mjs BASE_URL [FOLDER]'); process.exit(2); }
const JUDGMENTS = 3;

const browser = await launch();
const { list: troubles, watch } = troubleList();

try {
  const context = await browser.newContext({ viewport: DESK });
  const page = watch(await context.newPage());

  await signIn(page, base, 'expert');
  const me = () => page.evaluate(() => fetch('/v1/raters/me').then((answer) => answer.json()));
  const before = await me();
  check(before.is_calibrated === true, `the demo expert is not calibrated: ${JSON.stringify(before)}`);

  // The second window, which nobody touches from here on.
  const board = watch(await context.newPage());
  await board.goto(`${base}/leaderboard`);
  await board.waitForFunction(() => document.querySelector('[data-words]')?.textContent === 'Live');

  await page.bringToFront();
  await page.goto(`${base}/rate`);
  let lastTitle = null;
  for (let number = 1; number <= JUDGMENTS; number += 1) {
    await page.waitForFunction((last) => document.getElementById('ide').dataset.state === 'task' && document.querySelector('#ide h1').textContent !== last, lastTitle);
    lastTitle = await page.textContent('#ide h1');
    check(await page.evaluate(() => document.documentElement.scrollHeight <= window.innerHeight), 'the Rater IDE scrolls at 1366x768');
    if (number === 1) await scan(page, 'rate', troubles, pictures);
    for (const key of ['1', 'r', '1', 'Escape', 'c', '3', 'Escape', 'Control+Enter']) await page.keyboard.press(key);
    await page.waitForFunction((words) => !words || document.querySelector('#ide h1').textContent !== words || document.getElementById('ide').dataset.state !== 'task', lastTitle);
  }
  const after = await me();
  check(after.total_judgments === before.total_judgments + JUDGMENTS, `${JUDGMENTS} judgments were sent, but the count went from ${before.total_judgments} to ${after.total_judgments}`);

  // The leaderboard in the other window shows it without a reload.
  await board.waitForFunction(([id, count]) => document.querySelector(`[data-key="${id}"] .number`)?.textContent.trim() === String(count), [after.rater_id, after.total_judgments]);

  // Undo takes the last one back.
  await page.waitForSelector('[data-part="undo"]:not([hidden])');
  await page.keyboard.press('z');
  await page.waitForFunction((words) => document.querySelector('#ide h1').textContent === words, lastTitle);
  check((await me()).total_judgments === before.total_judgments + JUDGMENTS - 1, 'undo did not take the judgment back');

  for (const [name, address] of [['home', '/'], ['leaderboard', '/leaderboard'], ['stats', '/stats'], ['review', '/review'], ['calibration', '/calibration'], ['login', '/login']]) {
    await page.goto(base + address);
    await page.waitForLoadState('networkidle');
    await scan(page, name, troubles, pictures);
  }
  check(troubles.length === 0, `found on the way:\n  ${troubles.join('\n  ')}`);
  console.log(`${JUDGMENTS} tasks judged by keyboard, leaderboard followed, 7 pages clean`);
} catch (error) {
  console.error(String(error.message || error));
  if (troubles.length && !String(error).includes('found on the way')) console.error(troubles.join('\n'));
  process.exitCode = 1;
} finally {
  await browser.close();
}
