// The pages of the RLHF backend in a real browser: the five kinds of feedback by keyboard alone with refusals beside their fields, the rule
// by which raters are asked, the dashboard with its key figures, and every page scanned with axe, light and dark, at 360 and 1366 px.
//   node learning.mjs http://localhost:8002 http://localhost:8001 [FOLDER FOR PICTURES]
import { DESK, check, launch, scan, signIn, troubleList, until } from '../../../rater-app/tests/browser/house.mjs';

const [rater, base, pictures] = process.argv.slice(2);
if (!base) { console.error('usage: learning.mjs RATER_APP_URL RLHF_BACKEND_URL [FOLDER]'); process.exit(2); }
const PHONE = { width: 360, height: 740 };
/** Widths at which the links of a platform administrator, who has the most, stand nearest to the corner with name and role. */
const TIGHT = [1281, 1361, 1500, 1761, 1880, 1920, 2201];
const run = Date.now().toString(36);
const browser = await launch();
const { list: troubles, watch, state: expecting } = troubleList();
let views = 0;

/** Scans at both widths, after what is drawn has come to rest. */
async function look(page, name) {
  for (const size of [PHONE, DESK]) {
    await page.setViewportSize(size);
    await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
    await scan(page, `${name}-${size.width}`, troubles, pictures);
    views += 1;
  }
}

/** Presses Tab until `selector` has the focus. */
async function tabTo(page, selector, most = 120) {
  for (let stop = 0; stop < most; stop += 1) {
    await page.keyboard.press('Tab');
    if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
  }
  throw new Error(`${selector} is not reached by Tab on ${page.url()}`);
}

/** Goes to a field by Tab from the top, empties it and types. */
async function write(page, selector, text) {
  await page.evaluate(() => { document.activeElement.blur(); getSelection().collapse(document.body, 0); });
  await tabTo(page, selector);
  await page.keyboard.press('Control+A');
  await page.keyboard.press('Delete');
  await page.keyboard.type(text);
}

const errorOf = (page, id) => page.textContent(`#${id}-error`);

try {
  const context = await browser.newContext({ viewport: DESK, reducedMotion: 'reduce' });
  const page = watch(await context.newPage());
  await signIn(page, rater, 'admin');

  // Brands: search by keyboard, nothing found, then the first brand.
  await page.goto(`${base}/`);
  await look(page, 'brands');
  await write(page, '#search', 'nothing is called so');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.empty');
  await look(page, 'brands-empty');
  await page.goto(`${base}/`);
  await tabTo(page, '.card-link');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/feedback\//);
  const address = new URL(page.url()).pathname;
  const brand = decodeURIComponent(address.split('/').pop());
  const given = () => page.evaluate(async (id) => (await window.endcap.call(`/v1/feedback?brand_id=${encodeURIComponent(id)}&limit=500`)).data, brand);
  const before = (await given()).length;

  // A key without texts: every message stands beside its field, and the first wrong field has the focus.
  expecting.isExpected = true;
  await page.evaluate(() => { for (const id of ['prompt', 'model_output', 'other_output']) document.getElementById(id).value = ''; document.activeElement.blur(); });
  await page.keyboard.press('u');
  await page.waitForFunction(() => document.getElementById('prompt-error').textContent !== '');
  check((await errorOf(page, 'model_output')).includes('must hold'), 'an empty output is not refused beside its field');
  check(await page.evaluate(() => document.activeElement.id === 'prompt' && document.activeElement.getAttribute('aria-invalid') === 'true'), 'the first wrong field does not have the focus');
  await look(page, 'feedback-refused');
  await write(page, '#prompt', `A slogan for oats ${run}`);
  await write(page, '#model_output', 'Oats are oats.');
  await page.keyboard.press('Escape');
  check(await page.evaluate(() => document.activeElement.id === 'judge-title'), 'Escape does not leave the text');
  await page.keyboard.press('a');
  await page.waitForFunction(() => document.getElementById('other_output-error').textContent !== '');
  expecting.isExpected = false;

  // The five kinds, each by one key; the correction by its form.
  const stored = async (key, n) => {
    await page.keyboard.press(key);
    await page.waitForFunction(() => document.getElementById('state').textContent.startsWith('Stored'));
    await page.waitForFunction((wanted) => document.getElementById('said').textContent.includes(wanted), n);
    await page.evaluate(() => { document.getElementById('state').textContent = ''; });
  };
  await page.evaluate(() => document.getElementById('judge-title').focus());
  await stored('u', 'Thumbs up');
  await stored('d', 'Thumbs down');
  await stored('2', 'Rating');
  await write(page, '#other_output', 'Oats, slowly rolled.');
  await page.keyboard.press('Escape');
  await stored('b', 'Preference');
  await page.keyboard.press('c');
  await page.waitForSelector('#correction:not([hidden])');
  check((await page.inputValue('#corrected')) === 'Oats are oats.', 'a correction does not begin from the output');
  await page.keyboard.press('Control+A');
  await page.keyboard.type('Oats, rolled.');
  await look(page, 'feedback');
  await tabTo(page, '#correction [type="submit"]');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#correction', { state: 'hidden' });
  const rows = await given();
  check(rows.length === before + 5, `five pieces were given, and there are ${rows.length - before} more`);
  const kinds = rows.slice(0, 5).map((row) => row.feedback_type).sort().join(' ');
  check(kinds === 'correction preference rating thumbs_down thumbs_up', `the kinds are ${kinds}`);
  const preference = rows.find((row) => row.feedback_type === 'preference');
  check(preference.preferred_output === 'Oats, slowly rolled.' && preference.rejected_output === 'Oats are oats.', 'the preference is the wrong way round');

  // The rule: a mistake beside its field, then saved, and the next dislike becomes a rating task in the rater app.
  await page.goto(base + address);
  await page.evaluate(() => document.activeElement.blur());
  await tabTo(page, '[data-rule] > summary');
  await page.keyboard.press('Enter');
  expecting.isExpected = true;
  await write(page, '#daily_limit', '0');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.getElementById('daily_limit-error').textContent !== '');
  expecting.isExpected = false;
  await look(page, 'rule');
  await write(page, '#daily_limit', '50');
  if (!(await page.isChecked('[name="is_on"]'))) { await tabTo(page, '[name="is_on"]'); await page.keyboard.press('Space'); }
  await tabTo(page, '[data-rule-form] [type="submit"]');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelector('[data-rule] summary').textContent.includes('at most 50 a day'));
  await page.selectOption('#task_type', 'policy_compliance');
  await write(page, '#prompt', `A slogan for oats, again ${run}`);
  await write(page, '#model_output', `Oats of ${run}`);
  await page.keyboard.press('Escape');
  await page.keyboard.press('c');
  await page.waitForSelector('#correction:not([hidden])');
  await page.keyboard.type(' and milk');
  await tabTo(page, '#correction [type="submit"]');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#correction', { state: 'hidden' });
  await until(page, async (id) => (await window.endcap.call(`/v1/feedback/rules/${encodeURIComponent(id)}`)).states, brand, 60, (states) => states.created > 0);
  await page.goto(`${base}${address}?kind=correction`);
  check((await page.textContent('#said')).includes('Oats of'), 'the list is not narrowed to corrections');
  const file = await page.evaluate(async (id) => (await fetch(`/v1/feedback?brand_id=${encodeURIComponent(id)}&format=csv`)).text(), brand);
  check(file.split('\n')[0].startsWith('feedback_id,') && file.includes(run), 'the CSV does not hold the feedback');

  // Key figures: computed, on the dashboard, and each leads to its rows.
  await page.evaluate(() => window.endcap.call('/v1/rlhf-metrics/compute', { json: {} }));
  await page.goto(`${base}/dashboard`);
  await page.waitForFunction(() => document.querySelector('[data-live-text]').textContent === 'live');
  for (const words of ['Accuracy on golden items', 'Cost of an accepted judgment', 'Waiting for an expert', 'Gwet’s AC1']) check((await page.textContent('main')).includes(words), `the dashboard does not show ${words}`);
  check(!/NaN|undefined/.test(await page.textContent('main')), 'the dashboard shows a figure that is none');
  await look(page, 'dashboard');
  for (const width of TIGHT) {
    await page.setViewportSize({ width, height: 768 });
    const gap = await page.evaluate(() => {
      const last = [...document.querySelectorAll('.navigation a')].pop().getBoundingClientRect(), corner = document.querySelector('.corner').getBoundingClientRect();
      return last.width === 0 ? 1 : Math.min(corner.left - last.right, innerWidth - corner.right);
    });
    check(gap > 0, `the navigation and the corner overlap by ${-gap} px at ${width} px`);
  }
  await page.setViewportSize(DESK);
  const api = await page.evaluate(async () => (await window.endcap.call('/v1/rlhf-metrics?limit=1')).data[0]);
  const shown = (await page.textContent('.figures-table a[href*="total_judgments"]')).replace(/,/g, '');
  check(Number(shown) === api.total_judgments, `the page shows ${shown} judgments and the API ${api.total_judgments}`);
  await tabTo(page, '.figures-table a[href*="total_judgments"]', 200);
  await page.keyboard.press('Enter');
  await page.waitForURL(/key-figures\/total_judgments/);
  await look(page, 'figure');

  for (const [name, path] of [['models', '/models'], ['active-learning', '/active-learning'], ['exports', '/exports']]) {
    await page.goto(base + path);
    await page.waitForLoadState('networkidle');
    await look(page, name);
  }
  // A reason to activate over the gate is about one model: the dialog names it, and forgets what was written for another.
  await page.goto(`${base}/models`);
  await page.evaluate(() => {
    for (const [id, title] of [['rwm_one', 'Plan quality v8'], ['rwm_two', 'Plan quality v9']]) {
      const button = Object.assign(document.createElement('button'), { id, type: 'button' });
      Object.assign(button.dataset, { activate: id, title, needsReason: '' });
      document.querySelector('main').append(button);
    }
  });
  const ask = async (id) => {
    await page.click(`#${id}`);
    return [await page.textContent('#override-title'), await page.inputValue('#override_reason')];
  };
  check((await ask('rwm_one'))[0].includes('Plan quality v8'), 'the dialog does not say which model it is about');
  await page.fill('#override_reason', 'a reason for one');
  await page.keyboard.press('Escape');
  check((await ask('rwm_one'))[1] === 'a reason for one', 'what was written is lost when the dialog is closed');
  await page.keyboard.press('Escape');
  const [heading, reason] = await ask('rwm_two');
  check(heading.includes('Plan quality v9') && reason === '', 'the reason for another model is offered');
  await look(page, 'override');
  await page.keyboard.press('Escape');

  const model = await page.evaluate(async () => (await window.endcap.call('/v1/reward-models?limit=1')).data[0]);
  if (model) {
    await page.goto(`${base}/models/${model.model_id}`);
    await look(page, 'model-card');
  }
  check(troubles.length === 0, `found on the way:\n  ${troubles.join('\n  ')}`);
  console.log(`five kinds of feedback by keyboard, a rule set and kept, key figures followed to their rows; ${views} views clean, light and dark${model ? '' : ' (no model to show yet)'}`);
} catch (error) {
  console.error(String(error.message || error));
  if (troubles.length && !String(error).includes('found on the way')) console.error(troubles.join('\n'));
  process.exitCode = 1;
} finally {
  await browser.close();
}
