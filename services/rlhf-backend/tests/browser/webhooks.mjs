// The pages of webhooks in a real browser: one is made by keyboard with refusals beside their fields, its secret is shown once, a test is
// sent and sent again, it is changed, switched and removed; every page scanned with axe, light and dark, at 390 and 1366 px.
//   node webhooks.mjs http://localhost:8002 http://localhost:8001 [FOLDER FOR PICTURES]
// The system must let webhooks call this machine: ENDCAP_WEBHOOK_HTTP=allowed ENDCAP_WEBHOOK_PORTS=* ENDCAP_WEBHOOK_NETWORKS=127.0.0.0/8.
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { DESK, check, launch, scan, signIn, troubleList, until } from '../../../rater-app/tests/browser/house.mjs';

const [rater, base, pictures] = process.argv.slice(2);
if (!base) { console.error('usage: webhooks.mjs RATER_APP_URL RLHF_BACKEND_URL [FOLDER]'); process.exit(2); }
const PHONE = { width: 390, height: 844 };
const browser = await launch();
const { list: troubles, watch, state: expecting } = troubleList();
let views = 0;

// A receiver that keeps what it is sent.
const sent = [];
let answer = 500;
const receiver = createServer((request, response) => {
  let body = '';
  request.on('data', (part) => { body += part; });
  request.on('end', () => { sent.push({ headers: request.headers, body }); response.writeHead(answer).end(); });
});
await new Promise((done) => { receiver.listen(0, '127.0.0.1', done); });
const address = `http://127.0.0.1:${receiver.address().port}/endcap`;

async function look(page, name) {
  for (const size of [PHONE, DESK]) {
    await page.setViewportSize(size);
    await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
    await scan(page, `${name}-${size.width}`, troubles, pictures);
    views += 1;
  }
}
const newest = async () => (await window.endcap.call('/v1/webhook-deliveries')).data[0];
async function tabTo(page, selector, most = 120) {
  for (let stop = 0; stop < most; stop += 1) {
    await page.keyboard.press('Tab');
    if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
  }
  throw new Error(`${selector} is not reached by Tab on ${page.url()}`);
}
const errorOf = (page, id) => page.textContent(`#${id}-error`);

try {
  const context = await browser.newContext({ viewport: DESK, reducedMotion: 'reduce' });
  const page = watch(await context.newPage());
  await signIn(page, rater, 'admin');
  await page.goto(`${base}/webhooks`);
  check((await page.textContent('[aria-current="page"]')).includes('Webhooks'), 'the navigation does not mark the page');
  await look(page, 'webhooks-empty');

  // Nothing filled in, then an address that leads inside: each message stands beside its field.
  expecting.isExpected = true;
  await tabTo(page, '#url');
  await page.keyboard.type('https://169.254.169.254/');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.getElementById('url-error').textContent !== '');
  check((await errorOf(page, 'url')).includes('link-local'), 'the address is not refused with the reason');
  check((await errorOf(page, 'event_types')).includes('at least one'), 'no events are not refused');
  check(await page.evaluate(() => document.activeElement.id === 'url'), 'the first wrong field does not have the focus');
  await look(page, 'webhooks-refused');
  expecting.isExpected = false;
  await page.fill('#url', address);
  await page.fill('#description', 'orders of the shop');
  await tabTo(page, '[name=event_types][value="campaign.moved"]');
  await page.keyboard.press('Space');
  await tabTo(page, '[data-form] [type=submit]');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#secret[open]');
  const secret = await page.inputValue('#secret-text');
  check(secret.startsWith('whsec_'), 'the secret is not shown');
  await look(page, 'webhooks-secret');
  await page.click('#secret [type=submit]');
  await page.waitForSelector('.webhook');
  check(!(await page.content()).includes(secret) && (await page.inputValue('#secret-text')) === '', 'the secret stays in the page');

  // A test that the receiver refuses, then takes.
  const card = page.locator('.webhook', { hasText: address });
  await card.locator('[data-test]').click();
  for (let i = 0; i < 100 && sent.length === 0; i += 1) await page.waitForTimeout(100);
  check(sent.length > 0, 'no test has come');
  const { headers, body } = sent[0];
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const mine = createHmac('sha256', key).update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`).digest('base64');
  check(headers['webhook-signature'] === `v1,${mine}`, 'the signature is wrong');
  await until(page, newest, undefined, 15, (delivery) => delivery?.last_http_status === 500);
  await page.reload();
  check((await card.locator('[data-state]').textContent()) === 'failing', 'the page does not say that it fails');
  await look(page, 'webhooks-failing');
  answer = 204;
  await card.locator('a').click();
  await page.waitForSelector('.deliveries-table');
  await look(page, 'deliveries');
  await page.selectOption('#status', 'failed');
  await page.click('form.filters [type=submit]');
  await page.waitForSelector('.empty');
  await look(page, 'deliveries-empty');
  await page.goto(`${base}/webhooks/deliveries?event_type=webhook.test`);
  // Sent now; refused where it is being sent by itself at that moment, and gone where it has come already.
  expecting.isExpected = true;
  const now = page.locator('[data-send-now]').first();
  if (await now.count()) await now.click({ timeout: 2000 }).catch(() => {});
  await until(page, newest, undefined, 240, (delivery) => delivery?.status === 'delivered');
  expecting.isExpected = false;
  await page.reload();
  await page.click('.deliveries-table th a');
  await page.waitForSelector('.facts');
  check((await page.textContent('pre')).includes('This is a test of your webhook.'), 'the body is not shown');
  check((await page.textContent('#attempts')).includes('500 in') && (await page.textContent('#attempts')).includes('204 in'), 'not every attempt is shown');
  await look(page, 'delivery');
  const before = sent.length;
  await page.click('[data-replay-one]');
  for (let i = 0; i < 100 && sent.length === before; i += 1) await page.waitForTimeout(100);
  check(sent.at(-1).headers['webhook-id'] === headers['webhook-id'], 'what is sent again has another id');
  await page.waitForFunction(() => document.querySelector('[data-state]').textContent === 'delivered' && document.getElementById('delivery').textContent.includes('replayed once'));

  // Changed, switched off and on, another secret, removed.
  await page.goto(`${base}/webhooks`);
  await card.locator('[data-edit]').click();
  check((await page.inputValue('#url')) === address && await page.isChecked('[value="campaign.moved"]'), 'the form is not filled');
  await page.fill('#description', 'orders and plans');
  await page.click('[data-form] [type=submit]');
  await page.waitForSelector('.webhook:has-text("orders and plans")');
  const focused = (name) => page.waitForFunction((wanted) => document.activeElement.matches(`.webhook [data-${wanted}]`), name);
  await card.locator('[data-switch]').click();
  await page.waitForSelector('#sure[open]');
  await page.click('#sure [value=no]');
  check((await card.locator('[data-state]').textContent()) !== 'off', 'it is off although nobody was sure');
  await card.locator('[data-switch]').click();
  await page.click('#sure [value=yes]');
  await page.waitForFunction(() => document.querySelector('.webhook [data-state]').textContent === 'off');
  await focused('switch');
  await look(page, 'webhooks-off');
  await card.locator('[data-switch]').click();
  await page.waitForFunction(() => document.querySelector('.webhook [data-state]').textContent === 'on');
  await card.locator('[data-rotate]').click();
  await page.waitForSelector('#sure[open]');
  await look(page, 'webhooks-sure');
  await page.click('#sure [value=yes]');
  await page.waitForSelector('#secret[open]');
  check((await page.inputValue('#secret-text')) !== secret, 'the new secret is the old one');
  await page.click('#secret [type=submit]');
  await page.waitForSelector('.webhook:has-text("both secrets")');
  await focused('rotate');
  await card.locator('[data-remove]').click();
  await page.click('#sure [value=yes]');
  await page.waitForSelector('#webhooks .empty');
  await page.waitForFunction(() => document.activeElement.id === 'webhooks-title');
} catch (error) { troubles.push(String(error.stack || error)); } finally { await browser.close(); receiver.close(); }
if (troubles.length) { console.error(troubles.join('\n')); process.exit(1); }
console.log(`webhooks: ${views} views scanned, nothing found`);
