// What the browser tests share: a browser, people who sign in by keyboard, a watch over errors, and scans for accessibility.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const axe = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TIMEOUT = 15_000;
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

export const DESK = { width: 1366, height: 768 };

export function check(condition, words) {
  if (!condition) throw new Error(words);
}

export const launch = () => chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
});

/** Collects what goes wrong on pages: `watch(page)` from then on, except while `isExpected` is set. */
export function troubleList() {
  const list = [];
  const state = { isExpected: false };
  const note = (text) => { if (!state.isExpected) list.push(text); };
  const watch = (page) => {
    page.setDefaultTimeout(TIMEOUT);
    page.on('console', (message) => { if (message.type() === 'error') note(`console on ${page.url()}: ${message.text()}`); });
    page.on('pageerror', (error) => list.push(`script on ${page.url()}: ${error}`));
    page.on('response', (response) => { if (response.status() >= 400) note(`${response.status()} ${response.request().method()} ${response.url()}`); });
    return page;
  };
  return { list, watch, state };
}

/** Signs in by keyboard: address, Tab, password, Enter. */
export async function signIn(page, base, role) {
  await page.goto(`${base}/login`);
  await page.focus('#email');
  await page.keyboard.type(`${role}@endcap.example`);
  await page.keyboard.press('Tab');
  await page.keyboard.type(`${role}-of-the-demo`);
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => !url.pathname.startsWith('/login'));
}

/** Looks at a page in both themes: no finding of axe at the levels of WCAG 2.2 AA, no scrolling sideways; a picture of each when asked for. */
export async function scan(page, name, troubles, pictures) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    // Colours fade from one scheme to the other; what is measured is where they end.
    await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
    await page.evaluate(() => Promise.allSettled(document.getAnimations().map((animation) => animation.finished)));
    await page.evaluate(axe);
    const { violations } = await page.evaluate((values) => window.axe.run(document, { runOnly: { type: 'tag', values } }), TAGS);
    for (const one of violations) troubles.push(`axe on ${name} (${colorScheme}): ${one.impact} ${one.id}, ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.target.join(' ')).join('; ')}`);
    const sideways = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    if (sideways > 0) troubles.push(`${name} (${colorScheme}) scrolls sideways by ${sideways} px`);
    if (pictures) {
      fs.mkdirSync(pictures, { recursive: true });
      await page.screenshot({ path: path.join(pictures, `${name}-${colorScheme}.png`) });
    }
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null });
}

/** No sideways scroll in narrow and enlarged windows, after which the window is as it was. */
export async function narrow(page, name, troubles, pictures) {
  // 360 px is a small phone; 683x384 is what 200 % zoom leaves of 1366x768; 3840x2160 is 4K.
  for (const [width, height] of [[360, 740], [683, 384], [3840, 2160]]) {
    await page.setViewportSize({ width, height });
    await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
    const sideways = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    if (sideways > 0) troubles.push(`${name} scrolls sideways by ${sideways} px at ${width}x${height}`);
    if (pictures) await page.screenshot({ path: path.join(pictures, `${name}-${width}.png`) });
  }
  await page.setViewportSize(DESK);
}

/** Asks the page again until its answer is wanted. (`waitForFunction` takes the promise of an async function for the answer, and never asks again.) */
export async function until(page, question, argument, seconds, isWanted = Boolean) {
  const end = Date.now() + seconds * 1000;
  let answer;
  while (Date.now() < end) {
    answer = await page.evaluate(question, argument);
    if (isWanted(answer)) return;
    await page.waitForTimeout(200);
  }
  throw new Error(`after ${seconds} s the answer is still ${JSON.stringify(answer)}`);
}
