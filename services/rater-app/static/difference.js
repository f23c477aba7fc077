// What differs between two candidates: words for texts, paths for JSON, lines for plans. Symbols say what colours say.
'use strict';
(() => {
  const rater = window.rater;
  const { element, words, named, money, percent, numeric } = rater;
  /** Above this many pairs of words the common start and end are kept and the middle is shown whole. */
  const MOST_PAIRS = 1500000;
  const MOST_PATHS = 400;

  /** Steps from `a` to `b` over tokens: [kind, text] with kind 'same', 'gone' or 'new'. */
  function wordSteps(a, b) {
    // A word brings the space before it along, and is compared without it: spaces alone are no difference.
    const left = a.match(TOKENS) || [], right = b.match(TOKENS) || [];
    const isSame = (one, other) => one.trim() === other.trim();
    let start = 0;
    while (start < left.length && start < right.length && isSame(left[start], right[start])) start += 1;
    let end = 0;
    while (end < left.length - start && end < right.length - start && isSame(left[left.length - 1 - end], right[right.length - 1 - end])) end += 1;
    const x = left.slice(start, left.length - end), y = right.slice(start, right.length - end);
    const middle = x.length * y.length > MOST_PAIRS ? [['gone', x.join('')], ['new', y.join('')]] : longestCommon(x, y);
    return smooth(join([['same', left.slice(0, start).join('')], ...middle, ['same', left.slice(left.length - end).join('')]]));
  }
  const TOKENS = /\s*[\p{L}\p{N}_]+|\s*[^\s\p{L}\p{N}_]|\s+$/gu;

  /** A dot or an "of" that happens to stand in both texts between two changes only cuts them into crumbs: it joins the change. */
  function smooth(steps) {
    const calm = [];
    let gone = '', come = '';
    const flush = () => { if (gone) calm.push(['gone', gone]); if (come) calm.push(['new', come]); gone = come = ''; };
    steps.forEach(([kind, text], i) => {
      const isBetween = (gone || come) && i < steps.length - 1;
      if (kind === 'gone') gone += text;
      else if (kind === 'new') come += text;
      else if (isBetween && text.trim().length <= CRUMB) { gone += text; come += text; }
      else { flush(); calm.push([kind, text]); }
    });
    flush();
    return calm;
  }
  /** Longest such crumb, in characters. */
  const CRUMB = 2;

  function longestCommon(x, y) {
    const width = y.length + 1;
    const best = new Uint32Array((x.length + 1) * width);
    for (let i = x.length - 1; i >= 0; i -= 1) {
      for (let j = y.length - 1; j >= 0; j -= 1) {
        best[i * width + j] = x[i].trim() === y[j].trim() ? best[(i + 1) * width + j + 1] + 1 : Math.max(best[(i + 1) * width + j], best[i * width + j + 1]);
      }
    }
    const steps = [];
    let i = 0, j = 0;
    while (i < x.length || j < y.length) {
      if (i < x.length && j < y.length && x[i].trim() === y[j].trim()) { steps.push(['same', x[i]]); i += 1; j += 1; }
      else if (j >= y.length || (i < x.length && best[(i + 1) * width + j] >= best[i * width + j + 1])) { steps.push(['gone', x[i]]); i += 1; }
      else { steps.push(['new', y[j]]); j += 1; }
    }
    return steps;
  }

  function join(steps) {
    const joined = [];
    for (const [kind, text] of steps) {
      const last = joined[joined.length - 1];
      if (!text) continue;
      if (last && last[0] === kind) last[1] += text; else joined.push([kind, text]);
    }
    return joined;
  }

  /** A word difference as prose: what only the first says is struck, what only the second says is underlined. */
  function wordDifference(a, b, names) {
    const say = (text) => element('span', { class: 'visually-hidden' }, text);
    const parts = wordSteps(a, b).map(([kind, text]) => {
      if (kind === 'gone') return element('del', { class: 'only-first' }, say(` only ${names[0]}: `), text, say(' end '));
      if (kind === 'new') return element('ins', { class: 'only-second' }, say(` only ${names[1]}: `), text, say(' end '));
      return text;
    });
    return element('p', { class: 'prose difference-text' }, parts);
  }

  /** All leaves of a JSON value by path. */
  function leaves(value, path = '', found = new Map()) {
    if (value !== null && typeof value === 'object' && Object.keys(value).length > 0) {
      for (const [name, one] of Object.entries(value)) leaves(one, Array.isArray(value) ? `${path}[${name}]` : path ? `${path}.${name}` : name, found);
    } else {
      found.set(path || 'value', value);
    }
    return found;
  }

  const shown = (value) => (value === undefined ? element('span', { class: 'muted' }, 'absent') : element('code', {}, JSON.stringify(value)));

  /** Two cells; long texts on both sides are one cell that marks the words. */
  const LONG = 60;
  function values(a, b, hasA, hasB) {
    const isLong = typeof a === 'string' && typeof b === 'string' && Math.min(a.length, b.length) > LONG;
    if (isLong) return [element('td', { colspan: '2' }, wordDifference(a, b, ['first', 'second']))];
    return [element('td', { class: hasA ? 'only-first' : '' }, shown(a)), element('td', { class: hasB ? 'only-second' : '' }, shown(b))];
  }

  /** A table of the paths on which two JSON values differ. */
  function pathDifference(a, b, names) {
    const left = leaves(a), right = leaves(b);
    const paths = [...new Set([...left.keys(), ...right.keys()])];
    const isSame = (path) => left.has(path) && right.has(path) && JSON.stringify(left.get(path)) === JSON.stringify(right.get(path));
    const differing = paths.filter((path) => !isSame(path));
    const kind = (path) => (!right.has(path) ? ['−', `only in ${names[0]}`, 'only-first'] : !left.has(path) ? ['+', `only in ${names[1]}`, 'only-second'] : ['≠', 'differs', 'differs']);
    const rows = differing.slice(0, MOST_PATHS).map((path) => {
      const [symbol, meaning, style] = kind(path);
      return element('tr', {},
        element('td', { class: `difference-mark ${style}` }, element('span', { 'aria-hidden': 'true' }, symbol), element('span', { class: 'visually-hidden' }, meaning)),
        element('th', { scope: 'row' }, element('code', {}, path)),
        ...values(left.get(path), right.get(path), left.has(path), right.has(path)));
    });
    return [table(['', 'Where', `Candidate ${names[0]}`, `Candidate ${names[1]}`], rows, `Paths that differ between ${names[0]} and ${names[1]}`),
      element('p', { class: 'muted small' }, `${differing.length} of ${paths.length} values differ${differing.length > MOST_PATHS ? `; the first ${MOST_PATHS} are shown` : ''}.`)];
  }

  function table(heads, rows, caption, isNumeric = false) {
    const head = element('tr', {}, heads.map((text, i) => (text ? element('th', { scope: 'col', class: isNumeric && i ? 'number' : null }, text) : element('td', {}))));
    const body = rows.length ? rows : [element('tr', {}, element('td', { colspan: String(heads.length), class: 'muted' }, 'Nothing differs.'))];
    return element('div', { class: 'difference-frame', tabindex: '0', role: 'region', 'aria-label': caption },
      element('table', { class: 'compact-table' }, element('caption', { class: 'visually-hidden' }, caption), element('thead', {}, head), element('tbody', {}, body)));
  }

  /** Budget lines of two plans beside each other, with what the second spends more or less. */
  function planDifference(a, b, names) {
    const currency = a.currency || b.currency || '';
    const key = (line) => `${line.placement_type ?? ''}\u0000${line.audience_segment ?? ''}`;
    const find = (plan) => new Map((plan.lines || []).map((line) => [key(line), line]));
    const left = find(a), right = find(b);
    const keys = [...new Set([...left.keys(), ...right.keys()])];
    const spend = (map, at) => numeric(map.get(at)?.spend);
    const gap = (at) => (spend(right, at) ?? 0) - (spend(left, at) ?? 0);
    keys.sort((one, other) => Math.abs(gap(other)) - Math.abs(gap(one)));
    const cell = (map, at) => element('td', { class: 'number' }, map.has(at) ? [money(spend(map, at)), element('br'), element('span', { class: 'muted small' }, percent(map.get(at).share, 1))] : element('span', { class: 'muted' }, 'none'));
    const rows = keys.map((at) => {
      const [placement, audience] = at.split('\u0000');
      return element('tr', {},
        element('th', { scope: 'row' }, placement ? named(placement) : 'Any placement', audience ? named(audience, { class: 'muted small block' }) : null),
        cell(left, at), cell(right, at), element('td', { class: 'number' }, delta(gap(at), money(Math.abs(gap(at))))));
    });
    const sum = (map) => [...map.keys()].reduce((total, at) => total + (spend(map, at) ?? 0), 0);
    const total = element('tr', { class: 'total-row' }, element('th', { scope: 'row' }, 'All lines shown'), element('td', { class: 'number' }, money(sum(left))), element('td', { class: 'number' }, money(sum(right))), element('td', { class: 'number' }, delta(sum(right) - sum(left), money(Math.abs(sum(right) - sum(left))))));
    const title = `Spend${currency ? ` in ${currency}` : ''} by budget line`;
    return [element('h4', {}, 'What is expected'), table(['Figure', names[0], names[1], `${names[1]} against ${names[0]}`], figureRows(a, b), 'Expected figures', true),
      element('h4', {}, title), table(['Budget line', names[0], names[1], `${names[1]} against ${names[0]}`], [...rows, total], title, true),
      ...(a.summary || b.summary ? [element('h4', {}, 'Summary'), wordDifference(a.summary || '', b.summary || '', names)] : [])];
  }

  function figureRows(a, b) {
    const at = (value, path) => path.split('.').reduce((inner, name) => inner?.[name], value);
    return rater.planFigureRows.filter(([path]) => numeric(at(a, path)) !== null || numeric(at(b, path)) !== null).map(([path, name, print, printGap]) => {
      const x = numeric(at(a, path)), y = numeric(at(b, path));
      const show = (value, plan) => element('td', { class: 'number' }, value === null ? element('span', { class: 'muted' }, 'not known') : print(value, plan));
      return element('tr', {}, element('th', { scope: 'row' }, name), show(x, a), show(y, b), element('td', { class: 'number' }, x === null || y === null ? element('span', { class: 'muted' }, '–') : delta(y - x, printGap(Math.abs(y - x)))));
    });
  }

  /** A signed difference: triangle and word for those who do not see the colour. */
  function delta(gap, text, than = '') {
    if (!gap || Math.abs(gap) < 1e-9) return element('span', { class: 'delta' }, '= same');
    const isMore = gap > 0;
    return element('span', { class: `delta ${isMore ? 'delta-more' : 'delta-less'}`, title: `${isMore ? 'More' : 'Less'}${than ? ` ${than}` : ''}` },
      element('span', { 'aria-hidden': 'true' }, isMore ? '▲ +' : '▼ −'), element('span', { class: 'visually-hidden' }, isMore ? 'more by ' : 'less by '), text);
  }

  /** The text of a candidate, when it is one text. */
  const textOf = (value) => (typeof value === 'string' ? value : null);

  /** A call that came as text, when it is JSON. */
  function parsedCall(value) {
    if (typeof value?.call_text !== 'string') return value?.call ?? value;
    try { return JSON.parse(value.call_text); } catch { return value.call_text; }
  }

  function codeDifference(a, b, names) {
    const made = wordDifference(a, b, names);
    made.classList.add('code-text');
    return made;
  }

  /** The difference of two candidates in the form that suits the task type. */
  function difference(taskType, a, b, names) {
    if (textOf(a) !== null && textOf(b) !== null) return [wordDifference(a, b, names)];
    if (typeof a?.sql === 'string' && typeof b?.sql === 'string') return [codeDifference(a.sql, b.sql, names)];
    if (taskType === 'tool_call_qa') [a, b] = [parsedCall(a), parsedCall(b)];
    if (textOf(a) !== null && textOf(b) !== null) return [codeDifference(a, b, names)];
    if (taskType === 'plan_quality' && a?.lines && b?.lines) return planDifference(a, b, names);
    const texts = taskType === 'policy_compliance' || taskType === 'edge_case_red_team';
    if (texts && a && b && typeof a === 'object' && typeof b === 'object') {
      return [...new Set([...Object.keys(a), ...Object.keys(b)])].map((name) =>
        typeof a[name] === 'string' && typeof b[name] === 'string'
          ? element('section', {}, element('h4', {}, words(name)), wordDifference(a[name], b[name], names))
          : element('section', {}, element('h4', {}, words(name)), pathDifference(a[name] ?? null, b[name] ?? null, names)));
    }
    return pathDifference(a, b, names);
  }

  Object.assign(rater, { difference, delta });
})();
