// Signs in as the demo analyst, writes a campaign, imports files, reads what became of them, asks for plans and chooses one, all with the
// keyboard alone (the system's own dialog for choosing a file is opened by a key and answered by the test), and scans every page of the
// campaign workspace: axe, console, sideways scroll at four widths, light and dark, and how it prints.
//   node workspace.mjs http://localhost:8002 http://localhost:8000 [FOLDER FOR PICTURES]
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createRequire } from 'node:module';

// The packages are those of the rater app's browser test.
const require = createRequire(new URL('../../../rater-app/tests/browser/package.json', import.meta.url));
const { chromium } = require('playwright-core');
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const [rater, base, pictures] = process.argv.slice(2);
if (!base) { console.error('usage: workspace.mjs RATER_APP_URL CAMPAIGN_RUNTIME_URL [FOLDER]'); process.exit(2); }
const [email, password] = ['analyst@endcap.example', 'analyst-of-the-demo'];
const TIMEOUT = 20_000;
const WIDTHS = [360, 820, 1440, 2560];
// A campaign of the demo analyst's brand with spend and revenue.
const CAMPAIGN = 'cmp-dm-13';

function check(condition, words) {
  if (!condition) throw new Error(words);
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
});
const troubles = [];
/** Refusals that a step of this test provokes: method and path. */
const expected = [];
const isExpected = (method, url) => expected.some(([known, part]) => known === method && url.includes(part));
function watch(page) {
  page.setDefaultTimeout(TIMEOUT);
  page.on('console', (message) => { if (message.type() === 'error' && !['GET', 'POST'].some((method) => isExpected(method, message.location().url))) troubles.push(`console on ${page.url()}: ${message.text()}`); });
  page.on('pageerror', (error) => troubles.push(`script on ${page.url()}: ${error}`));
  page.on('response', (response) => { if (response.status() >= 400 && !isExpected(response.request().method(), response.url())) troubles.push(`${response.status()} ${response.request().method()} ${response.url()}`); });
  return page;
}

/** Waits until what was asked of the page is drawn. */
async function settle(page) {
  await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
}

/** Waits until colours and places are where they end: they fade from one state to the other. */
async function stand(page) {
  await page.evaluate(() => Promise.allSettled(document.getAnimations().filter((one) => one.effect.getComputedTiming().iterations !== Infinity).map((one) => one.finished)));
}

async function scan(page, name) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: width < 500 ? 740 : 900 });
      await settle(page);
      // What still moves from the last width to this one may stick out on its way.
      const fits = await page.waitForFunction(() => document.documentElement.scrollWidth <= window.innerWidth, null, { timeout: 3_000 }).catch(() => null);
      if (!fits) {
        const out = await page.evaluate(() => [...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > window.innerWidth + 0.5).slice(0, 5).map((one) => `${one.tagName.toLowerCase()}.${one.className}`).join(', '));
        troubles.push(`${name} (${colorScheme}, ${width}) scrolls sideways: ${out}`);
      }
      if (width !== 360 && width !== 1440) continue;
      await stand(page);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] } }));
      for (const one of violations) troubles.push(`axe on ${name} (${colorScheme}, ${width}): ${one.id}, ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.target.join(' ')).join('; ')}`);
      if (pictures) {
        fs.mkdirSync(pictures, { recursive: true });
        await page.screenshot({ path: path.join(pictures, `${name}-${width}-${colorScheme}.png`), fullPage: true });
      }
    }
  }
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
  await page.setViewportSize({ width: 1440, height: 900 });
}

/** Presses Tab until `selector` has the focus; every stop on the way must show where it is. After the last stop comes the page itself. */
async function tabTo(page, selector, most = 80) {
  for (let stop = 0; stop < most; stop += 1) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate((wanted) => {
      const element = document.activeElement, style = getComputedStyle(element), label = element.matches('.chip input') ? getComputedStyle(element.nextElementSibling) : style;
      return { isThere: element.matches(wanted), isMarked: element === document.body || [style, label].some((one) => one.outlineStyle !== 'none' && parseFloat(one.outlineWidth) > 0), what: element.outerHTML.slice(0, 120) };
    }, selector);
    check(at.isMarked, `no focus mark on ${at.what}`);
    if (at.isThere) return;
  }
  throw new Error(`${selector} is not reached by Tab on ${page.url()}`);
}

/** Goes to a field by Tab, empties it and types. */
async function write(page, selector, text) {
  await tabTo(page, selector, 200);
  await page.keyboard.press('Control+A');
  await page.keyboard.press('Delete');
  await page.keyboard.type(text);
}

/** Writes a day into a date field in the order in which its parts stand: month, day, year. */
async function writeDay(page, selector, month, day, year) {
  await tabTo(page, selector, 200);
  await page.keyboard.type(`${month}${day}${year}`);
  check((await page.inputValue(selector)) === `${year}-${month}-${day}`, `${selector} holds ${await page.inputValue(selector)}`);
}

/** Chooses from a closed list by typing the beginning of a title. */
async function pick(page, selector, title, value) {
  await tabTo(page, selector, 200);
  await page.keyboard.type(title);
  check((await page.inputValue(selector)) === value, `${selector} holds ${await page.inputValue(selector)}`);
}

/** Presses Enter where Tab finds it. */
async function press(page, selector) {
  await tabTo(page, selector, 200);
  await page.keyboard.press('Enter');
}

/** In print nothing is left of what one presses, and the page is not cut off. */
async function prints(page, name) {
  await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
  await settle(page);
  await stand(page);
  const found = await page.evaluate(() => ({
    buttons: [...document.querySelectorAll('button, input, select')].filter((one) => one.checkVisibility()).length,
    ground: getComputedStyle(document.body).backgroundColor,
    ink: getComputedStyle(document.querySelector('h1')).color,
  }));
  if (found.buttons) troubles.push(`${name} prints ${found.buttons} things to press`);
  if (found.ground !== 'rgb(255, 255, 255)' || found.ink !== 'rgb(0, 0, 0)') troubles.push(`${name} prints ${found.ink} on ${found.ground}`);
  const pdf = await page.pdf({ format: 'A4', printBackground: true });
  check(pdf.length > 5000, `${name} prints nothing`);
  if (pictures) fs.writeFileSync(path.join(pictures, `${name}.pdf`), pdf);
  await page.emulateMedia({ media: null, colorScheme: 'light', reducedMotion: 'reduce' });
}

try {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce' });
  const page = watch(await context.newPage());

  // Whoever is not signed in sees no data, and comes back here after signing in.
  await page.goto(`${base}/`);
  check(!(await page.content()).includes('<table'), 'the landing page shows data');
  await scan(page, 'landing');
  await page.goto(`${base}/imports`);
  await page.waitForURL((url) => url.pathname.startsWith('/login'));
  await tabTo(page, '#email');
  await page.keyboard.type(email);
  await page.keyboard.press('Tab');
  await page.keyboard.type(password);
  await page.keyboard.press('Enter');
  await page.waitForURL(`${base}/imports`);

  // The list: search by keyboard, another order, nothing found.
  await page.goto(`${base}/`);
  await page.waitForSelector('.campaigns-table');
  await scan(page, 'list');
  await tabTo(page, '#search');
  await page.keyboard.type('nothing is called so');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.empty');
  await scan(page, 'list-empty');
  await page.goto(`${base}/?sort=name&limit=2`);
  const firstPage = await page.$$eval('tbody th a', (links) => links.map((link) => link.textContent));
  await press(page, 'a[rel="next"]');
  await page.waitForURL(/cursor=/);
  const nextPage = await page.$$eval('tbody th a', (links) => links.map((link) => link.textContent));
  check(firstPage.length === 2 && nextPage.length > 0 && !firstPage.some((name) => nextPage.includes(name)), `pages overlap: ${firstPage} / ${nextPage}`);

  // A new campaign: a wrong form says so at its fields, a mended one is stored.
  await page.goto(`${base}/campaigns/new`);
  await scan(page, 'new');
  await tabTo(page, '#name');
  await page.keyboard.press('Enter');
  check(await page.evaluate(() => document.activeElement.id === 'name' && document.getElementById('name-error').textContent.includes('required')), 'a missing name is not said at its field');
  const name = `Browser test ${Date.now()}`;
  await page.keyboard.type(name);
  await pick(page, '#retailer_id', 'Grocer', 'rtl-grocer-cj');
  await writeDay(page, '#start_date', '02', '10', '2030');
  await writeDay(page, '#end_date', '02', '01', '2030');
  await write(page, '#total_budget', '5000');
  await write(page, '#currency', 'USD');
  await write(page, '#placement_types', 'direct_mail_coupon');
  expected.push(['POST', '/v1/campaigns']);
  await press(page, '.campaign-form [type="submit"]');
  await page.waitForFunction(() => document.getElementById('end_date-error').textContent !== '');
  check(await page.evaluate(() => document.activeElement.id === 'end_date'), 'the first wrong field has no focus');
  expected.length = 0;
  // The focus is in the field already, on its first part.
  await page.keyboard.type('02282030');
  check((await page.inputValue('#end_date')) === '2030-02-28', `#end_date holds ${await page.inputValue('#end_date')}`);
  await press(page, '.campaign-form [type="submit"]');
  await page.waitForURL((url) => /^\/campaigns\/cmp/.test(url.pathname) && !url.pathname.endsWith('new'));
  const campaign = decodeURIComponent(new URL(page.url()).pathname.split('/')[2]);
  check((await page.textContent('h1')).includes(name), 'the new campaign is not shown');
  await page.waitForSelector('.history li');
  await scan(page, 'new-campaign');

  // Scheduling without a product is refused with what is missing, or done: either way the page says so.
  expected.push(['POST', '/transitions']);
  await tabTo(page, '[data-move="scheduled"]');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => !document.querySelector('[data-refusal]').hidden || document.querySelector('.status-badge').textContent === 'Scheduled');
  expected.length = 0;
  // A move without return asks first; Escape gives the focus back.
  await page.goto(`${base}/campaigns/${campaign}`);
  await tabTo(page, '[data-move="archived"]');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#move-dialog[open]');
  await scan(page, 'move-dialog');
  check(await page.evaluate(() => document.getElementById('move-dialog').contains(document.activeElement)), 'the dialog does not have the focus');
  await page.keyboard.press('Escape');
  check(await page.evaluate(() => document.activeElement.dataset.move === 'archived'), 'the focus does not come back from the dialog');
  await page.goto(`${base}/campaigns/${campaign}/edit`);
  await scan(page, 'edit');

  // A small file: tried, then with wrong rows, then loaded.
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'endcap-workspace-'));
  const good = path.join(folder, 'good.csv'), bad = path.join(folder, 'bad.csv');
  const row = (day, spend) => `2030-02-${day},${campaign},direct_mail_coupon,1000,40,4,${spend},55.5,USD`;
  const head = 'date,campaign_id,placement_type,impressions,clicks,conversions,spend,revenue,currency';
  fs.writeFileSync(good, [head, row('10', '12.5'), row('11', '11'), row('12', '14')].join('\n'));
  fs.writeFileSync(bad, [head, row('10', '12.5'), row('11', 'much'), row('31', '14')].join('\n'));
  await page.goto(`${base}/imports`);
  await page.waitForLoadState('networkidle');
  await scan(page, 'imports');
  // Listening from here on: choosers are caught as long as somebody listens, and a key pressed while that is being switched on could open one uncaught.
  page.on('filechooser', () => {});
  const send = async (file, dryRun) => {
    await pick(page, '#table', 'Performance', 'performance');
    await tabTo(page, '#file');
    const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.keyboard.press('Space')]);
    await chooser.setFiles(file);
    await tabTo(page, '[name="dry_run"]');
    if ((await page.isChecked('[name="dry_run"]')) !== dryRun) await page.keyboard.press('Space');
    await press(page, '[data-import] [type="submit"]');
    await page.waitForSelector('[data-result] .notice');
    return page.textContent('[data-result]');
  };
  check((await send(good, true)).includes('nothing was kept'), 'a trial is not said to be one');
  const refused = await send(bad, false);
  check(/Wrong rows/.test(refused) && /spend/.test(refused), `wrong rows are not listed: ${refused}`);
  // The list below has it without a reload.
  await page.waitForFunction(() => /Failed/.test(document.querySelector('.imports-table')?.textContent || ''));
  await scan(page, 'imports-wrong');
  const [saved] = await Promise.all([page.waitForEvent('download'), press(page, 'a[download]')]);
  const text = fs.readFileSync(await saved.path(), 'utf8');
  check(text.startsWith('"line","field","message"') && text.includes('"3","spend"'), `the wrong rows as CSV: ${text}`);
  check((await send(good, false)).includes('3 rows read'), 'the file was not loaded');
  fs.rmSync(folder, { recursive: true });
  // What became of the file with wrong rows is still there on the next day: in the list, and row by row on its own page.
  await page.goto(`${base}/imports`);
  const past = await page.textContent('.imports-table');
  check(/Finished/.test(past) && /Failed/.test(past) && /trial/.test(past), `the list of imports lacks some: ${past}`);
  await scan(page, 'imports-past');
  await page.goto(`${base}/imports?state=failed`);
  await tabTo(page, '.imports-table a');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/imports\/imp/);
  await page.reload();
  const wrong = await page.$$eval('.errors-table tbody tr', (rows) => rows.map((row) => row.textContent));
  check(wrong.length === 2 && wrong[0].startsWith('3spend') && wrong[1].startsWith('4date'), `the wrong rows are not kept: ${wrong}`);
  await scan(page, 'import');
  // An address that cannot be shown is answered by a page that says what is wrong, and the way out works.
  expected.push(['GET', '/?status=nope'], ['GET', '/campaigns/unknown']);
  await page.goto(`${base}/campaigns/unknown`);
  check((await page.textContent('h1')).includes('not there'), 'an unknown campaign is not said to be one');
  await page.goto(`${base}/?status=nope`);
  check((await page.textContent('main')).includes('must be one of draft, scheduled'), 'a wrong status is not explained');
  await scan(page, 'refusal');
  await tabTo(page, 'main a.button');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.campaigns-table');
  expected.length = 0;
  await page.goto(`${base}/campaigns/${campaign}`);
  check((await page.textContent('.figures')).includes('37.50 USD'), 'the imported spend is not on the page');

  // A campaign with a history of its own and an experiment: what is unusual, what was found, what the figures rest on.
  await page.goto(`${base}/campaigns/${CAMPAIGN}`);
  await page.evaluate(async (campaign_id) => {
    const { call } = window.endcap, id = `exp-browser-${Date.now()}`;
    const at = (days) => new Date(Date.now() + days * 86400000).toISOString().slice(0, 10);
    const arms = [{ name: 'control', share: 5000 }, { name: 'mailed', share: 5000 }];
    await call('/v1/experiments', { json: { experiment_id: id, name: 'Mailer holdout', campaign_id, definition: { metric: { name: 'revenue per household', kind: 'revenue', currency: 'USD' }, control_definition: 'households that got no mailer', design: { kind: 'ab', arms, analysis: 'sequential', planned_end: at(30), planned_units: 4000 } } } });
    await call(`/v1/experiments/${id}/transitions`, { json: { to: 'running' } });
    const sums = (arm, mean, spend) => ({ arm, date: at(0), n: 1000, value_sum: 1000 * mean, value_sum_squares: 9 * 999 + 1000 * mean * mean, spend });
    await call(`/v1/experiments/${id}/observations`, { json: { rows: [sums('control', 10, '0'), sums('mailed', 12, '500.00')] } });
  }, CAMPAIGN);
  await page.reload();
  check(/Mailed: \+20\.0 %.*n = 2,000 units/.test(await page.textContent('.experiments-table')), 'the experiment is not shown with its lift, interval and n');
  check((await page.textContent('.basis')).includes('attributes'), 'the basis of the figures is not stated');
  await press(page, '.basis summary');
  check(/Clicks\s*none\s*not measured/.test(await page.textContent('.metrics-table')), 'a figure without value does not say why');
  await scan(page, 'campaign');
  await prints(page, 'campaign');
  await page.goto(`${base}/campaigns/${CAMPAIGN}?by=month`);
  check((await page.$$('[aria-labelledby="course-title"] .figures-table tbody tr')).length === 2, 'by month there are two periods');

  // Plans: those of a campaign that is over are for study; for a copy of it they are asked for by keyboard, compared, one chosen with a reason.
  await page.goto(`${base}/campaigns/${CAMPAIGN}/plans`);
  check((await page.textContent('main')).includes('plans are for study'), 'the plans of a campaign that is over are not said to be for study');
  const next = await page.evaluate(async (of) => (await window.endcap.call(`/v1/campaigns/${of}/clone`, { json: {} })).campaign_id, CAMPAIGN);
  await page.goto(`${base}/campaigns/${next}/plans`);
  await page.waitForLoadState('networkidle');
  await scan(page, 'plans-none');
  if (!(await page.$('.ask[open]'))) {
    // A set is there from an earlier run, so the form is folded.
    await press(page, '.ask summary');
  }
  await write(page, '#total_budget', 'much');
  expected.push(['POST', '/plans']);
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.getElementById('total_budget-error').textContent !== '');
  expected.length = 0;
  await pick(page, '#ask_people', 'Always', 'always');
  await write(page, '#total_budget', '2500');
  await page.keyboard.press('Enter');
  await page.waitForURL(/set=pls/);
  await page.waitForSelector('.compare');
  const compared = await page.textContent('#set');
  for (const words of ['Compared with what is done now', 'Against what is done now', 'What may go wrong', 'the next unit returns', 'of the budget', 'Curve']) check(compared.toLowerCase().includes(words.toLowerCase()), `the comparison does not say ${words}`);
  await scan(page, 'plans');
  await prints(page, 'plans');
  const button = '[data-choose]';
  if (await page.$(button)) {
    await tabTo(page, button, 200);
    await page.keyboard.press('Enter');
    await page.waitForSelector('#choose-dialog[open]');
    check(await page.evaluate(() => document.activeElement.id === 'reason'), 'the reason does not have the focus');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    check((await page.textContent('#reason-error')) !== '', 'a choice without a reason is not refused');
    await scan(page, 'choose-dialog');
    await tabTo(page, '#reason');
    await page.keyboard.type('Fits the shop calendar.');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('.decision').textContent.includes('Fits the shop calendar.'));
  }
  await page.goto(`${base}/`);

  // Two campaigns moved at once: what is refused is named.
  await page.goto(`${base}/?search=${encodeURIComponent(name)}`);
  await tabTo(page, 'input[name="pick"]');
  await page.keyboard.press('Space');
  await page.waitForSelector('[data-bulk]:not([hidden])');
  await scan(page, 'list-selected');
  await pick(page, '#bulk_to', 'Completed', 'completed');
  await press(page, '[data-bulk] [type="submit"]');
  await page.waitForSelector('[data-bulk-result]:not([hidden])');
  check((await page.textContent('[data-bulk-result]')).includes(campaign), 'the refused campaign is not named');

  check(troubles.length === 0, `found on the way:\n  ${troubles.join('\n  ')}`);
  console.log('campaign written, file imported, plans compared and chosen by keyboard; 17 views clean at 4 widths, light and dark, and on paper');
} catch (error) {
  console.error(String(error.message || error));
  if (troubles.length && !String(error).includes('found on the way')) console.error(troubles.join('\n'));
  process.exitCode = 1;
} finally {
  await browser.close();
}
