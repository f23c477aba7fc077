// How a task and its candidates look: one renderer per task type, and plain facts for a shape nobody foresaw.
'use strict';
(() => {
  const rater = window.rater;
  const { LETTERS, element, words, named, numeric, number, percent, money, bar, facts, json, delta } = rater;

  /** Figures of a plan: path in `expected` or the plan, words, how to print, how to print a gap. */
  const PLAN_FIGURES = [
    ['expected.roas', 'Expected ROAS', (v) => number(v), (v) => number(v)],
    ['expected.revenue', 'Expected revenue', (v, p) => money(v, p.currency), (v) => money(v)],
    ['expected.spend', 'Spend', (v, p) => money(v, p.currency), (v) => money(v)],
    ['expected.conversions', 'Conversions', (v) => number(v), (v) => number(v)],
    ['expected.reach', 'Reach', (v) => number(v), (v) => number(v)],
    ['concentration', 'Concentration', (v) => percent(v), (v) => points(v)],
    ['uncertainty_share', 'Spend on uncertain estimates', (v) => percent(v), (v) => points(v)],
  ];
  const points = (v) => `${(v * 100).toFixed(0)} points`;
  const at = (value, path) => path.split('.').reduce((inner, name) => inner?.[name], value);

  /** The candidate against the best-placed other one: the other with two candidates, the highest other with three. */
  function gapTo(candidates, place, path) {
    const own = numeric(at(candidates[place], path));
    const others = candidates.filter((_, i) => i !== place).map((one) => numeric(at(one, path))).filter((v) => v !== null);
    return own === null || others.length === 0 ? null : own - Math.max(...others);
  }

  function planFigures(plan, candidates, place) {
    const rows = PLAN_FIGURES.filter(([path]) => candidates.some((one) => numeric(at(one, path)) !== null)).map(([path, name, print, printGap]) => {
      const value = at(plan, path);
      const gap = gapTo(candidates, place, path);
      const interval = path === 'expected.roas' && numeric(plan.expected?.roas_low) !== null && numeric(plan.expected?.roas_high) !== null
        ? element('span', { class: 'muted small' }, ` ${number(plan.expected.roas_low)} to ${number(plan.expected.roas_high)}`) : null;
      return element('div', { class: 'plan-figure', 'data-path': `/${path.replace('.', '/')}` }, element('dt', {}, name),
        element('dd', {}, element('strong', {}, print(value, plan)), interval, gap === null ? null : [' ', delta(gap, printGap(Math.abs(gap)), `than ${candidates.length > 2 ? 'the best other' : LETTERS[1 - place]}`)]));
    });
    return element('dl', { class: 'plan-figures' }, rows);
  }

  function planLines(plan, letter) {
    const lines = plan.lines || [];
    const largest = Math.max(...lines.map((line) => numeric(line.share) || 0), 0.0001);
    const rows = lines.map((line, i) => element('tr', { 'data-path': `/lines/${i}` },
      element('th', { scope: 'row' }, line.placement_type ? named(line.placement_type) : 'Any placement', line.audience_segment ? named(line.audience_segment, { class: 'muted small block' }) : null),
      element('td', {}, bar((numeric(line.share) || 0) / largest), element('span', { class: 'small' }, `${percent(line.share, 1)} · ${money(line.spend)}`)),
      element('td', { class: 'number' }, numeric(line.marginal_roas) === null ? element('span', { class: 'muted' }, '–') : number(line.marginal_roas),
        line.evidence ? element('span', { class: `small block ${line.evidence === 'fitted' ? '' : 'evidence-pooled'}`, title: line.evidence === 'fitted' ? 'Fitted to this placement’s own history' : 'Borrowed from all placements together' }, line.evidence === 'fitted' ? '● fitted' : '○ pooled') : null)));
    const rest = plan.other_lines && plan.other_lines.count > 0
      ? element('tr', {}, element('th', { scope: 'row' }, `${plan.other_lines.count} more lines`), element('td', { colspan: '2' }, element('span', { class: 'small' }, `${percent(plan.other_lines.share, 1)} · ${money(plan.other_lines.spend)}`))) : null;
    return element('table', { class: 'compact-table plan-lines' }, element('caption', { class: 'visually-hidden' }, `Budget lines of candidate ${letter}`),
      element('thead', {}, element('tr', {}, ['Budget line', 'Share and spend', 'Marginal ROAS'].map((text) => element('th', { scope: 'col' }, text)))), element('tbody', {}, rows, rest));
  }

  function planConstraints(plan) {
    if (!Array.isArray(plan.constraints) || plan.constraints.length === 0) return null;
    return element('ul', { class: 'checks', 'aria-label': 'Constraints' }, plan.constraints.map((one, i) => element('li', { 'data-path': `/constraints/${i}`, class: one.satisfied ? 'is-passed' : 'is-failed' },
      element('span', { 'aria-hidden': 'true' }, one.satisfied ? '✓ ' : '✗ '), element('span', { class: 'visually-hidden' }, one.satisfied ? 'kept: ' : 'broken: '),
      words(one.constraint), element('span', { class: 'muted' }, ` ${plain(one.value)} (limit ${plain(one.limit)})`))));
  }
  const plain = (value) => (numeric(value) === null ? String(value ?? 'not known') : number(value));

  function plan(value, task, place) {
    return [planFigures(value, task.candidates, place), planLines(value, LETTERS[place]), planConstraints(value), value.summary ? element('p', { class: 'prose', 'data-path': '/summary' }, value.summary) : null];
  }

  /** A call as name and laid-out arguments; text that is no JSON and SQL stay as written. */
  function toolCall(value) {
    if (typeof value === 'string') return code(value, '');
    if (typeof value?.sql === 'string') return sql(value.sql);
    if (typeof value?.call_text === 'string') {
      try { return call(JSON.parse(value.call_text), '/call_text'); } catch { return code(value.call_text, '/call_text'); }
    }
    return value?.call ? call(value.call, '/call') : call(value, '');
  }
  const call = (value, path) => (typeof value?.name === 'string' ? [element('p', { class: 'call-name', 'data-path': `${path}/name` }, element('code', {}, `${value.name}(…)`)), json(value.arguments ?? {}, `${path}/arguments`)] : json(value, path));
  const code = (text, path) => element('pre', { class: 'json', 'data-path': path, 'data-is-text': '' }, text);

  const CLAUSES = /\b(SELECT|FROM|(?:LEFT |RIGHT |INNER |FULL |CROSS )?(?:OUTER )?JOIN|ON|WHERE|GROUP BY|HAVING|ORDER BY|LIMIT|UNION(?: ALL)?|WITH|AND|OR|AS|SUM|COUNT|AVG|MIN|MAX|DISTINCT|DESC|ASC|IS|NOT|NULL|IN|BETWEEN|LIKE|CASE|WHEN|THEN|ELSE|END)\b/gi;
  const BREAKS = /^(FROM|(?:LEFT |RIGHT |INNER |FULL |CROSS )?(?:OUTER )?JOIN|WHERE|GROUP BY|HAVING|ORDER BY|LIMIT|UNION)/i;

  /** SQL with its clauses on lines of their own. Breaks are elements, so that places in the text stay what the checks say. */
  function sql(text) {
    const frame = element('pre', { class: 'json', 'data-path': '/sql', 'data-is-text': '' });
    const isOneLine = !text.trim().includes('\n');
    let from = 0;
    for (const found of text.matchAll(CLAUSES)) {
      // Inside quotes a word is no clause.
      const isQuoted = ((text.slice(0, found.index).match(/'/g) || []).length % 2) === 1;
      if (isQuoted) continue;
      frame.append(text.slice(from, found.index));
      if (isOneLine && found.index > 0 && BREAKS.test(found[0])) frame.append(element('br'));
      frame.append(element('span', { class: 'json-key' }, found[0]));
      from = found.index + found[0].length;
    }
    frame.append(text.slice(from));
    return frame;
  }

  /** Field mappings as a table, by source field. */
  function mapping(value) {
    const entries = Object.entries(value?.mapping ?? {});
    if (entries.length === 0) return json(value);
    const rows = entries.map(([from, one]) => [from, typeof one === 'string' ? one : one?.to, one?.transform]);
    return fieldTable('Field mapping', ['Retailer field', 'Canonical field', 'Transform'], rows, (from) => `/mapping/${String(from).replace(/~/g, '~0').replace(/\//g, '~1')}`);
  }

  function fieldTable(caption, heads, rows, pathOf = () => null) {
    const cell = (text) => element('td', {}, text === null || text === undefined ? element('span', { class: 'muted' }, '–') : element('code', {}, typeof text === 'string' ? text : JSON.stringify(text)));
    return element('table', { class: 'compact-table' }, element('caption', { class: 'visually-hidden' }, caption),
      element('thead', {}, element('tr', {}, heads.map((text) => element('th', { scope: 'col' }, text)))),
      element('tbody', {}, rows.map(([first, ...rest]) => element('tr', { 'data-path': pathOf(first) }, element('th', { scope: 'row' }, element('code', {}, String(first ?? '?'))), rest.map(cell)))));
  }

  /** What a policy forbids and how long texts may be, from wherever the context says so. */
  function policyOf(context) {
    const policy = { terms: [], limits: {} };
    const visit = (value) => {
      if (!value || typeof value !== 'object') return;
      for (const [name, one] of Object.entries(value)) {
        if (/^(disallowed|forbidden|banned)_(terms|words|claims)$/.test(name) && Array.isArray(one)) policy.terms.push(...one.filter((term) => typeof term === 'string' && term));
        const limit = /^max_(.*?)_?(length|characters|chars)$/.exec(name);
        if (limit && typeof one === 'number') policy.limits[limit[1]] = one;
        else if (/^max_lengths?$/.test(name) && one && typeof one === 'object') Object.assign(policy.limits, one);
        else visit(one);
      }
    };
    visit(context);
    return policy;
  }

  function flagged(text, terms) {
    if (terms.length === 0) return [text];
    const escaped = terms.map((term) => term.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).sort((a, b) => b.length - a.length);
    const parts = text.split(new RegExp(`(${escaped.join('|')})`, 'giu'));
    return parts.map((part, i) => (i % 2 ? element('mark', { class: 'flagged', title: 'Disallowed by the policy' }, part, element('span', { class: 'visually-hidden' }, ' (disallowed)')) : part));
  }

  function policyText(value, task) {
    const policy = policyOf(task.context);
    const fields = typeof value === 'string' ? [['text', value]] : Object.entries(value || {});
    return fields.map(([name, text]) => {
      if (typeof text !== 'string') return element('section', { class: 'text-field' }, element('h4', {}, words(name)), facts(text));
      const limit = policy.limits[name] ?? (fields.length === 1 ? policy.limits[''] ?? policy.limits.text : undefined);
      const length = [...text].length;
      const isOver = limit !== undefined && length > limit;
      const counter = limit === undefined ? `${length} characters` : `${length} of ${limit} characters${isOver ? `, ${length - limit} too many` : ''}`;
      return element('section', { class: 'text-field' },
        element('h4', {}, words(name), element('span', { class: `counter ${isOver ? 'is-over' : ''}` }, isOver ? '✗ ' : '', counter)),
        element('p', { class: /head|title/.test(name) ? 'prose ad-title' : 'prose', 'data-path': typeof value === 'string' ? '' : `/${name}`, 'data-is-text': '' }, flagged(text, policy.terms)));
    });
  }

  function tag(value) {
    if (typeof value?.tag !== 'string') return facts(value);
    return [element('p', { class: 'big-tag', 'data-path': '/tag' }, element('code', {}, value.tag)), remainder(value, 'tag')];
  }

  function answer(value) {
    if (typeof value?.answer !== 'string') return facts(value);
    return [element('p', { class: 'prose', 'data-path': '/answer', 'data-is-text': '' }, value.answer), remainder(value, 'answer')];
  }

  const RENDERERS = { plan_quality: plan, tool_call_qa: toolCall, schema_mapping: mapping, policy_compliance: policyText, tagging_normalization: tag, edge_case_red_team: answer };

  // ── Findings: evidence beside the candidate, never a verdict ──────────────

  /** Results of the automatic checks of one candidate, folded unless something failed. `show(finding)` goes to the place. */
  function checks(results, show) {
    if (results.length === 0) return null;
    const failed = results.filter((one) => !one.passed).length;
    const head = failed ? `Automatic checks: ${failed} of ${results.length} failed` : `Automatic checks: all ${results.length} passed`;
    let number = 0;
    const rows = [...results].sort((a, b) => Number(a.passed) - Number(b.passed)).map((one) => {
      const place = placeWords(one);
      if (!one.passed) { number += 1; one.number = number; }
      return element('li', { class: one.passed ? 'is-passed' : 'is-failed' },
        element('span', { 'aria-hidden': 'true' }, one.passed ? '✓ ' : `✗${one.number} `), element('span', { class: 'visually-hidden' }, one.passed ? 'passed: ' : `failed, number ${one.number}: `),
        element('strong', {}, words(one.rule ?? one.check)), one.version ? element('span', { class: 'muted' }, ` v${one.version}`) : null,
        place && !one.passed ? [' at ', element('button', { type: 'button', class: 'place-link', onclick: () => show(one) }, element('code', {}, place), element('span', { class: 'visually-hidden' }, ', show it'))] : null,
        element('span', { class: 'block muted' }, one.message));
    });
    return element('details', { class: 'checks-frame', open: failed > 0 }, element('summary', {}, element('span', { 'aria-hidden': 'true', class: failed ? 'mark-bad' : 'mark-good' }, failed ? '✗ ' : '✓ '), head),
      element('p', { class: 'small muted checks-note' }, 'Evidence found by programs, not a verdict: a check may be wrong, and what none of them looks at counts as well.'), element('ul', { class: 'checks' }, rows));
  }

  const placeWords = (one) => one.path || one.place || (rangeOf(one) ? `characters ${rangeOf(one)[0] + 1} to ${rangeOf(one)[1]}` : null);

  /** `[from, to]` in characters, however a check states it. */
  function rangeOf(one) {
    const range = one.range ?? one.span;
    const pair = Array.isArray(range) ? range : range && typeof range === 'object' ? [range.start ?? range.from, range.end ?? range.to] : null;
    return pair && pair.every(Number.isInteger) && pair[1] > pair[0] ? pair : null;
  }

  /** The element that a JSON pointer names, or the nearest one around it; null when nothing of it is shown. */
  function elementAt(root, pointer) {
    const all = [...root.querySelectorAll('[data-path]')];
    for (let at = pointer.startsWith('/') ? pointer : `/${pointer}`; at; at = at.slice(0, at.lastIndexOf('/'))) {
      // Some checks count from the call inside the candidate rather than from the candidate.
      const found = all.find((one) => one.dataset.path === at) ?? all.find((one) => one.dataset.path.endsWith(at));
      if (found) return found;
    }
    return null;
  }

  /** Marks the failed findings at their places inside `root`; each mark repeats the number it has in the list. */
  function markFindings(root, failed) {
    for (const one of failed) {
      const place = one.path ?? one.place ?? '';
      const lineColumn = /^(?:(\/?[\w/]*):)?(\d+):(\d+)$/.exec(place);
      const texts = [...root.querySelectorAll('[data-is-text]')];
      // As the checks write it: a member, and for texts the line and column or the characters.
      const written = /^(.*?)(?: line (\d+), column (\d+)| characters (\d+) to (\d+))$/.exec(place);
      let target = null, range = rangeOf(one);
      if (written) {
        target = elementAt(root, written[1]) ?? texts[0] ?? null;
        if (target) range = written[2] ? fromLine(target.textContent, Number(written[2]), Number(written[3])) : [Number(written[4]) - 1, Number(written[5])];
      } else if (lineColumn) {
        target = (lineColumn[1] && elementAt(root, lineColumn[1])) || texts[0];
        range = target ? fromLine(plainText(target), Number(lineColumn[2]), Number(lineColumn[3])) : null;
      } else if (place.startsWith('/')) {
        target = elementAt(root, place);
      } else if (range) {
        target = texts[0] ?? root.querySelector('[data-path]');
      } else if (place) {
        // A word of the text, or the name of a field.
        target = texts.find((text) => plainText(text).toLowerCase().includes(place.toLowerCase())) ?? elementAt(root, place);
        const own = target?.hasAttribute('data-is-text') ? plainText(target) : '', from = own.toLowerCase().indexOf(place.toLowerCase());
        if (from >= 0) range = [[...own.slice(0, from)].length, [...own.slice(0, from + place.length)].length];
      }
      if (!target) continue;
      const said = () => element('sup', { class: 'finding-number', title: `${words(one.rule ?? one.check)}: ${one.message}` }, element('span', { 'aria-hidden': 'true' }, `✗${one.number}`), element('span', { class: 'visually-hidden' }, ` failed check ${one.number} `));
      const marked = range && target.hasAttribute('data-is-text') ? markRange(target, range) : null;
      if (marked) { marked.append(said()); one.target = marked; continue; }
      target.classList.add('has-finding');
      const cell = target.tagName === 'TR' ? target.querySelector('th, td') : target;
      // A structure is tinted as a whole and numbered where it begins.
      if (target.querySelector('.json-member')) { target.classList.replace('has-finding', 'has-finding-inside'); target.firstChild.after(said()); } else cell.append(said());
      one.target = target;
    }
  }

  /** The word or the rest of the line that begins at line and column, both from 1, in characters. */
  function fromLine(text, line, column) {
    const lines = text.split('\n');
    const before = lines.slice(0, line - 1).reduce((sum, one) => sum + [...one].length + 1, 0);
    const rest = [...(lines[line - 1] ?? '')].slice(column - 1).join('');
    const word = /^[\p{L}\p{N}_.]+/u.exec(rest)?.[0] ?? rest.slice(0, 1);
    return word ? [before + column - 1, before + column - 1 + [...word].length] : null;
  }

  /** The text of the candidate itself: what was added for reading has no place in it. */
  const isOwn = (node) => !node.parentElement.closest('.visually-hidden, .finding-number');
  function plainText(target) {
    const walker = document.createTreeWalker(target, NodeFilter.SHOW_TEXT);
    let text = '';
    for (let node = walker.nextNode(); node; node = walker.nextNode()) if (isOwn(node)) text += node.data;
    return text;
  }

  /** Wraps characters `from` to `to` of an element's text in a mark, when they lie in it; null otherwise. */
  function markRange(target, [from, to]) {
    const walker = document.createTreeWalker(target, NodeFilter.SHOW_TEXT);
    let at = 0;
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (!isOwn(node)) continue;
      const letters = [...node.data];
      if (from < at + letters.length) {
        const start = letters.slice(0, from - at).join('').length, end = letters.slice(0, to - at).join('').length;
        const part = document.createRange();
        part.setStart(node, start);
        part.setEnd(node, Math.min(end, node.data.length));
        const made = element('mark', { class: 'flagged' });
        part.surroundContents(made);
        return made;
      }
      at += letters.length;
    }
    return null;
  }

  function showFinding(one) {
    if (!one.target) return;
    one.target.setAttribute('tabindex', '-1');
    one.target.scrollIntoView({ block: 'center', inline: 'nearest' });
    one.target.focus({ preventScroll: true });
    one.target.classList.remove('is-shown');
    requestAnimationFrame(() => one.target.classList.add('is-shown'));
  }

  /** One candidate with its head, body and checks. */
  function candidate(task, place) {
    const value = task.candidates[place];
    let body;
    // A candidate may have any shape; a renderer that cannot read it must not hide it.
    try { body = (RENDERERS[task.task_type] || ((one) => facts(one)))(value, task, place); } catch { body = json(value); }
    const results = (task.auto_checks || []).filter((one) => one.candidate === place).map((one) => ({ ...one }));
    const failed = results.filter((one) => !one.passed);
    const list = checks(results, showFinding);
    const content = element('div', { class: 'candidate-content' }, body);
    // A place that cannot be found must not hide the candidate either.
    try { markFindings(content, failed); } catch { /* the list still says it */ }
    return element('section', { class: 'candidate', 'aria-labelledby': `candidate-${place}`, 'data-place': String(place) },
      element('h3', { id: `candidate-${place}`, class: 'candidate-head' }, element('span', { class: 'candidate-letter', 'aria-hidden': 'true' }, LETTERS[place]), `Candidate ${LETTERS[place]}`, failed.length ? element('span', { class: 'head-note' }, `✗ ${failed.length} ${failed.length === 1 ? 'check' : 'checks'}`) : null),
      element('div', { class: 'candidate-body', tabindex: '0', role: 'region', 'aria-label': `Candidate ${LETTERS[place]}, content` }, content, list));
  }

  let scrollsTogether = true;
  /** Whether the candidates scroll together; read when they scroll, so a change counts at once. */
  const setScrollsTogether = (is) => { scrollsTogether = is; };

  /** Keeps the scroll positions of several frames alike. */
  function scrollTogether(frames) {
    let leader = null, timer = 0;
    for (const frame of frames) {
      frame.addEventListener('scroll', () => {
        if (!scrollsTogether || (leader && leader !== frame)) return;
        leader = frame;
        clearTimeout(timer);
        timer = setTimeout(() => { leader = null; }, 120);
        for (const other of frames) if (other !== frame) other.scrollTop = frame.scrollTop;
      }, { passive: true });
    }
  }

  /** All candidates side by side. */
  function candidates(task) {
    const made = task.candidates.map((_, place) => candidate(task, place));
    scrollTogether(made.map((one) => one.querySelector('.candidate-body')));
    return made;
  }

  /** Context by kind; members that only the machine needs (`kind`, `expects`) are left out. */
  const SNIPPETS = {
    source_fields: (one) => fieldTable('Fields of the retailer', ['Field', 'Type', 'Example', 'Unit'], (one.fields ?? []).map((f) => [f.name, f.type, f.example, f.unit])),
    canonical_schema: (one) => fieldTable('Canonical fields', ['Field', 'Type', 'Required', 'Unit'], (one.fields ?? []).map((f) => [f.name, f.type, f.required ? 'yes' : 'no', f.unit])),
    tools: (one) => (one.tools ?? []).map((tool) => element('details', { class: 'checks-frame', open: (one.tools ?? []).length === 1 }, element('summary', {}, element('code', {}, tool.name)), tool.description ? element('p', { class: 'small' }, tool.description) : null, json(tool.parameters ?? {}))),
    sql_schema: (one) => fieldTable('Tables', ['Table', 'Columns'], Object.entries(one.tables ?? {}).map(([name, columns]) => [name, (columns ?? []).join(', ')])),
    taxonomy: (one) => [one.noisy_tag ? element('p', { class: 'big-tag' }, element('code', {}, one.noisy_tag)) : null, element('p', { class: 'muted small' }, 'Tags of the taxonomy'), element('ul', { class: 'tag-list' }, (one.tags ?? []).map((tag) => element('li', {}, element('code', {}, tag)))), one.variants && Object.keys(one.variants).length ? [element('p', { class: 'muted small' }, 'Known variants'), facts(one.variants)] : null],
    plan_request: (one) => planRequest(one),
    input: (one) => (typeof one.input === 'string' ? element('p', { class: 'prose' }, one.input) : json(one.input ?? null)),
  };

  /** What a plan is asked for: what is set, in the order people ask it; limits that are not set are not limits. */
  function planRequest({ campaign_name, objective, budget, currency, horizon_days, constraints, retailer_id, title, ...rest }) {
    const limits = Object.entries(constraints ?? {}).filter(([, one]) => one !== null && one !== undefined && !(Array.isArray(one) && one.length === 0));
    const rows = [['Campaign', campaign_name], ['Objective', objective ? words(objective) : null], ['Budget', budget === undefined || budget === null ? null : money(budget, currency)], ['Horizon', horizon_days ? `${number(horizon_days)} days` : null], ['Retailer', retailer_id ? element('span', { title: retailer_id }, words(retailer_id.replace(/^rtl-/, '').replace(/-/g, ' '))) : null]];
    const list = [...rows.filter(([, one]) => one).map(([name, one]) => [element('dt', {}, name), element('dd', {}, one)]),
      [element('dt', {}, 'Constraints'), element('dd', {}, limits.length ? facts(Object.fromEntries(limits)) : element('span', { class: 'muted' }, 'none beyond the budget'))]];
    return [element('dl', { class: 'facts' }, list), Object.values(rest).some((one) => one !== null && one !== undefined) ? facts(Object.fromEntries(Object.entries(rest).filter(([, one]) => one !== null && one !== undefined))) : null];
  }

  function snippet(one) {
    if (one === null || typeof one !== 'object') return element('p', { class: 'prose' }, String(one));
    const { kind, title, expects, ...rest } = one;
    const head = title ?? (kind ? words(kind) : null);
    const form = SNIPPETS[kind] ?? ('budget' in rest && 'constraints' in rest ? SNIPPETS.plan_request : null);
    const body = form ? form(rest) : typeof rest.text === 'string' ? [element('p', { class: 'prose' }, rest.text), remainder(rest, 'text')] : facts(rest);
    return element('section', { class: 'snippet' }, head ? element('h3', {}, head) : null, body);
  }
  const remainder = (value, name) => { const { [name]: _, ...rest } = value; return Object.keys(rest).length ? facts(rest) : null; };

  /** What a rater needs to know before looking at the candidates. */
  function context(task) {
    return [element('p', { class: 'task-prompt' }, task.prompt), (task.context ?? []).map(snippet)];
  }

  Object.assign(rater, { candidates, context, setScrollsTogether, planFigureRows: PLAN_FIGURES });
})();
