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

  /** Short forms of the field, spelled as the field spells them. */
  const SHORT_FORMS = new Map('AB AC1 AOV API CPA CPC CPM CPO CTA CTR CVR GMV ID JSON KPI POS ROAS ROI SKU SKUs SQL UPC URL iROAS'.split(' ').map((one) => [one.toLowerCase(), one]));
  const UNITS = new Map([['usd', 'USD'], ['eur', 'EUR'], ['gbp', 'GBP']]);

  /** `sponsored_search` and `max_cpa` as people read them: "Sponsored search", "Max CPA". */
  const words = (name) => {
    const spelled = String(name).replace(/_/g, ' ').trim().split(' ').map((word) => SHORT_FORMS.get(word.toLowerCase()) ?? UNITS.get(word) ?? word).join(' ');
    return spelled.charAt(0) === 'i' && spelled.startsWith('iROAS') ? spelled : spelled.charAt(0).toUpperCase() + spelled.slice(1);
  };

  /** An id made of words (`aud-lifestage-1-adult-kids`, `mailer.interior_feature`) as people read it: "Lifestage: 1 adult kids", "Mailer: interior feature". */
  const nameOf = (id) => {
    const text = String(id ?? '').replace(/^(aud|seg|plc|cmp)[-_]/, '');
    const [first, ...rest] = text.includes('.') ? text.split('.') : text.split('-');
    const tail = rest.join(' ').replace(/[-_.]+/g, ' ').trim();
    return tail ? `${words(first)}: ${tail}` : words(first.replace(/-/g, ' '));
  };

  /** Such a name with the id it stands for at hand. */
  const named = (id, attributes = {}) => element('span', { ...attributes, title: String(id) }, nameOf(id));

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

  /** JSON with two spaces; every value knows its place as a JSON pointer, so that findings can point at it. */
  function json(value, path = '') {
    const frame = element('pre', { class: 'json' });
    const write = (one, at, indent) => {
      const inner = `${indent}  `;
      if (one === null || typeof one !== 'object' || Object.keys(one).length === 0) {
        return element('span', { 'data-path': at, class: typeof one === 'string' ? 'json-text' : 'json-plain' }, JSON.stringify(one) ?? 'null');
      }
      const isList = Array.isArray(one);
      const made = element('span', { 'data-path': at }, isList ? '[' : '{');
      Object.entries(one).forEach(([name, inside], i, all) => {
        const to = `${at}/${name.replace(/~/g, '~0').replace(/\//g, '~1')}`;
        const line = element('span', { class: 'json-member' }, `\n${inner}`, isList ? null : [element('span', { class: 'json-key' }, JSON.stringify(name)), ': '], write(inside, to, inner), i < all.length - 1 ? ',' : '');
        made.append(line);
      });
      made.append(`\n${indent}${isList ? ']' : '}'}`);
      return made;
    };
    frame.append(write(value, path, ''));
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

  Object.assign(rater, { LETTERS, CHOICES, element, words, nameOf, named, choiceWords, numeric, number, percent, money, clock, bar, facts, json, isTyping, announce });
})();
