// Building blocks of the rater app's pages: elements, words and figures. Everything hangs on `window.rater`.
'use strict';
(() => {
  const rater = (window.rater = window.rater || {});

  /** Makes an element: `element('p', { class: 'muted', onclick: f }, 'text', child)`. Texts are never read as HTML. */
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
      else if (name in made && typeof value !== 'string') made[name] = value;
      else made.setAttribute(name, value === true ? '' : value);
    }
    made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
    return made;
  }

  const LETTERS = ['A', 'B', 'C'];
  const CHOICES = ['candidate_a', 'candidate_b', 'candidate_c'];

  /** `sponsored_search` as people read it. */
  const words = (name) => {
    const text = String(name).replace(/_/g, ' ').trim();
    return text.charAt(0).toUpperCase() + text.slice(1);
  };

  /** A choice as the rater sees it. */
  const choiceWords = (choice) => {
    const place = CHOICES.indexOf(choice);
    if (place >= 0) return `${LETTERS[place]} is better`;
    return { tie: 'Tie: equally good', both_bad: 'None is acceptable', unsure: 'Unsure' }[choice] || words(choice);
  };

  const numeric = (value) => {
    if (typeof value === 'number') return Number.isFinite(value) ? value : null;
    if (typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value)) return Number(value);
    if (value && typeof value === 'object' && 'amount' in value) return numeric(value.amount);
    return null;
  };

  /** A number with as many decimals as its size deserves. */
  const number = (value) => {
    const n = numeric(value);
    if (n === null) return 'not known';
    const digits = Math.abs(n) >= 100 || Number.isInteger(n) ? 0 : 2;
    return n.toLocaleString('en', { maximumFractionDigits: digits });
  };

  const percent = (value, digits = 0) => {
    const n = numeric(value);
    return n === null ? 'not known' : `${(n * 100).toFixed(digits)} %`;
  };

  const money = (value, currency) => {
    const n = numeric(value);
    if (n === null) return 'not known';
    const unit = currency || (value && value.currency) || '';
    const text = n.toLocaleString('en', { maximumFractionDigits: Math.abs(n) >= 1000 ? 0 : 2 });
    return unit ? `${text} ${unit}` : text;
  };

  /** Minutes and seconds: 4:05. */
  const clock = (ms) => {
    const seconds = Math.max(0, Math.ceil(ms / 1000));
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  };

  /** A bar of a share between 0 and 1; the figure stands beside it, so it is hidden from screen readers. */
  function bar(share, kind = '') {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('viewBox', '0 0 100 6');
    svg.setAttribute('preserveAspectRatio', 'none');
    svg.setAttribute('class', `share-bar ${kind}`);
    svg.setAttribute('aria-hidden', 'true');
    const fill = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
    fill.setAttribute('width', String(Math.max(0, Math.min(1, share || 0)) * 100));
    fill.setAttribute('height', '6');
    svg.append(fill);
    return svg;
  }

  /** Any JSON value as definition lists and lines: for context and for shapes nobody foresaw. */
  function facts(value, depth = 0) {
    if (value === null || value === undefined) return element('span', { class: 'muted' }, 'none');
    if (typeof value === 'boolean') return document.createTextNode(value ? 'yes' : 'no');
    if (typeof value === 'number') return document.createTextNode(number(value));
    // Decimals with six places are money, written exactly for programs.
    if (typeof value === 'string') return document.createTextNode(/^-?\d+\.\d{6}$/.test(value) ? money(value) : value);
    if (Array.isArray(value)) {
      if (value.length === 0) return element('span', { class: 'muted' }, 'none');
      const isShort = value.every((one) => one === null || typeof one !== 'object') && value.join(', ').length < 200;
      if (isShort) return document.createTextNode(value.join(', '));
      return element('ul', { class: 'facts-list' }, value.map((one) => element('li', {}, facts(one, depth + 1))));
    }
    if ('amount' in value && 'currency' in value) return document.createTextNode(money(value.amount, value.currency));
    const rows = Object.entries(value).map(([name, one]) => [element('dt', {}, words(name)), element('dd', {}, facts(one, depth + 1))]);
    return element('dl', { class: depth ? 'facts facts-inner' : 'facts' }, rows);
  }

  /** JSON with two spaces, keys coloured by weight rather than by hue. */
  function json(value) {
    const text = JSON.stringify(value, null, 2) ?? 'null';
    const frame = element('pre', { class: 'json' });
    let from = 0;
    for (const found of text.matchAll(/^(\s*)("(?:[^"\\]|\\.)*")(:)/gm)) {
      frame.append(text.slice(from, found.index + found[1].length), element('span', { class: 'json-key' }, found[2]));
      from = found.index + found[1].length + found[2].length;
    }
    frame.append(text.slice(from));
    return frame;
  }

  /** Whether keys belong to a text field or an open dialog rather than to the page. */
  function isTyping(event) {
    const at = event.target;
    if (document.querySelector('dialog[open]')) return true;
    if (!(at instanceof HTMLElement)) return false;
    if (at.isContentEditable || at.tagName === 'TEXTAREA' || at.tagName === 'SELECT') return true;
    return at.tagName === 'INPUT' && !['checkbox', 'radio', 'button', 'submit'].includes(at.type);
  }

  /** Says something to screen readers and to nobody else. */
  function announce(text) {
    const region = document.getElementById('announcements');
    if (!region) return;
    region.textContent = '';
    requestAnimationFrame(() => { region.textContent = text; });
  }

  Object.assign(rater, { LETTERS, CHOICES, element, words, choiceWords, numeric, number, percent, money, clock, bar, facts, json, isTyping, announce });
})();
