// How a task and its candidates look: one renderer per task type, and plain facts for a shape nobody foresaw.
'use strict';
(() => {
  const rater = window.rater;
  const { LETTERS, element, words, numeric, number, percent, money, bar, facts, json, delta } = rater;

  /** Figures of a plan: path in `expected` or the plan, words, how to print, how to print a gap. */
  const PLAN_FIGURES = [
    ['expected.roas', 'Return on ad spend', (v) => number(v), (v) => number(v)],
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
      return element('div', { class: 'plan-figure' }, element('dt', {}, name),
        element('dd', {}, element('strong', {}, print(value, plan)), interval, gap === null ? null : [' ', delta(gap, printGap(Math.abs(gap)))]));
    });
    return element('dl', { class: 'plan-figures' }, rows);
  }

  function planLines(plan, letter) {
    const lines = plan.lines || [];
    const largest = Math.max(...lines.map((line) => numeric(line.share) || 0), 0.0001);
    const rows = lines.map((line) => element('tr', {},
      element('th', { scope: 'row' }, words(line.placement_type ?? 'any placement'), line.audience_segment ? element('span', { class: 'muted small block' }, words(line.audience_segment)) : null),
      element('td', {}, bar((numeric(line.share) || 0) / largest), element('span', { class: 'small' }, `${percent(line.share, 1)} · ${money(line.spend)}`)),
      element('td', { class: 'number' }, numeric(line.marginal_roas) === null ? element('span', { class: 'muted' }, '–') : number(line.marginal_roas),
        line.evidence ? element('span', { class: `small block ${line.evidence === 'fitted' ? '' : 'evidence-pooled'}`, title: line.evidence === 'fitted' ? 'Fitted to this placement’s own history' : 'Borrowed from all placements together' }, line.evidence === 'fitted' ? '● fitted' : '○ pooled') : null)));
    const rest = plan.other_lines && plan.other_lines.count > 0
      ? element('tr', {}, element('th', { scope: 'row' }, `${plan.other_lines.count} more lines`), element('td', { colspan: '2' }, element('span', { class: 'small' }, `${percent(plan.other_lines.share, 1)} · ${money(plan.other_lines.spend)}`))) : null;
    return element('table', { class: 'compact-table plan-lines' }, element('caption', { class: 'visually-hidden' }, `Budget lines of candidate ${letter}`),
      element('thead', {}, element('tr', {}, ['Line', 'Share and spend', 'Marginal return'].map((text) => element('th', { scope: 'col' }, text)))), element('tbody', {}, rows, rest));
  }

  function planConstraints(plan) {
    if (!Array.isArray(plan.constraints) || plan.constraints.length === 0) return null;
    return element('ul', { class: 'checks' }, plan.constraints.map((one) => element('li', { class: one.satisfied ? 'is-passed' : 'is-failed' },
      element('span', { 'aria-hidden': 'true' }, one.satisfied ? '✓ ' : '✗ '), element('span', { class: 'visually-hidden' }, one.satisfied ? 'kept: ' : 'broken: '),
      words(one.constraint), element('span', { class: 'muted' }, ` ${plain(one.value)} (limit ${plain(one.limit)})`))));
  }
  const plain = (value) => (numeric(value) === null ? String(value ?? 'not known') : number(value));

  function plan(value, task, place) {
    return [planFigures(value, task.candidates, place), planLines(value, LETTERS[place]), planConstraints(value), value.summary ? element('p', { class: 'prose' }, value.summary) : null];
  }

  /** A call as name and laid-out arguments; text that is no JSON and SQL stay as written. */
  function toolCall(value) {
    if (typeof value?.sql === 'string') return code(value.sql);
    if (typeof value?.call_text === 'string') {
      try { return call(JSON.parse(value.call_text)); } catch { return code(value.call_text); }
    }
    return call(value?.call ?? value);
  }
  const call = (value) => (typeof value?.name === 'string' ? [element('p', { class: 'call-name' }, element('code', {}, `${value.name}(…)`)), json(value.arguments ?? {})] : json(value));
  const code = (text) => element('pre', { class: 'json' }, text);

  /** Field mappings as a table, by source field. */
  function mapping(value) {
    const entries = Object.entries(value?.mapping ?? {});
    if (entries.length === 0) return json(value);
    const rows = entries.map(([from, one]) => [from, typeof one === 'string' ? one : one?.to, one?.transform]);
    return fieldTable('Field mapping', ['Retailer field', 'Canonical field', 'Transform'], rows);
  }

  function fieldTable(caption, heads, rows) {
    const cell = (text) => element('td', {}, text === null || text === undefined ? element('span', { class: 'muted' }, '–') : element('code', {}, typeof text === 'string' ? text : JSON.stringify(text)));
    return element('table', { class: 'compact-table' }, element('caption', { class: 'visually-hidden' }, caption),
      element('thead', {}, element('tr', {}, heads.map((text) => element('th', { scope: 'col' }, text)))),
      element('tbody', {}, rows.map(([first, ...rest]) => element('tr', {}, element('th', { scope: 'row' }, element('code', {}, String(first ?? '?'))), rest.map(cell)))));
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
        element('p', { class: /head|title/.test(name) ? 'prose ad-title' : 'prose' }, flagged(text, policy.terms)));
    });
  }

  function tag(value) {
    if (typeof value?.tag !== 'string') return facts(value);
    return [element('p', { class: 'big-tag' }, element('code', {}, value.tag)), remainder(value, 'tag')];
  }

  function answer(value) {
    if (typeof value?.answer !== 'string') return facts(value);
    return [element('p', { class: 'prose' }, value.answer), remainder(value, 'answer')];
  }

  const RENDERERS = { plan_quality: plan, tool_call_qa: toolCall, schema_mapping: mapping, policy_compliance: policyText, tagging_normalization: tag, edge_case_red_team: answer };

  /** Results of the automatic checks of one candidate, folded unless something failed. */
  function checks(results) {
    if (results.length === 0) return null;
    const failed = results.filter((one) => !one.passed).length;
    const head = failed ? `Automatic checks: ${failed} of ${results.length} failed` : `Automatic checks: all ${results.length} passed`;
    const rows = [...results].sort((a, b) => Number(a.passed) - Number(b.passed)).map((one) => element('li', { class: one.passed ? 'is-passed' : 'is-failed' },
      element('span', { 'aria-hidden': 'true' }, one.passed ? '✓ ' : '✗ '), element('span', { class: 'visually-hidden' }, one.passed ? 'passed: ' : 'failed: '),
      element('strong', {}, words(one.check)), one.place ? [' at ', element('code', {}, one.place)] : null, element('span', { class: 'block muted' }, one.message)));
    return element('details', { class: 'checks-frame', open: failed > 0 }, element('summary', {}, head), element('ul', { class: 'checks' }, rows));
  }

  /** One candidate with its head, body and checks. */
  function candidate(task, place) {
    const value = task.candidates[place];
    let body;
    // A candidate may have any shape; a renderer that cannot read it must not hide it.
    try { body = (RENDERERS[task.task_type] || ((one) => facts(one)))(value, task, place); } catch { body = json(value); }
    return element('section', { class: 'candidate', 'aria-labelledby': `candidate-${place}`, 'data-place': String(place) },
      element('h3', { id: `candidate-${place}`, class: 'candidate-head' }, element('span', { class: 'candidate-letter', 'aria-hidden': 'true' }, LETTERS[place]), `Candidate ${LETTERS[place]}`),
      element('div', { class: 'candidate-body', tabindex: '0', role: 'region', 'aria-label': `Candidate ${LETTERS[place]}, content` }, body, checks((task.auto_checks || []).filter((one) => one.candidate === place))));
  }

  /** Keeps the scroll positions of several frames alike. */
  function scrollTogether(frames) {
    let leader = null, timer = 0;
    for (const frame of frames) {
      frame.addEventListener('scroll', () => {
        if (leader && leader !== frame) return;
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
    input: (one) => (typeof one.input === 'string' ? element('p', { class: 'prose' }, one.input) : json(one.input ?? null)),
  };

  function snippet(one) {
    if (one === null || typeof one !== 'object') return element('p', { class: 'prose' }, String(one));
    const { kind, title, expects, ...rest } = one;
    const head = title ?? (kind ? words(kind) : null);
    const body = SNIPPETS[kind] ? SNIPPETS[kind](one) : typeof rest.text === 'string' ? [element('p', { class: 'prose' }, rest.text), remainder(rest, 'text')] : facts(rest);
    return element('section', { class: 'snippet' }, head ? element('h3', {}, head) : null, body);
  }
  const remainder = (value, name) => { const { [name]: _, ...rest } = value; return Object.keys(rest).length ? facts(rest) : null; };

  /** What a rater needs to know before looking at the candidates. */
  function context(task) {
    return [element('p', { class: 'task-prompt' }, task.prompt), (task.context ?? []).map(snippet)];
  }

  Object.assign(rater, { candidates, context });
})();
