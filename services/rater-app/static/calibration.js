// Calibration: one golden item after the other, and after each the expert's answer with its reason.
'use strict';
(() => {
  const rater = window.rater;
  const { element, LETTERS, CHOICES, choiceWords, isTyping, announce } = rater;
  const page = document.getElementById('calibration');
  if (!page) return;
  const rubrics = JSON.parse(page.dataset.rubrics), confidenceWords = JSON.parse(page.dataset.confidence), titles = JSON.parse(page.dataset.titles);
  const part = (name) => page.querySelector(`[data-part="${name}"]`);
  const time = rater.activeTime();
  let held = null, isBusy = false;

  async function next() {
    if (isBusy) return;
    isBusy = true;
    let reason = null;
    try {
      const body = await window.endcap.call('/v1/assignments/next', { json: { purpose: 'calibration' }, quiet: true, onHeaders: (headers) => { reason = headers.get('Endcap-Reason'); } });
      if (!body) { finish(reason); return; }
      if (body.purpose !== 'calibration') { location.assign('/rate'); return; }
      open(rater.readAssignment(body, rubrics));
    } catch (problem) {
      say('bad', problem.message, element('button', { type: 'button', class: 'button button-small', onclick: next }, 'Try again'));
    } finally { isBusy = false; }
  }

  function open(assignment) {
    held?.lease.close();
    held?.keeper.close({ keeps: true });
    const { task } = assignment;
    const draft = rater.newestDraft(assignment.id, assignment.draft);
    time.start(draft?.active_ms || 0);
    held = { ...assignment, isAnswered: false };
    held.keeper = rater.draftKeeper({ assignmentId: assignment.id, activeMs: time.ms, onState: () => {} });
    held.lease = rater.lease({ assignmentId: assignment.id, expiresAt: assignment.expiresAt, isActive: time.isActive, onWarn: () => {}, onSafe: () => {}, onEnd: () => {} });
    held.form = rater.judgmentForm({ task, confidenceWords, draft, hasCriteria: false, onChange: (state) => held.keeper.change(state) });
    part('start').hidden = true;
    part('message').replaceChildren();
    part('task').hidden = false;
    part('verdict').replaceChildren();
    part('type').textContent = titles[task.task_type] || task.task_type;
    part('title').textContent = task.title;
    part('context').replaceChildren(...rater.context(task).flat(Infinity).filter(Boolean));
    part('candidates').dataset.count = String(task.candidates.length);
    part('candidates').replaceChildren(...rater.candidates(task));
    part('form').replaceChildren(held.form.root);
    part('submit').hidden = false;
    part('problem').textContent = '';
    part('task').scrollIntoView({ block: 'start' });
    part('title').focus({ preventScroll: true });
  }

  async function submit() {
    if (isBusy || !held || held.isAnswered) return;
    const lack = held.form.problem();
    if (lack) { part('problem').textContent = lack.text; lack.at?.focus(); return; }
    isBusy = true;
    part('submit').disabled = true;
    const { state } = held.form;
    const json = { choice: state.choice, reasons: state.reasons, confidence: state.confidence, active_ms: time.ms() };
    if (state.free_text_feedback.trim()) json.free_text_feedback = state.free_text_feedback.trim();
    try {
      const answer = await window.endcap.call(`/v1/assignments/${held.id}/judgment`, { json, quiet: true });
      held.isAnswered = true;
      held.lease.close();
      held.keeper.close({ keeps: false });
      time.stop();
      explain(answer, state);
    } catch (problem) {
      held.keeper.change(state);
      if (problem.status === 409) say('warn', problem.message, element('button', { type: 'button', class: 'button button-small', onclick: next }, 'Next item'));
      else part('problem').textContent = problem.message;
      announce(problem.message);
    } finally {
      isBusy = false;
      part('submit').disabled = false;
    }
  }

  /** The expert's answer beside one's own, the reason, and the rule behind it. */
  function explain(answer, state) {
    const { task } = held;
    const place = CHOICES.indexOf(answer.expert_choice);
    for (const one of part('candidates').querySelectorAll('.candidate')) {
      const isExpert = Number(one.dataset.place) === place;
      one.classList.toggle('is-expert', isExpert);
      if (isExpert) one.querySelector('.candidate-head').append(element('span', { class: 'badge badge-good' }, '✓ the expert’s choice'));
    }
    for (const control of part('form').querySelectorAll('button, input, textarea')) control.disabled = true;
    part('submit').hidden = true;
    const required = task.rubric.criteria.filter((one) => one.required).map((one) => element('li', {}, one.question));
    const step = answer.calibration;
    const isOver = step.state !== 'continue';
    const go = element('button', { type: 'button', class: 'button', onclick: () => (isOver ? location.reload() : next()) }, isOver ? 'See the result' : 'Next item', element('kbd', { 'aria-hidden': 'true' }, 'Ctrl ↵'));
    held.go = go;
    part('verdict').replaceChildren(element('section', { class: `notice ${answer.correct ? 'notice-good' : 'notice-warn'}`, 'aria-labelledby': 'verdict-head' },
      element('h2', { id: 'verdict-head', tabindex: '-1' }, answer.correct ? '✓ As the expert' : '✗ The expert chose otherwise'),
      element('p', {}, `You: ${choiceWords(state.choice)}. Expert: ${choiceWords(answer.expert_choice)}.`)),
    element('div', { class: 'card stack' }, element('div', {}, element('h3', {}, 'Why'), element('p', { class: 'prose' }, answer.rationale)),
      element('div', {}, element('h3', {}, 'The rule'), element('p', {}, task.rubric.guideline), required.length ? [element('p', { class: 'muted small' }, 'Required of any acceptable candidate:'), element('ul', {}, required)] : null),
      element('div', { class: 'row' }, go)));
    part('progress').textContent = step.state === 'passed' ? `Passed: ${step.correct} of ${step.total} as the expert.`
      : step.state === 'failed' ? `Not passed: ${step.correct} of ${step.total} as the expert.`
      : `${step.total} answered, ${step.correct} as the expert. At most ${step.at_most_more} more; it ends as soon as the evidence is clear.`;
    drawEvidence();
    part('verdict').scrollIntoView({ block: 'nearest' });
    document.getElementById('verdict-head').focus({ preventScroll: true });
  }

  /** The chart of the test is drawn by the server; it is fetched anew after each answer. */
  async function drawEvidence() {
    try {
      const html = await window.endcap.call('/calibration', { headers: { Accept: 'text/html' }, quiet: true });
      const fresh = new DOMParser().parseFromString(html, 'text/html').querySelector('[data-part="evidence"]');
      if (fresh) part('evidence').replaceChildren(...fresh.childNodes);
    } catch { /* the figures in words stand above it */ }
  }

  function say(kind, text, ...actions) { part('message').replaceChildren(element('div', { class: `notice notice-${kind} row spread` }, element('span', {}, text), actions)); announce(text); }

  function finish(reason) {
    if (reason === 'already_calibrated' || reason === 'calibration_failed') { location.reload(); return; }
    part('task').hidden = true;
    const texts = { no_tasks: 'There are no golden items yet; an expert has to write some first.', all_done_by_you: 'You have answered every golden item there is, and the result is still open. An expert has to add some.', paused: 'Your profile is paused; your programme manager can switch it on again.' };
    const known = JSON.parse(page.dataset.reasons)[reason];
    say('warn', texts[reason] || (known ? `${known[0]}. ${known[1]}` : 'There is no item for you right now.'), element('a', { class: 'button button-small', href: '/' }, 'Home'));
  }

  document.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && held) { event.preventDefault(); if (event.repeat) return; if (held.isAnswered) held.go.click(); else submit(); return; }
    if (event.key === 'Escape') { part('title').focus({ preventScroll: true }); return; }
    if (!held || held.isAnswered || isBusy || isTyping(event) || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const key = event.key.toLowerCase(), action = rater.keys.actionOf(key);
    if (/^[1-9]$/.test(key) && held.form.digit(Number(key))) { event.preventDefault(); return; }
    const does = [...CHOICES, 'tie', 'both_bad', 'unsure'].includes(action) ? () => held.form.choose(action) : { reasons: held.form.focusReasons, confidence: held.form.focusConfidence, text: held.form.focusText }[action];
    if (does) { event.preventDefault(); does(); }
  });
  part('submit').addEventListener('click', submit);
  part('begin').addEventListener('click', next);
  if (page.dataset.begun === 'true') next();
})();
