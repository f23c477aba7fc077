// Somebody who has no password at the hosted project gets one with the keyboard alone: asks for a mail, follows its link, sets the password, signs in.
// Every page on the way is scanned with axe, light and dark, and looked at in narrow and wide windows.
//   node recover.mjs http://localhost:8002 http://127.0.0.1:PORT [FOLDER FOR PICTURES]
// The second address is that of the stand-in for the project; it has a user ada@example.com without a password, and keeps mails at /mailbox.
import { DESK, check, launch, narrow, scan, troubleList } from './house.mjs';

const [base, project, pictures] = process.argv.slice(2);
if (!project) { console.error('usage: recover.mjs BASE_URL PROJECT_URL [FOLDER]'); process.exit(2); }
const ADDRESS = 'ada@example.com', PASSWORD = 'a phrase of four words';

const browser = await launch();
const { list: troubles, watch, state: expecting } = troubleList();
const look = async (page, name) => {
  await scan(page, name, troubles, pictures);
  await narrow(page, name, troubles, pictures);
};
const text = (page) => page.evaluate(() => document.getElementById('main').innerText);
/** Presses Tab until the focus is on what is wanted. */
async function tabTo(page, selector) {
  for (let n = 0; n < 40; n += 1) {
    if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`${selector} is not reached by Tab on ${page.url()}`);
}
const mails = async () => (await fetch(`${project}/mailbox`)).json();

try {
  const page = watch(await (await browser.newContext({ viewport: DESK })).newPage());

  // Who has an account and who has none read the same.
  const told = [];
  for (const address of ['nobody@example.com', ADDRESS]) {
    await page.goto(`${base}/login`);
    await page.focus('#email');
    await tabTo(page, 'a[href="/forgotten-password"]');
    if (address === ADDRESS) await look(page, 'login-at-a-project');
    await page.keyboard.press('Enter');
    await page.waitForURL(`${base}/forgotten-password`);
    if (address === ADDRESS) await look(page, 'forgotten-password');
    await page.focus('main');
    await tabTo(page, '#email');
    await page.keyboard.type(address);
    await page.keyboard.press('Enter');
    await page.waitForURL(`${base}/forgotten-password?asked`);
    told.push(await text(page));
  }
  check(told[0] === told[1] && /a mail with a link to a new password is on its way/.test(told[0]), `different words: ${told.join(' | ')}`);
  await look(page, 'mail-is-on-its-way');
  const sent = await mails();
  check(sent.length === 1 && sent[0].to === ADDRESS, `the mails: ${JSON.stringify(sent)}`);

  // What the browser takes for an address and we do not.
  expecting.isExpected = true;
  await page.goto(`${base}/forgotten-password`);
  await page.fill('#email', 'ada@example');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#refusal');
  check(await page.evaluate(() => document.activeElement.id === 'email' && document.activeElement.getAttribute('aria-describedby') === 'refusal' && document.activeElement.value === 'ada@example'), 'a refusal leads back to the field and keeps what was typed');
  await look(page, 'no-address');

  // The link leads to the form and leaves nothing of itself in the address or the history.
  await page.goto(sent[0].link);
  await page.waitForSelector('[data-part="form"]:not([hidden])');
  check(page.url() === `${base}/new-password`, `the address keeps what opens the account: ${page.url()}`);
  check(await page.evaluate(() => document.activeElement.id) === 'password', 'the focus is in the field');
  check(await page.inputValue('#email') === ADDRESS, 'whose password it is is shown');
  await look(page, 'new-password');

  await page.keyboard.type('password123');
  await page.keyboard.press('Enter');
  await page.waitForSelector('[role="alert"] #refusal');
  check(/many people use it/.test(await text(page)), `a weak password: ${await text(page)}`);
  check(await page.evaluate(() => document.activeElement.id === 'password' && document.activeElement.getAttribute('aria-invalid') === 'true'), 'the field is marked, and has the focus');
  await look(page, 'weak-password');
  expecting.isExpected = false;

  // What was refused is selected, so that typing replaces it.
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');
  await page.waitForURL(`${base}/login?done=new-password`);
  check(await page.textContent('[role="status"]#refusal') === 'Your new password is set. Sign in with it.', 'the word of success');
  await look(page, 'password-set');
  await page.focus('#email');
  await page.keyboard.type(ADDRESS);
  await page.keyboard.press('Tab');
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => !url.pathname.startsWith('/login'));
  check((await page.evaluate(() => fetch('/v1/raters/me').then((answer) => answer.json()))).name === 'Ada', 'she is who she was before');

  // A link that was used, and no link at all; both lead to another mail.
  await page.goto(sent[0].link);
  await page.waitForSelector('[data-part="again"]:not([hidden])');
  check(page.url() === `${base}/new-password` && /used before, or its time is over/.test(await text(page)), `a used link: ${page.url()} ${await text(page)}`);
  await look(page, 'used-link');
  await page.goto(`${base}/login`);
  await page.goto(`${base}/new-password`);
  await page.waitForSelector('[data-part="again"]:not([hidden])');
  check(/Open this page with the link in your mail/.test(await text(page)), `no link: ${await text(page)}`);
  // A token that opens nothing, in a tab that shows the page already.
  await page.evaluate(() => { location.hash = 'access_token=a.b.c&type=recovery'; });
  await page.waitForSelector('[data-part="form"]:not([hidden])');
  expecting.isExpected = true;
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');
  await page.waitForSelector('[data-part="again"]:not([hidden])');
  expecting.isExpected = false;
  check(/time of this link is over/.test(await text(page)) && await page.isHidden('[data-part="form"]'), `a bad token: ${await text(page)}`);
  await page.keyboard.press('Enter');
  await page.waitForURL(`${base}/forgotten-password`);

  // Without scripts a mail can be asked for, and the page of the link says what it needs.
  const plain = watch(await (await browser.newContext({ viewport: DESK, javaScriptEnabled: false })).newPage());
  await plain.goto(`${base}/new-password#access_token=a.b.c`);
  check(await plain.isVisible('text=allow scripts for this site') && await plain.isHidden('#password'), 'the page says that it needs its script');
  await plain.goto(`${base}/forgotten-password`);
  await plain.fill('#email', 'nobody@example.com');
  await plain.press('#email', 'Enter');
  await plain.waitForURL(`${base}/forgotten-password?asked`);

  check(troubles.length === 0, `found on the way:\n  ${troubles.join('\n  ')}`);
  console.log('a password asked for by mail and set by keyboard, 8 pages clean');
} catch (error) {
  console.error(String(error.message || error));
  if (troubles.length && !String(error).includes('found on the way')) console.error(troubles.join('\n'));
  process.exitCode = 1;
} finally {
  await browser.close();
}
