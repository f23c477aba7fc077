// Signs in as the demo expert and judges tasks with the keyboard alone, while a second window watches the leaderboard change by itself.
// Then every page is scanned with axe, light and dark.
//   node judge.mjs http://localhost:8002 [FOLDER FOR PICTURES]
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const [base, pictures] = process.argv.slice(2);
if (!base) { console.error('usage: judge.mjs BASE_URL [FOLDER]'); process.exit(2); }
const [email, password] = ['expert@endcap.example', 'expert-of-the-demo'];
const axe = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TIMEOUT = 15_000;
const JUDGMENTS = 3;

function check(condition, words) {
  if (!condition) throw new Error(words);
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
});
const troubles = [];
function watch(page) {
  page.setDefaultTimeout(TIMEOUT);
  page.on('console', (message) => { if (message.type() === 'error') troubles.push(`console on ${page.url()}: ${message.text()}`); });
  page.on('pageerror', (error) => troubles.push(`script on ${page.url()}: ${error}`));
  page.on('response', (response) => { if (response.status() >= 400) troubles.push(`${response.status()} ${response.request().method()} ${response.url()}`); });
  return page;
}

async function scan(page, name) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    // Colours fade from one scheme to the other; what is measured is where they end.
    await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
    await page.evaluate(() => Promise.allSettled(document.getAnimations().map((animation) => animation.finished)));
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] } }));
    for (const one of violations) troubles.push(`axe on ${name} (${colorScheme}): ${one.id}, ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.target.join(' ')).join('; ')}`);
    const sideways = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    if (sideways > 0) troubles.push(`${name} (${colorScheme}) scrolls sideways by ${sideways} px`);
    if (pictures) {
      fs.mkdirSync(pictures, { recursive: true });
      await page.screenshot({ path: path.join(pictures, `${name}-${colorScheme}.png`) });
    }
  }
}

try {
  const context = await browser.newContext({ viewport: { width: 1366, height: 768 } });
  const page = watch(await context.newPage());

  // Sign in: address, Tab, password, Enter.
  await page.goto(`${base}/login`);
  await page.focus('#email');
  await page.keyboard.type(email);
  await page.keyboard.press('Tab');
  await page.keyboard.type(password);
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => !url.pathname.startsWith('/login'));

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
    if (number === 1) await scan(page, 'rate');
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
    await scan(page, name);
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
