// The experts' desk: opens tasks from the queue, records the own view, shows the judgments, sends the decision, and hears of what others do.
'use strict';
(() => {
  const rater = window.rater;
  const { element, CHOICES, choiceWords, words, announce, isTyping } = rater;
  const { queueRow, blindForm, reveal, decisionForm, verdict, goldenAnswer, dueWords } = rater.review;
  const LOOK_AGAIN_MS = 60_000, KEEP_LOOKING_MS = 240_000, LEAST_BETWEEN_LOOKS_MS = 2000;
  const page = document.getElementById('review');
  const [rubrics, titles, confidenceWords, classes] = ['rubrics', 'titles', 'confidence', 'classes'].map((name) => JSON.parse(page.dataset[name]));
  const part = (name) => page.querySelector(`[data-part="${name}"]`);
  const call = (path, options = {}) => window.endcap.call(path, { quiet: true, ...options });
  const pathOf = (taskId) => `/v1/reviews/${encodeURIComponent(taskId)}`;
  const isGolden = (name) => name === 'candidate' || name === 'questioned';
  let list = 'waiting', cursor = null, held = null, isBusy = false, isListing = false;

  // Queue

  async function loadQueue(isMore = false) {
    if (isListing) return;
    isListing = true;
    const asked = list;
    try {
      const path = `${isGolden(asked) ? '/v1/golden' : '/v1/reviews'}?state=${asked}&limit=50`;
      const body = await call(isMore && cursor ? `${path}&cursor=${encodeURIComponent(cursor)}` : path);
      if (asked !== list) return;
      cursor = body.next_cursor;
      const rows = body.data.map((one) => queueRow(one, asked, titles, openRow));
      // The focus stays on its row when the list is drawn again.
      const focused = part('queue').contains(document.activeElement) ? document.activeElement.dataset.task : null;
      if (isMore) part('queue').append(...rows); else part('queue').replaceChildren(...rows);
      part('more').hidden = !cursor;
      part('queue-note').textContent = body.data.length || isMore ? '' : { waiting: 'Nothing waits.', overdue: 'Nothing is overdue.', decided: 'Nothing is decided yet.', candidate: 'No decision proposes a golden item.', questioned: 'No rater asks about a golden item.' }[asked];
      markCurrent();
      if (focused) itemOf(focused)?.focus();
    } catch (problem) {
      part('queue-note').textContent = problem.message;
    } finally {
      isListing = false;
      if (asked !== list) loadQueue();
    }
  }
  const items = () => [...part('queue').querySelectorAll('.queue-item')];
  const itemOf = (taskId) => items().find((one) => one.dataset.task === taskId);
  function markCurrent() { for (const one of items()) one.setAttribute('aria-current', String(one.dataset.task === held?.task.task_id)); }
  function choosePart(name) {
    list = name;
    cursor = null;
    // Rows of the other part must not be opened under this one's name.
    part('queue').replaceChildren();
    part('more').hidden = true;
    part('queue-note').textContent = 'Looking…';
    for (const button of page.querySelectorAll('[data-list]')) button.setAttribute('aria-pressed', String(button.dataset.list === name));
    loadQueue();
  }
  function openRow(one) { if (isGolden(list)) openGolden(one); else open(() => call(pathOf(one.task_id))); }

  // Task

  async function open(fetchTask) {
    if (isBusy) return;
    isBusy = true;
    try {
      const body = await fetchTask();
      if (body) show(body); else showEmpty();
    } catch (problem) {
      say('bad', problem.message, element('button', { type: 'button', class: 'button button-small', onclick: next }, 'Next task'));
    } finally { isBusy = false; }
    loadQueue();
  }
  const next = () => open(() => call('/v1/reviews/next'));

  function setState(state) {
    page.dataset.state = state;
    for (const one of page.querySelectorAll('[data-when]')) one.hidden = one.dataset.when !== state;
    for (const one of page.querySelectorAll('[data-needs-task]')) one.disabled = state !== 'task';
  }

  function showEmpty() {
    held = null;
    setState('empty');
    part('type').textContent = 'Review';
    part('title').textContent = 'Review';
    part('due').replaceChildren();
    part('side').replaceChildren(element('p', { class: 'muted' }, 'What you decided is under Decided.'));
    part('foot').hidden = true;
    announce('Nothing waits for an expert.');
  }

  /** A stored choice in the letters of the order in which the task is shown, and back. */
  const asShown = (choice, order) => (CHOICES.includes(choice) ? CHOICES[order.indexOf(CHOICES.indexOf(choice))] ?? choice : choice);
  const asStored = (choice, order) => (CHOICES.includes(choice) ? CHOICES[order[CHOICES.indexOf(choice)]] ?? choice : choice);
  /** What raters and experts chose, in the order in which the task is shown. */
  function inOrder({ review, judgments, consensus }, order) {
    const shown = (choice) => asShown(choice, order);
    const seen = review && { ...review, choice: shown(review.choice), majority_choice: shown(review.majority_choice), blind: review.blind && { ...review.blind, choice: shown(review.blind.choice) } };
    return { review: seen, judgments: judgments?.map((one) => ({ ...one, choice: shown(one.choice) })), consensus: consensus && { ...consensus, choice: shown(consensus.choice) } };
  }

  function show(body, item = null) {
    const stored = CHOICES.map((name) => body.task[name]).filter((one) => one !== undefined && one !== null);
    // The answer of a golden item stands beside it in the stored order.
    const order = (!item && body.display_order) || stored.map((_, place) => place);
    const candidates = order.map((place) => stored[place]);
    const auto_checks = (body.task.auto_checks ?? []).map((one) => (Number.isInteger(one.candidate) ? { ...one, candidate: order.indexOf(one.candidate) } : one));
    const rubric = rubrics[body.task.task_type] ?? { reasons: [], criteria: [], guideline: '', example: '' };
    const task = { ...body.task, candidates, auto_checks, rubric, context: body.task.context_snippets ?? [] };
    held = { ...body, ...inOrder(body, order), task, rubric, item, order, form: null };
    setState('task');
    part('message').replaceChildren();
    part('type').textContent = titles[task.task_type] ?? words(task.task_type);
    part('title').textContent = task.title;
    part('context').replaceChildren(...rater.context(task).flat(Infinity).filter(Boolean));
    part('candidates').dataset.count = String(candidates.length);
    part('candidates').replaceChildren(...rater.candidates(task));
    showDifference(false);
    document.querySelector('[data-guideline]').replaceChildren(element('p', {}, rubric.guideline), element('p', { class: 'muted' }, rubric.example), element('ul', {}, rubric.criteria.map((one) => element('li', {}, one.question, one.required ? ' (required)' : ''))));
    drawDue();
    drawSide();
    markCurrent();
    part('title').focus({ preventScroll: true });
    part('context').scrollTop = 0;
  }

  function drawDue() {
    if (!held?.due_at && !held?.looked_at_by_others) { part('due').replaceChildren(); return; }
    const looked = held.looked_at_by_others;
    const isWaiting = held.review?.state !== 'decided' && !held.item;
    part('due').replaceChildren(...[isWaiting ? element('span', { class: `badge ${held.is_overdue ? 'badge-bad' : ''}` }, dueWords(held.due_at, held.is_overdue)) : null, isWaiting ? element('span', { class: 'badge badge-warn' }, held.reason.words) : null, looked ? element('span', { class: 'badge badge-note' }, `${looked.count} other${looked.count === 1 ? '' : 's'} looking`) : null].filter(Boolean));
  }

  function drawSide() {
    const { review, rubric, task } = held;
    const side = part('side');
    const about = { judgments: held.judgments ?? [], consensus: held.consensus, review, rubric, confidenceWords };
    let title, action = null;
    if (held.item) {
      title = held.item.questions ? 'Questioned golden item' : 'Golden candidate';
      held.form = null;
      side.replaceChildren(held.item.questions ? questionedForm(held.item, rubric) : candidateForm(held.item, rubric));
    } else if (review?.state === 'decided') {
      title = 'Decided';
      held.form = null;
      side.replaceChildren(verdict(review, rubric), reveal(about));
    } else if (held.judgments) {
      title = 'Decide';
      action = 'Decide and next';
      held.form = decisionForm({ task, rubric, classes, blind: review?.blind });
      side.replaceChildren(reveal(about), held.form.root);
    } else {
      title = 'Your view first';
      action = 'Record my view';
      held.form = blindForm({ task, rubric, confidenceWords, count: held.judgments_count });
      side.replaceChildren(held.form.root);
    }
    part('side-title').textContent = title;
    part('problem').textContent = '';
    part('foot').hidden = !action;
    if (action) part('submit').replaceChildren(element('kbd', { 'aria-hidden': 'true' }, 'Ctrl ↵'), action);
    side.scrollTop = 0;
  }

  async function submit() {
    if (isBusy || !held?.form) return;
    const { json: read, problem, at } = held.form.read();
    if (problem) { part('problem').textContent = problem; at(); return; }
    const { order } = held, json = { ...read, choice: asStored(read.choice, order) };
    isBusy = true;
    part('submit').disabled = true;
    const isDecision = Boolean(held.judgments);
    let isDone = false;
    try {
      const body = await call(isDecision ? pathOf(held.task.task_id) : `${pathOf(held.task.task_id)}/blind`, { json });
      if (isDecision) {
        const made = body.golden ? '; it is a golden item now' : body.golden_candidate ? '; proposed as a golden item' : '';
        window.endcap.toast(`Decided: ${choiceWords(read.choice)}${made}. The raters are told.`, 'good');
        isDone = true;
      } else {
        Object.assign(held, inOrder(body, order));
        drawSide();
        document.getElementById('reveal-title').focus();
        announce(`Recorded. ${held.judgments.length} judgments are shown; decide now.`);
      }
    } catch (problem) { refuse(problem); } finally {
      isBusy = false;
      part('submit').disabled = false;
    }
    if (isDone) next();
  }

  function refuse(problem) {
    part('problem').textContent = problem.message;
    const first = problem.body?.decision;
    if (problem.status !== 409 || problem.code !== 'transition_not_allowed') return;
    const taskId = held.task.task_id;
    say('warn', first ? `${first.expert.name ?? first.expert.account_id} decided it at ${new Date(first.decided_at).toLocaleTimeString()}: ${choiceWords(asShown(first.choice, held.order))}. What you entered is still here.` : 'This task no longer waits for an expert.',
      first ? element('button', { type: 'button', class: 'button button-small button-quiet', onclick: () => open(() => call(pathOf(taskId))) }, 'See the decision') : null, element('button', { type: 'button', class: 'button button-small', onclick: next }, 'Next task'));
    loadQueue();
  }

  // Golden items: those that decisions propose, and those on which raters asked for an expert

  async function openGolden(item) {
    if (isBusy) return;
    isBusy = true;
    try {
      // A golden item need not have been before an expert as work.
      const body = item.questions ? { task: await call(`/v1/tasks/${encodeURIComponent(item.task_id)}`) } : await call(pathOf(item.task_id));
      show(body, item);
    } catch (problem) { say('bad', problem.message); } finally { isBusy = false; }
  }

  async function actOn(item, verb, json, done) {
    if (isBusy) return;
    isBusy = true;
    try {
      await call(`/v1/golden/${encodeURIComponent(item.task_id)}/${verb}`, { json });
      window.endcap.toast(done, 'good');
      showEmpty();
    } catch (problem) { say('bad', problem.message); } finally { isBusy = false; }
    loadQueue();
  }

  function questionedForm(item, rubric) {
    const reason = element('input', { id: 'questioned-reason', class: 'input', type: 'text', maxlength: '500' });
    const wrong = element('input', { type: 'checkbox', checked: true });
    const asked = item.questions.map((one) => element('li', { class: 'vote' }, element('p', {}, one.reason ?? 'No reason was given.'), element('p', { class: 'muted small' }, new Date(one.asked_at).toLocaleString())));
    const right = item.times_used ? `${Math.round(100 * item.rater_correct / item.times_used)} % of ${item.times_used} answers` : null;
    const newest = item.questions.map((one) => one.asked_at).sort().at(-1);
    return element('div', { class: 'review-form' },
      element('h3', {}, `Raters asked ${item.questions.length === 1 ? 'once' : `${item.questions.length} times`}`), element('ul', { class: 'vote-list' }, asked),
      element('p', { class: 'muted small' }, 'They hear no answer, since it would tell which task is golden. Think first, then look at the answer. If it is right, keep the item; if it is wrong or unclear, take it out.'),
      element('details', {}, element('summary', {}, 'The recorded answer'), goldenAnswer(item, rubric, right)),
      element('button', { type: 'button', class: 'button', onclick: () => actOn(item, 'keep', newest ? { read_until: newest } : {}, 'Kept: it is listed again when raters ask anew.') }, 'Keep it: the answer is right'),
      element('div', { class: 'field' }, element('label', { for: 'questioned-reason' }, 'Take it out of use, because'), reason),
      element('label', { class: 'choice' }, wrong, 'Its answer is wrong or unclear: what raters answered counts for nothing'),
      element('button', { type: 'button', class: 'button button-quiet', onclick: () => (reason.value.trim() ? actOn(item, 'retire', { reason: reason.value, wrong_key: wrong.checked }, wrong.checked ? 'Out of use; the answers on it count for nothing.' : 'Out of use.') : (say('bad', 'Write why it is taken out of use.'), reason.focus())) }, 'Take it out of use'));
  }

  function candidateForm(item, rubric) {
    const difficulty = element('select', { id: 'candidate-difficulty' }, ['easy', 'medium', 'hard'].map((value) => element('option', { value, selected: value === item.difficulty_level }, words(value))));
    const most = element('input', { id: 'candidate-most', class: 'input', type: 'number', min: '1', step: '1', placeholder: 'any number' });
    const reason = element('input', { id: 'candidate-reason', class: 'input', type: 'text', maxlength: '500', value: 'not needed' });
    return element('div', { class: 'review-form' }, verdict(held.review, rubric),
      element('div', { class: 'field' }, element('label', { for: 'candidate-difficulty' }, 'How hard is it?'), difficulty),
      element('div', { class: 'field' }, element('label', { for: 'candidate-most' }, 'Raters who see it at most'), most),
      element('button', { type: 'button', class: 'button', onclick: () => actOn(item, 'promote', { difficulty: difficulty.value, ...(most.value ? { max_exposures: Number(most.value) } : {}) }, 'It is a golden item now.') }, 'Promote to a golden item'),
      element('div', { class: 'field' }, element('label', { for: 'candidate-reason' }, 'Or drop it, because'), reason),
      element('button', { type: 'button', class: 'button button-quiet', onclick: () => actOn(item, 'retire', { reason: reason.value }, 'Dropped.') }, 'Drop it'));
  }

  // Difference, messages, keys

  function showDifference(isOn) {
    const [a, b] = held?.task.candidates ?? [];
    part('difference').hidden = !isOn;
    part('candidates').hidden = isOn;
    part('difference-button').setAttribute('aria-pressed', String(isOn));
    part('difference').replaceChildren(...(isOn ? rater.difference(held.task.task_type, a, b, ['A', 'B']).flat(Infinity).filter(Boolean) : []));
    if (isOn) part('difference').scrollTop = 0;
  }
  function say(kind, text, ...actions) { part('message').replaceChildren(element('div', { class: `notice notice-${kind} ide-notice` }, element('span', {}, text), element('span', { class: 'row' }, actions))); announce(text); }

  const DIGITS = { 1: CHOICES[0], 2: CHOICES[1], 3: 'tie', 4: 'both_bad', 5: 'unsure', 6: CHOICES[2] };
  function move(step) {
    const all = items();
    const at = all.indexOf(document.activeElement);
    const now = at >= 0 ? at : all.findIndex((one) => one.getAttribute('aria-current') === 'true');
    all[Math.max(0, Math.min(all.length - 1, now + step))]?.focus();
  }
  const KEYS = {
    r: () => held?.form?.focusReasons(), c: () => held?.form?.focusConfidence(), f: () => held?.form?.focusClass?.(), w: () => held?.form?.focusRationale?.(),
    j: () => move(1), k: () => move(-1), n: () => next(), v: () => held && showDifference(part('difference').hidden),
    g: () => held && document.getElementById('guideline-dialog').showModal(), '?': () => document.getElementById('keys-dialog').showModal(),
  };
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) { if (!document.querySelector('dialog[open]')) { event.preventDefault(); submit(); } return; }
    if (event.key === 'Escape' && page.contains(document.activeElement) && !document.querySelector('dialog[open]')) { part('title').focus({ preventScroll: true }); return; }
    if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey || event.repeat || isBusy) return;
    const digit = Number(event.key);
    if (held?.form && digit >= 1 && digit <= 9) {
      event.preventDefault();
      if (!held.form.digit(digit) && DIGITS[digit]) held.form.choose(DIGITS[digit]);
      return;
    }
    const act = KEYS[event.key.toLowerCase()];
    if (act) { event.preventDefault(); act(); }
  });
  part('submit').addEventListener('click', submit);
  part('next').addEventListener('click', next);
  part('again').addEventListener('click', next);
  part('more').addEventListener('click', () => loadQueue(true));
  part('difference-button').addEventListener('click', () => showDifference(part('difference').hidden));
  for (const button of page.querySelectorAll('[data-list]')) button.addEventListener('click', () => choosePart(button.dataset.list));

  let lastLook = 0;
  function lookAgain() {
    if (performance.now() - lastLook < LEAST_BETWEEN_LOOKS_MS || document.hidden) return;
    lastLook = performance.now();
    if (held) loadQueue(); else if (page.dataset.state === 'empty' && list === 'waiting') next();
  }
  window.endcap.live({ topic: 'realtime:tasks', onEvent: lookAgain });
  setInterval(lookAgain, LOOK_AGAIN_MS);
  // Others see that somebody is at the task for as long as it is on the screen, and this page sees who came or decided.
  setInterval(async () => {
    if (!held || held.item || held.review?.state === 'decided' || document.hidden || isBusy) return;
    const taskId = held.task.task_id;
    try {
      const body = await call(pathOf(taskId));
      if (held?.task.task_id !== taskId) return;
      if (body.review.state === 'decided') { say('warn', `${body.review.expert.name ?? body.review.expert.account_id} has decided it meanwhile: ${choiceWords(body.review.choice)}.`, element('button', { type: 'button', class: 'button button-small', onclick: next }, 'Next task')); return; }
      Object.assign(held, { looked_at_by_others: body.looked_at_by_others, is_overdue: body.is_overdue });
      drawDue();
    } catch { /* the next round asks again */ }
  }, KEEP_LOOKING_MS);
  next();
})();
