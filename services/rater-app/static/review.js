// The expert's queue: a task, all judgments without names, and one decision with its rationale.
'use strict';
(() => {
  const rater = window.rater;
  const { element, LETTERS, CHOICES, choiceWords, words, percent, announce, isTyping } = rater;
  const page = document.getElementById('review');
  const rubrics = JSON.parse(page.dataset.rubrics), titles = JSON.parse(page.dataset.titles);
  const part = (name) => page.querySelector(`[data-part="${name}"]`);
  let held = null, isBusy = false;

  async function next() {
    if (isBusy) return;
    isBusy = true;
    try {
      const body = await window.endcap.call('/v1/reviews/next', { quiet: true });
      if (body) open(body); else showEmpty();
    } catch (problem) {
      say('bad', problem.message, element('button', { type: 'button', class: 'button button-small', onclick: next }, 'Try again'));
    } finally { isBusy = false; }
  }

  function showEmpty() {
    held = null;
    part('task').hidden = true;
    part('empty').hidden = false;
    announce('Nothing to review.');
  }

  function open({ task, judgments }) {
    const candidates = CHOICES.map((name) => task[name]).filter((one) => one !== undefined && one !== null);
    const rubric = rubrics[task.task_type];
    held = { task: { ...task, candidates, rubric, context: task.context_snippets ?? [] }, choice: null };
    part('message').replaceChildren();
    part('empty').hidden = true;
    part('task').hidden = false;
    part('type').textContent = titles[task.task_type] || task.task_type;
    part('status').textContent = task.status === 'escalated' ? 'Escalated' : 'Disputed';
    part('title').textContent = task.title;
    part('context').replaceChildren(...rater.context(held.task).flat(Infinity).filter(Boolean));
    part('candidates').replaceChildren(...rater.candidates(held.task));
    part('votes').replaceChildren(...(judgments.length ? judgments.map((one, i) => vote(one, i, rubric)) : [element('li', { class: 'muted' }, 'Nobody has judged it.')]));
    part('form').reset();
    part('difficulty').hidden = true;
    part('problem').textContent = '';
    const options = [...CHOICES.slice(0, candidates.length).map((choice, i) => [choice, `${LETTERS[i]} is better`, i < 2 ? String(i + 1) : '6']), ['tie', 'Tie', '3'], ['both_bad', 'Both bad', '4'], ['unsure', 'Unsure', '5']];
    part('choices').replaceChildren(...options.map(([choice, text, key]) => element('button', { type: 'button', class: `button button-quiet choice-button ${CHOICES.includes(choice) ? 'is-candidate' : ''}`, 'data-choice': choice, 'aria-pressed': 'false', 'aria-keyshortcuts': key, onclick: () => choose(choice) }, element('kbd', { 'aria-hidden': 'true' }, key), text)));
    part('title').focus({ preventScroll: true });
    scrollTo({ top: 0 });
  }

  function vote(one, i, rubric) {
    const labels = (one.reasons ?? []).map((code) => rubric.reasons.find((reason) => reason.code === code)?.label ?? words(code));
    return element('li', {}, element('strong', {}, `Judgment ${i + 1}: ${choiceWords(one.choice)}`), element('span', { class: 'muted small' }, ` confidence ${percent(one.confidence)}`),
      one.is_escalated ? element('span', { class: 'badge badge-warn' }, 'asked for an expert') : null,
      labels.length ? element('p', { class: 'small' }, labels.join('; ')) : null,
      one.escalation_reason ? element('p', { class: 'prose' }, one.escalation_reason) : null, one.free_text_feedback ? element('p', { class: 'prose' }, one.free_text_feedback) : null);
  }

  function choose(choice) {
    held.choice = choice;
    for (const button of part('choices').children) button.setAttribute('aria-pressed', String(button.dataset.choice === choice));
    part('problem').textContent = '';
    announce(choiceWords(choice));
  }

  async function decide() {
    if (isBusy || !held) return;
    const rationale = part('form').elements.rationale;
    if (!held.choice) { part('problem').textContent = 'Choose first: 1 for A, 2 for B, 3 tie, 4 both bad, 5 unsure.'; part('choices').firstElementChild.focus(); return; }
    if (!rationale.value.trim()) { part('problem').textContent = 'Say why: raters of this task read it.'; rationale.focus(); return; }
    isBusy = true;
    part('submit').disabled = true;
    const json = { choice: held.choice, rationale: rationale.value.trim() };
    if (part('golden').checked) Object.assign(json, { make_golden: true, difficulty: part('form').elements.difficulty.value });
    let isDone = false;
    try {
      await window.endcap.call(`/v1/reviews/${encodeURIComponent(held.task.task_id)}`, { json, quiet: true });
      window.endcap.toast(`Decided: ${choiceWords(held.choice)}${json.make_golden ? '; it is a golden item now' : ''}.`, 'good');
      isDone = true;
    } catch (problem) {
      part('problem').textContent = problem.status === 409 ? `${problem.message} Somebody else may have decided it; your rationale is still here.` : problem.message;
      if (problem.status === 409) say('warn', 'This task no longer waits for an expert.', element('button', { type: 'button', class: 'button button-small', onclick: next }, 'Next task'));
    } finally {
      isBusy = false;
      part('submit').disabled = false;
    }
    if (isDone) await next();
  }

  function say(kind, text, ...actions) { part('message').replaceChildren(element('div', { class: `notice notice-${kind} row spread` }, element('span', {}, text), actions)); announce(text); }

  const KEYS = { 1: CHOICES[0], 2: CHOICES[1], 3: 'tie', 4: 'both_bad', 5: 'unsure', 6: CHOICES[2] };
  document.addEventListener('keydown', (event) => {
    if (!held || isBusy) return;
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) { event.preventDefault(); decide(); return; }
    if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey || event.repeat || !KEYS[event.key]) return;
    if (!part('choices').querySelector(`[data-choice="${KEYS[event.key]}"]`)) return;
    event.preventDefault();
    choose(KEYS[event.key]);
  });
  part('form').addEventListener('submit', (event) => { event.preventDefault(); decide(); });
  part('golden').addEventListener('change', () => { part('difficulty').hidden = !part('golden').checked; });
  part('again').addEventListener('click', next);
  let lastLook = 0;
  window.endcap.live({ topic: 'realtime:tasks', onEvent: () => {
    if (held || performance.now() - lastLook < 2000) return;
    lastLook = performance.now();
    next();
  } });
  next();
})();
