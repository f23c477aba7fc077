// Reviews an escalated task in a browser with the keyboard alone: own view, the raters' judgments, a decision; then what the rater hears of it.
// The desk is scanned with axe in each of its states, light and dark, on a laptop and on a phone.
//   node review.mjs http://localhost:8002 [FOLDER FOR PICTURES]
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const [base, pictures] = process.argv.slice(2);
if (!base) { console.error('usage: review.mjs BASE_URL [FOLDER]'); process.exit(2); }
const EXPERT = ['expert@endcap.example', 'expert-of-the-demo'], ADMIN = ['admin@endcap.example', 'admin-of-the-demo'];
const axe = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const LAPTOP = { width: 1366, height: 768 }, PHONE = { width: 360, height: 740 };
const WORDS = 'which currency is meant here', QUESTION = 'the context names two budgets';

function check(condition, words) {
  if (!condition) throw new Error(words);
}

async function call(route, token, json) {
  const answer = await fetch(base + route, { method: json === undefined ? 'GET' : 'POST', headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) }, body: json === undefined ? undefined : JSON.stringify(json) });
  if (answer.status === 204) return null;
  const body = await answer.json();
  check(answer.ok, `${answer.status} ${route}: ${JSON.stringify(body)}`);
  return body;
}

/** Somebody judges a task of this test and asks for an expert: the judgment. Whatever comes before it, golden items too, is judged plainly. */
async function escalate() {
  const signIn = async ([email, password]) => (await call('/auth/v1/token?grant_type=password', null, { email, password })).access_token;
  const title = `Which plan needs an expert ${Date.now().toString(36)}`;
  await call('/v1/tasks', await signIn(ADMIN), { task_type: 'plan_quality', title, prompt: 'Which plan would you run?', candidate_a: { summary: 'Spend early.' }, candidate_b: { summary: 'Spend late.' }, priority: 100, required_judgments: 3 });
  const token = await signIn(EXPERT);
  for (let n = 0; n < 200; n += 1) {
    const held = await call('/v1/assignments/next', token, { purpose: 'work' });
    check(held, 'the task of this test did not come');
    const isOurs = held.task.title === title;
    const reasons = held.task.reasons.candidate_a.slice(0, 1).map((one) => one.code);
    const judgment = await call(`/v1/assignments/${held.assignment_id}/judgment`, token, { choice: 'candidate_a', reasons, confidence: 0.5, ...(isOurs ? { escalate: true, escalation_reason: WORDS } : {}) });
    if (isOurs) return { token, judgment, title };
  }
  throw new Error('the task of this test did not come');
}

/** A new rater asks for an expert on the first golden item of calibration. */
async function question() {
  const email = `asks-${Date.now().toString(36)}@example.com`;
  const { access_token: token } = await call('/auth/v1/signup', null, { email, password: 'a-long-enough-password' });
  const held = await call('/v1/assignments/next', token, { purpose: 'calibration' });
  check(held, 'there is no golden item to ask about');
  const reasons = held.task.reasons.candidate_a.slice(0, 1).map((one) => one.code);
  await call(`/v1/assignments/${held.assignment_id}/judgment`, token, { choice: 'candidate_a', reasons, confidence: 0.5, escalate: true, escalation_reason: QUESTION });
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
});
const troubles = [];

async function scan(page, name) {
  for (const [size, viewport] of [['laptop', LAPTOP], ['phone', PHONE]]) {
    await page.setViewportSize(viewport);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
      await page.evaluate(() => Promise.allSettled(document.getAnimations().map((animation) => animation.finished)));
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] } }));
      for (const one of violations) troubles.push(`axe on ${name} (${size}, ${colorScheme}): ${one.id}, ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.target.join(' ')).join('; ')}`);
      const sideways = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      if (sideways > 0) troubles.push(`${name} (${size}) scrolls sideways by ${sideways} px`);
      const down = await page.evaluate(() => document.documentElement.scrollHeight - window.innerHeight);
      if (size === 'laptop' && down > 0) troubles.push(`${name} scrolls at 1366x768 by ${down} px`);
      if (pictures) {
        fs.mkdirSync(pictures, { recursive: true });
        await page.screenshot({ path: path.join(pictures, `review-${name}-${size}-${colorScheme}.png`), fullPage: size === 'phone' });
      }
    }
  }
  await page.setViewportSize(LAPTOP);
}

try {
  const { token, judgment } = await escalate();
  const page = await (await browser.newContext({ viewport: LAPTOP })).newPage();
  page.setDefaultTimeout(15_000);
  page.on('console', (message) => { if (message.type() === 'error') troubles.push(`console on ${page.url()}: ${message.text()}`); });
  page.on('pageerror', (error) => troubles.push(`script on ${page.url()}: ${error}`));
  await page.goto(`${base}/login`);
  await page.focus('#email');
  await page.keyboard.type(EXPERT[0]);
  await page.keyboard.press('Tab');
  await page.keyboard.type(EXPERT[1]);
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => !url.pathname.startsWith('/login'));
  const side = (text) => page.waitForFunction((wanted) => document.querySelector('[data-part="side-title"]').textContent === wanted, text).catch(async () => {
    throw new Error(`“${text}” did not come, but: ${await page.evaluate(() => [document.getElementById('review').dataset.state, ...['title', 'side-title', 'problem'].map((name) => document.querySelector(`[data-part="${name}"]`)?.textContent)].join(' | '))}`);
  });

  // Until the task of this test has been decided: what waited before it comes first.
  await page.goto(`${base}/review`);
  let isScanned = false, answer;
  for (let n = 0; !answer && n < 50; n += 1) {
    await side('Your view first');
    const [title, text] = await page.evaluate(() => [document.querySelector('[data-part="title"]').textContent, document.getElementById('review').innerText]);
    check(!text.includes(WORDS) && !text.includes('Rater 1'), 'what raters said is shown before the own view');
    if (!isScanned) await scan(page, 'blind');
    for (const key of ['2', 'r', '1', 'Escape', 'c', '4', 'Escape', 'Control+Enter']) await page.keyboard.press(key);
    await side('Decide');
    check((await page.textContent('[data-part="side"]')).includes('Rater 1'), 'the judgments are shown after the own view');
    if (!isScanned) await scan(page, 'decide');
    isScanned = true;
    await page.keyboard.press('Control+Enter');
    await page.waitForFunction(() => document.activeElement.id === 'error-class' && document.querySelector('[data-part="problem"]').textContent);
    await page.keyboard.press('R');
    await page.keyboard.press('Escape');
    await page.keyboard.press('w');
    await page.keyboard.type('It keeps within what the context names.');
    await page.keyboard.press('Control+Enter');
    await page.waitForFunction((was) => document.getElementById('review').dataset.state === 'empty' || document.querySelector('[data-part="title"]').textContent !== was || document.querySelector('[data-part="side-title"]').textContent === 'Your view first', title);
    answer = (await call('/v1/raters/me/answers?limit=50', token)).data.find((one) => one.judgment_id === judgment.judgment_id);
  }
  check(answer && answer.error_class.code === 'rater_error', `the rater was not told: ${JSON.stringify(answer)}`);

  // What was decided, and what it proposes as a golden item.
  await page.click('[data-list="decided"]');
  await page.waitForSelector('.queue-item');
  await page.focus('[data-part="title"]');
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await side('Decided');
  await scan(page, 'decided');
  await page.click('[data-list="candidate"]');
  await page.waitForFunction(() => document.querySelector('.queue-item')?.textContent.includes('It keeps within'));
  await page.focus('[data-part="title"]');
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await side('Golden candidate');
  await scan(page, 'candidate');

  // A golden item that a rater asks about, taken out of use for a reason.
  await question();
  await page.click('[data-list="questioned"]');
  await page.waitForSelector('.queue-item');
  await page.focus('[data-part="title"]');
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await side('Questioned golden item');
  check((await page.textContent('[data-part="side"]')).includes(QUESTION), 'the question is shown');
  await scan(page, 'questioned');
  await page.click('text=Take it out of use >> nth=-1');
  await page.waitForFunction(() => document.activeElement.id === 'questioned-reason');
  await page.keyboard.type('the context names two budgets');
  // Past the box that says that its answer is wrong, which is ticked.
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelector('[data-part="queue-note"]').textContent === 'No rater asks about a golden item.');
  check(troubles.length === 0, `found on the way:\n  ${troubles.join('\n  ')}`);
  console.log('an escalated task reviewed by keyboard, the rater told, 5 states of the desk clean');
} catch (error) {
  console.error(String(error.message || error));
  if (troubles.length && !String(error).includes('found on the way')) console.error(troubles.join('\n'));
  process.exitCode = 1;
} finally {
  await browser.close();
}
