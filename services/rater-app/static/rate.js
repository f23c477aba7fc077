// The Rater IDE: take a task, judge it by keyboard, send it, take the next. Nothing is lost and nothing happens twice.
'use strict';
(() => {
  const rater = window.rater;
  const { element, LETTERS, CHOICES, choiceWords, clock, isTyping, announce } = rater;
  const page = document.getElementById('ide');
  const part = (name) => page.querySelector(`[data-part="${name}"]`);
  const settings = { rubrics: JSON.parse(page.dataset.rubrics), confidence: JSON.parse(page.dataset.confidence), titles: JSON.parse(page.dataset.titles) };
  const time = rater.activeTime();
  /** `held` is the task in hand; `isBusy` is true while the next one loads or a judgment is on its way. */
  let held = null, isBusy = false, showsDifference = false, pair = [0, 1], undo = null, doneToday = Number(page.dataset.today || 0);

  function show(state) {
    page.dataset.state = state;
    for (const one of page.querySelectorAll('[data-when]')) one.hidden = one.dataset.when !== state;
    for (const one of page.querySelectorAll('[data-needs-task]')) one.disabled = state !== 'task';
  }

  function banner(kind, text, ...actions) {
    const frame = part('banner');
    frame.replaceChildren(element('div', { class: `notice notice-${kind} ide-notice` }, element('span', {}, text), actions));
    frame.hidden = false;
  }
  const hideBanner = () => { part('banner').hidden = true; part('banner').replaceChildren(); };

  // ── Taking a task ─────────────────────────────────────────────────────────
  async function next({ keepsBanner = false } = {}) {
    if (isBusy) return;
    isBusy = true;
    // A wait that is over before anybody sees it needs no sign.
    const slow = setTimeout(() => show('loading'), 150);
    let reason = null, sentAt = null;
    try {
      const body = await window.endcap.call('/v1/assignments/next', { json: { purpose: 'work' }, quiet: true, onHeaders: (headers) => { reason = headers.get('Endcap-Reason'); sentAt = headers.get('Date'); } });
      clearTimeout(slow);
      if (!keepsBanner) hideBanner();
      if (body?.purpose === 'calibration') { location.assign('/calibration'); return; }
      if (body) open(rater.readAssignment(body, settings.rubrics, sentAt)); else explainEmpty(reason);
    } catch (problem) {
      clearTimeout(slow);
      explainProblem(problem);
    } finally { isBusy = false; }
  }

  function open(assignment) {
    close();
    const { task } = assignment;
    const draft = rater.newestDraft(assignment.id, assignment.draft);
    time.start(draft?.active_ms || 0);
    const mine = { ...assignment };
    held = mine;
    held.keeper = rater.draftKeeper({ assignmentId: assignment.id, activeMs: time.ms, onState: (text) => { part('draft').textContent = text; } });
    held.form = rater.judgmentForm({ task, confidenceWords: settings.confidence, draft: draft && pickDraft(draft), onChange: (state) => { if (held !== mine) return; part('problem').textContent = ''; mine.keeper.change(state); } });
    held.lease = rater.lease({ assignmentId: assignment.id, expiresAt: assignment.expiresAt, now: assignment.sentAt, isActive: time.isActive, onWarn: warn, onSafe: hideBanner, onEnd: leaseEnded });
    part('type').textContent = settings.titles[task.task_type] || rater.words(task.task_type);
    part('title').textContent = task.title;
    part('context').replaceChildren(...rater.context(task).flat(Infinity).filter(Boolean));
    part('context').scrollTop = 0;
    part('form').replaceChildren(held.form.root);
    placeChoices();
    part('draft').textContent = '';
    part('problem').textContent = '';
    pair = [0, 1];
    drawCandidates();
    fillGuidelines(task);
    show('task');
    if (draft) {
      const when = draft.saved_at ? new Date(draft.saved_at).toLocaleTimeString('en', { hour: '2-digit', minute: '2-digit' }) : 'earlier';
      banner('note', `Your draft from ${when} is back. `, element('button', { type: 'button', class: 'button button-quiet button-small', onclick: hideBanner }, 'Good'));
    }
    page.focus({ preventScroll: true });
    announce(`Task: ${task.title}. ${task.candidates.length} candidates.`);
  }

  /** On a narrow screen the choices stay in sight, in the bar at the bottom. */
  const narrow = matchMedia('(max-width: 56.25rem)');
  function placeChoices() {
    for (const old of part('foot').querySelectorAll('.choice-grid')) old.remove();
    if (!held) return;
    if (narrow.matches) part('foot').prepend(held.form.choices); else held.form.title.after(held.form.choices);
  }
  narrow.addEventListener('change', placeChoices);

  const pickDraft = (draft) => Object.fromEntries(Object.keys(rater.blankJudgment()).filter((name) => draft[name] !== undefined && draft[name] !== null).map((name) => [name, draft[name]]));

  function close(keeps = true) {
    if (!held) return Promise.resolve();
    const { keeper, lease } = held;
    lease.close();
    time.stop();
    held = null;
    return keeper.close({ keeps });
  }

  function explainEmpty(reason) {
    close();
    const known = JSON.parse(page.dataset.reasons);
    const [head, text, href, label] = known[reason] || known.default;
    part('empty-head').textContent = head;
    part('empty-text').textContent = text;
    const link = part('empty-link');
    link.href = href; link.textContent = label; link.hidden = !href;
    show('empty');
    announce(`${head}. ${text}`);
  }

  function explainProblem(problem) {
    if (problem.status === 401) { location.assign(`/login?return_to=${encodeURIComponent('/rate')}`); return; }
    part('failed-text').textContent = problem.message;
    show('failed');
    announce(problem.message);
  }

  // ── Candidates and differences ────────────────────────────────────────────
  function drawCandidates() {
    const frame = part('candidates');
    const { task } = held;
    frame.dataset.count = String(task.candidates.length);
    frame.dataset.view = showsDifference ? 'difference' : 'side';
    part('difference-button').setAttribute('aria-pressed', String(showsDifference));
    if (!showsDifference) { frame.replaceChildren(...rater.candidates(task)); return; }
    const names = pair.map((place) => LETTERS[place]);
    const pairs = task.candidates.length > 2 ? [[0, 1], [0, 2], [1, 2]] : [];
    const choose = pairs.map((one) => element('button', { type: 'button', class: 'button button-quiet button-small', 'aria-pressed': String(one.join() === pair.join()), onclick: () => { pair = one; drawCandidates(); } }, `${LETTERS[one[0]]} and ${LETTERS[one[1]]}`));
    frame.replaceChildren(element('section', { class: 'candidate', 'aria-label': 'Difference view' },
      element('h3', { class: 'candidate-head' }, `Difference: ${names[0]} to ${names[1]}`, choose.length ? element('span', { class: 'row pair-choice' }, choose) : null),
      element('div', { class: 'candidate-body', tabindex: '0', role: 'region', 'aria-label': 'Difference, content' },
        element('p', { class: 'small muted' }, element('span', { class: 'only-first' }, `− only in ${names[0]}`), '  ', element('span', { class: 'only-second' }, `+ only in ${names[1]}`)),
        rater.difference(task.task_type, task.candidates[pair[0]], task.candidates[pair[1]], names))));
  }

  function toggleDifference() { showsDifference = !showsDifference; drawCandidates(); announce(showsDifference ? 'Difference view' : 'Side by side'); }

  function fillGuidelines(task) {
    const { rubric } = task;
    document.getElementById('guideline-title').textContent = `Guidelines: ${settings.titles[task.task_type] || task.task_type}`;
    document.getElementById('guideline-body').replaceChildren(element('p', {}, rubric.guideline), element('p', {}, element('strong', {}, 'Example. '), rubric.example), element('h3', {}, 'Criteria'),
      element('ul', {}, rubric.criteria.map((one) => element('li', {}, one.question, ' ', element('span', { class: 'muted' }, `${Math.round(one.weight * 100)} %${one.required ? ', required: a candidate that fails it cannot be acceptable' : ''}`)))),
      element('h3', {}, 'Choices'), element('p', {}, 'Tie: equally good. Both bad: none could be used. Unsure: you cannot tell; an expert or another rater will.'));
  }

  // ── The lease ─────────────────────────────────────────────────────────────
  function warn(msLeft) {
    const text = `This task is yours for ${clock(msLeft)} more. Go on working, or keep it.`;
    const shown = part('banner').querySelector('.lease-text');
    if (shown) { shown.textContent = text; return; }
    banner('warn', '', element('span', { class: 'lease-text', 'aria-live': 'off' }, text), element('button', { type: 'button', class: 'button button-small', onclick: () => held?.lease.beat() }, 'Keep it'));
    announce('Less than a minute is left for this task. Press a key in it or choose Keep it.');
  }

  function leaseEnded(why) {
    if (!held) return;
    held.keeper.flush();
    held.isExpired = true;
    banner('bad', `${why} Your draft is kept. You may still send it; if the place is taken by then, the answer says so.`, element('button', { type: 'button', class: 'button button-small', onclick: () => next() }, 'Next task'));
    announce(`${why} Your draft is kept.`);
  }

  // ── Sending ───────────────────────────────────────────────────────────────
  async function submit(extra = {}) {
    if (isBusy || !held) return;
    const lack = held.form.problem();
    if (lack && !extra.escalate) {
      part('problem').textContent = lack.text;
      lack.at?.focus();
      return;
    }
    isBusy = true;
    part('submit').disabled = true;
    const { id, form, task, keeper } = held;
    const state = form.state;
    const json = { choice: state.choice || 'unsure', reasons: state.reasons, confidence: state.confidence ?? settings.confidence[0][1], rubric_scores: state.rubric_scores, active_ms: time.ms(), ...extra };
    if (state.free_text_feedback.trim()) json.free_text_feedback = state.free_text_feedback.trim();
    let goesOn = false;
    try {
      const answer = await window.endcap.call(`/v1/assignments/${id}/judgment`, { json, quiet: true });
      await close(false);
      startUndo(answer, `${extra.escalate ? 'Sent to an expert' : `Sent: ${choiceWords(json.choice)}`}`, task.title);
      doneToday += 1;
      part('today').textContent = `${doneToday} today`;
      goesOn = true;
    } catch (problem) {
      goesOn = refused(problem, keeper, state);
    } finally {
      isBusy = false;
      part('submit').disabled = false;
    }
    if (goesOn) await next({ keepsBanner: goesOn === 'told' });
  }

  /** What a refused judgment means; whether to go on with the next task. */
  function refused(problem, keeper, state) {
    if (problem.code === 'judgment_exists') {
      close(false);
      banner('note', 'You have judged this task already, perhaps in another tab. Here is the next one.');
      return 'told';
    }
    keeper.change(state);
    if (problem.status === 409) {
      banner('warn', `${problem.message} Your draft is kept in this browser.`, element('button', { type: 'button', class: 'button button-small', onclick: () => next() }, 'Next task'));
    } else if (problem.status === 401) {
      banner('warn', 'Your session is over. Sign in again; your draft is kept.', element('a', { class: 'button button-small', href: '/login?return_to=%2Frate' }, 'Sign in'));
    } else {
      part('problem').textContent = problem.message;
    }
    announce(problem.message);
    return false;
  }

  function startUndo(judgment, text, title) {
    stopUndo();
    if (!judgment.undo_until) return;
    const until = performance.now() + Date.parse(judgment.undo_until) - Date.parse(judgment.created_at);
    const draw = () => {
      const left = until - performance.now();
      if (left <= 0) { stopUndo(); return; }
      part('undo-text').textContent = text;
      part('undo-text').title = title;
      part('undo-time').textContent = clock(left);
    };
    undo = { judgmentId: judgment.judgment_id, timer: setInterval(draw, 500) };
    part('undo').hidden = false;
    draw();
  }
  function stopUndo() {
    if (undo) clearInterval(undo.timer);
    undo = null;
    part('undo').hidden = true;
  }

  async function takeBack() {
    if (!undo || isBusy) return;
    isBusy = true;
    const { judgmentId } = undo;
    try {
      const answer = await window.endcap.call(`/v1/judgments/${judgmentId}/undo`, { method: 'POST', quiet: true });
      // The task in hand goes back with its draft, so that only one is held.
      const current = held;
      if (current) {
        await current.keeper.flush();
        await window.endcap.call(`/v1/assignments/${current.id}/release`, { method: 'POST', quiet: true }).catch(() => {});
      }
      stopUndo();
      doneToday = Math.max(0, doneToday - 1);
      part('today').textContent = `${doneToday} today`;
      open(rater.readAssignment(answer, settings.rubrics));
      banner('note', 'Taken back: your judgment is a draft again.');
    } catch (problem) {
      stopUndo();
      banner('warn', problem.message);
      announce(problem.message);
    } finally { isBusy = false; }
  }

  async function skip(reason) {
    if (!held || isBusy) return;
    isBusy = true;
    let isDone = false;
    try {
      await window.endcap.call(`/v1/assignments/${held.id}/skip`, { json: { reason } });
      await close(false);
      isDone = true;
    } catch { /* the toast says why */ } finally { isBusy = false; }
    if (isDone) await next();
  }

  // ── Keys and buttons ──────────────────────────────────────────────────────
  const openDialog = (name) => document.getElementById(name).showModal();
  const CHOICE_KEYS = { 1: CHOICES[0], 2: CHOICES[1], 3: 'tie', 4: 'both_bad', 5: 'unsure', 6: CHOICES[2] };
  const actions = {
    r: () => held.form.focusReasons(), c: () => held.form.focusConfidence(), v: toggleDifference, e: () => openDialog('escalate-dialog'), x: () => openDialog('skip-dialog'), g: () => openDialog('guideline-dialog'),
  };

  document.addEventListener('keydown', (event) => {
    const isSend = event.key === 'Enter' && (event.ctrlKey || event.metaKey);
    if (isSend && held && !document.querySelector('dialog[open]')) { event.preventDefault(); submit(); return; }
    if (event.key === 'Escape' && !document.querySelector('dialog[open]') && page.contains(document.activeElement)) { page.focus({ preventScroll: true }); return; }
    if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const key = event.key.toLowerCase();
    if (key === '?') { event.preventDefault(); openDialog('keys-dialog'); return; }
    if (key === 'z' && undo) { event.preventDefault(); takeBack(); return; }
    if (!held || isBusy) return;
    if (/^[1-9]$/.test(key)) {
      event.preventDefault();
      if (!held.form.digit(Number(key)) && CHOICE_KEYS[key]) held.form.choose(CHOICE_KEYS[key]);
    } else if (rater.CRITERION_KEYS.includes(key.toUpperCase())) {
      event.preventDefault();
      held.form.cycleCriterion(rater.CRITERION_KEYS.indexOf(key.toUpperCase()));
    } else if (Object.hasOwn(actions, key)) {
      event.preventDefault();
      actions[key]();
    }
  });

  part('submit').addEventListener('click', () => submit());
  part('undo-button').addEventListener('click', takeBack);
  part('difference-button').addEventListener('click', () => held && toggleDifference());
  for (const button of page.querySelectorAll('[data-next]')) button.addEventListener('click', () => next());
  document.getElementById('escalate-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const reason = event.target.elements.reason.value.trim();
    if (!reason) { event.target.elements.reason.focus(); return; }
    document.getElementById('escalate-dialog').close();
    event.target.reset();
    submit({ escalate: true, escalation_reason: reason });
  });
  document.getElementById('skip-form').addEventListener('submit', (event) => {
    event.preventDefault();
    document.getElementById('skip-dialog').close();
    skip(event.target.elements.reason.value);
  });
  // Closing the tab gives nothing back, but what was typed is here and on the server.
  addEventListener('pagehide', () => held?.keeper.flush());
  addEventListener('online', () => { if (page.dataset.state === 'failed') next(); });

  // An empty queue looks again when a task changes, and not more often than the server likes.
  let lastLook = 0;
  window.endcap.live({ topic: 'realtime:tasks', onEvent: () => {
    if (page.dataset.state !== 'empty' || performance.now() - lastLook < 2000) return;
    lastLook = performance.now();
    next();
  } });

  rater.localDraft.sweep();
  next();
})();
