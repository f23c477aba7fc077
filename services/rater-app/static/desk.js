// What lies on the desk: context, candidates side by side or as their difference, guidelines, and why this task came.
'use strict';
(() => {
  const rater = window.rater;
  const { element, LETTERS, words, announce } = rater;
  const TOGETHER = 'endcap-together';

  /** How to look at a criterion, with what meets it and what fails it. */
  function criterionHelp(rubric, key) {
    const found = (rubric.examples ?? []).find((one) => one.criterion === key);
    if (!found) return null;
    const shown = (mark, name, text) => element('span', { class: 'block small' }, element('span', { 'aria-hidden': 'true', class: mark === '✓' ? 'mark-good' : 'mark-bad' }, `${mark} `), element('span', { class: 'muted' }, `${name}: `), text);
    return [element('span', { class: 'block small muted' }, found.help), shown('✓', 'Meets it', found.good), shown('✗', 'Fails it', found.bad)];
  }

  /** `desk({ part, titles, rubricVersion })`: gives { open(assignment) (whether its guideline changed since it was last shown), toggleDifference(), toggleTogether(), toggleWhy() }. */
  function desk({ part, titles, rubricVersion }) {
    let task = null, showsDifference = false, pair = [0, 1];
    let isTogether = rater.feel.get(TOGETHER) !== 'apart';
    rater.setScrollsTogether(isTogether);
    part('together-button').setAttribute('aria-pressed', String(isTogether));

    function open(assignment) {
      task = assignment.task;
      pair = [0, 1];
      part('type').textContent = titles[task.task_type] || words(task.task_type);
      part('title').textContent = task.title;
      part('title').title = task.title;
      part('context').replaceChildren(...rater.context(task).flat(Infinity).filter(Boolean), ...[why(assignment)].filter(Boolean));
      part('context').scrollTop = 0;
      draw();
      fillGuidelines();
      return noteVersion();
    }

    /** Remembers which guideline this browser has shown; whether it is another one than the last time. */
    function noteVersion() {
      const name = `endcap-guideline:${task.task_type}`, version = String(task.guideline_version ?? task.rubric_version ?? rubricVersion);
      const before = rater.feel.get(name);
      if (before !== version) rater.feel.set(name, version);
      return before !== null && before !== version;
    }

    function draw() {
      const frame = part('candidates');
      frame.dataset.count = String(task.candidates.length);
      frame.dataset.view = showsDifference ? 'difference' : 'side';
      part('difference-button').setAttribute('aria-pressed', String(showsDifference));
      part('together-button').disabled = showsDifference;
      if (!showsDifference) { frame.replaceChildren(...rater.candidates(task)); return; }
      const names = pair.map((place) => LETTERS[place]);
      const pairs = task.candidates.length > 2 ? [[0, 1], [0, 2], [1, 2]] : [];
      const choose = pairs.map((one) => element('button', { type: 'button', class: 'button button-quiet button-small', 'aria-pressed': String(one.join() === pair.join()), onclick: () => { pair = one; draw(); } }, `${LETTERS[one[0]]} and ${LETTERS[one[1]]}`));
      frame.replaceChildren(element('section', { class: 'candidate', 'aria-label': 'Difference view' },
        element('h3', { class: 'candidate-head' }, `Difference: ${names[0]} to ${names[1]}`, choose.length ? element('span', { class: 'row pair-choice', role: 'group', 'aria-label': 'Which two' }, choose) : null),
        element('div', { class: 'candidate-body', tabindex: '0', role: 'region', 'aria-label': 'Difference, content' },
          element('p', { class: 'small muted legend' }, element('span', { class: 'only-first' }, `− only in ${names[0]}`), element('span', { class: 'only-second' }, `+ only in ${names[1]}`), element('span', {}, '≠ differs')),
          rater.difference(task.task_type, task.candidates[pair[0]], task.candidates[pair[1]], names))));
    }

    function toggleDifference() {
      if (!task) return;
      showsDifference = !showsDifference;
      draw();
      announce(showsDifference ? 'Difference view' : 'Side by side');
    }

    function toggleTogether() {
      if (showsDifference) return;
      isTogether = !isTogether;
      rater.feel.set(TOGETHER, isTogether ? 'together' : 'apart');
      rater.setScrollsTogether(isTogether);
      part('together-button').setAttribute('aria-pressed', String(isTogether));
      announce(isTogether ? 'The candidates scroll together' : 'The candidates scroll apart');
    }

    /** Why this task, as the server says it: in words, and by its parts where it gives them. */
    function why(assignment) {
      if (!assignment.why && assignment.why_parts.length === 0) return null;
      const show = (value) => (typeof value === 'number' ? String(Math.round(value * 100) / 100) : String(value ?? '–'));
      const parts = assignment.why_parts.length
        ? element('table', { class: 'compact-table' }, element('caption', { class: 'visually-hidden' }, 'What its place in the queue is made of'), element('thead', {}, element('tr', {}, ['Part', 'Value', 'Weight'].map((head, i) => element('th', { scope: 'col', class: i ? 'number' : null }, head)))),
          element('tbody', {}, assignment.why_parts.map((one) => element('tr', {}, element('th', { scope: 'row' }, words(one.name), one.words ? element('span', { class: 'block muted small' }, one.words) : null), element('td', { class: 'number' }, show(one.value)), element('td', { class: 'number' }, show(one.weight))))))
        : null;
      return element('details', { class: 'why', 'data-why': '' }, element('summary', {}, rater.keys.mark('why'), 'Why this task'), assignment.why ? element('p', { class: 'small' }, assignment.why) : null, parts);
    }

    function toggleWhy() {
      const frame = part('context').querySelector('[data-why]');
      if (!frame) return;
      frame.open = !frame.open;
      if (frame.open) { frame.scrollIntoView({ block: 'nearest' }); frame.querySelector('summary').focus(); }
    }

    function fillGuidelines() {
      const { rubric } = task;
      const versions = [`Rubric version ${task.rubric_version ?? rubricVersion}`, task.guideline_version ? `guideline version ${task.guideline_version}` : null, ...new Set((task.auto_checks ?? []).filter((one) => one.version).map((one) => `checks version ${one.version}`))].filter(Boolean);
      document.getElementById('guideline-title').textContent = `Guidelines: ${titles[task.task_type] || words(task.task_type)}`;
      document.getElementById('guideline-body').replaceChildren(element('p', { class: 'guideline-rule' }, rubric.guideline),
        element('h3', {}, 'Worked example'), element('p', { class: 'guideline-example' }, rubric.example),
        element('h3', {}, 'Criteria'), element('ul', { class: 'guideline-criteria' }, rubric.criteria.map((one) => element('li', {}, element('span', { class: 'criterion-weight' }, `${Math.round(one.weight * 100)} %`), element('span', {}, one.question, one.required ? element('span', { class: 'block small muted' }, 'Required: a candidate that fails it cannot be acceptable.') : null, criterionHelp(rubric, one.key))))),
        element('h3', {}, 'The five outcomes'), element('dl', { class: 'facts' }, [['Better', 'One could be used, and is the better one.'], ['Tie', 'Equally good; either could be used.'], [task.candidates.length > 2 ? 'All bad' : 'Both bad', 'None could be used, even if one is less bad.'], ['Unsure', 'You cannot tell. It never counts against you on work.']].map(([name, text]) => [element('dt', {}, name), element('dd', {}, text)])),
        element('p', { class: 'muted small' }, `${versions.join(', ')}.`));
    }

    return { open, toggleDifference, toggleTogether, toggleWhy };
  }

  rater.desk = desk;
})();
