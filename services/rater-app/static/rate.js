// The Rater IDE: take a task, judge it by keyboard, send it, take the next. Nothing is lost and nothing happens twice.
'use strict';
(() => {
  const rater = window.rater;
  const { element, CHOICES, choiceWords, clock, isTyping, announce, keys, feel } = rater;
  const page = document.getElementById('ide');
  const part = (name) => page.querySelector(`[data-part="${name}"]`);
  const settings = { rubrics: JSON.parse(page.dataset.rubrics), confidence: JSON.parse(page.dataset.confidence), titles: JSON.parse(page.dataset.titles), reasons: JSON.parse(page.dataset.reasons) };
  const time = rater.activeTime();
  const desk = rater.desk({ part, titles: settings.titles, rubricVersion: page.dataset.rubricVersion });
  const progress = rater.progress({ part, today: Number(page.dataset.today || 0) });
  /** `held` is the task in hand; `isBusy` is true while the next one loads or a judgment is on its way. */
  let held = null, isBusy = false, undo = null, sentAtMark = null, wasEmpty = false, sentWords = '';

  function show(state) {
    page.dataset.state = state;
    for (const one of page.querySelectorAll('[data-when]')) one.hidden = one.dataset.when !== state;
    for (const one of page.querySelectorAll('[data-needs-task]')) one.disabled = state !== 'task';
  }

  function alsoBanner(kind, text, ...actions) {
    const frame = part('banner');
    frame.append(element('div', { class: `notice notice-${kind} ide-notice` }, element('span', {}, text), element('span', { class: 'row' }, actions)));
    frame.hidden = false;
  }
  function banner(...all) { hideBanner(); alsoBanner(...all); }
  const hideBanner = () => { part('banner').hidden = true; part('banner').replaceChildren(); };
  const smallButton = (text, onclick) => element('button', { type: 'button', class: 'button button-small', onclick }, text);

  // ── Taking a task ─────────────────────────────────────────────────────────
  async function next({ keepsBanner = false } = {}) {
    if (isBusy) return;
    isBusy = true;
    // A wait that is over before anybody sees it needs no sign; a page that waits already says so.
    const slow = page.dataset.state === 'empty' ? null : setTimeout(() => show('loading'), 150);
    const told = {};
    try {
      const body = await window.endcap.call('/v1/assignments/next', { json: { purpose: 'work' }, quiet: true, onHeaders: readHeaders(told) });
      clearTimeout(slow);
      receive(body, told, keepsBanner);
    } catch (problem) {
      clearTimeout(slow);
      explainProblem(problem);
    } finally { isBusy = false; }
  }

  const readHeaders = (told) => (headers) => { told.reason = headers.get('Endcap-Reason'); told.sentAt = headers.get('Date'); };

  /** A task or nothing, however it came. */
  function receive(body, told, keepsBanner = false) {
    if (!keepsBanner) hideBanner();
    if (body?.purpose === 'calibration') { location.assign('/calibration'); return; }
    if (body) open(rater.readAssignment(body, settings.rubrics, told.sentAt), keepsBanner); else explainEmpty(told);
  }

  /** What was said of the task before stays above what is said of this one. */
  function open(assignment, keepsBanner = false) {
    close();
    const { task } = assignment;
    const draft = rater.newestDraft(assignment.id, assignment.draft);
    time.start(draft?.active_ms || 0);
    const mine = { ...assignment };
    held = mine;
    held.keeper = rater.draftKeeper({ assignmentId: assignment.id, activeMs: time.ms, onState: showDraftState });
    held.form = rater.judgmentForm({ task, confidenceWords: settings.confidence, draft: draft && pickDraft(draft), onChange: (state) => { if (held !== mine) return; part('problem').textContent = ''; mine.keeper.change(state); } });
    held.lease = rater.lease({ assignmentId: assignment.id, expiresAt: assignment.expiresAt, now: assignment.sentAt, isActive: time.isActive, onWarn: warn, onSafe: hideBanner, onEnd: leaseEnded });
    const hasNewGuideline = desk.open(assignment);
    part('form').replaceChildren(held.form.root);
    part('form').scrollTop = 0;
    placeChoices();
    showDraftState('', '');
    part('problem').textContent = '';
    show('task');
    const say = keepsBanner ? alsoBanner : banner;
    if (draft) {
      const when = draft.saved_at ? new Date(draft.saved_at).toLocaleTimeString('en', { hour: '2-digit', minute: '2-digit', hour12: false }) : 'earlier';
      say('note', `Your draft from ${when} is back; go on where you were.`, element('button', { type: 'button', class: 'button button-quiet button-small', onclick: hideBanner }, 'Good'));
    } else if (hasNewGuideline) {
      say('note', 'The guidelines for this kind of task changed since you last judged one.', smallButton('Read them', () => { hideBanner(); openDialog('guideline-dialog'); }));
    }
    part('title').focus({ preventScroll: true });
    announce(`${sentWords} ${settings.titles[task.task_type] || ''}, ${task.candidates.length} candidates.${draft ? ' Your draft is back.' : ''}`);
    sentWords = '';
    if (wasEmpty) feel.play('task');
    wasEmpty = false;
    measure();
  }

  /** From sending to the next task on the screen, in milliseconds: kept on the page so that anybody can look. */
  function measure() {
    if (sentAtMark === null) return;
    const from = sentAtMark;
    sentAtMark = null;
    requestAnimationFrame(() => { const paint = new MessageChannel(); paint.port1.onmessage = () => { page.dataset.nextMs = (performance.now() - from).toFixed(1); }; paint.port2.postMessage(0); });
  }

  function showDraftState(text, kind) {
    // Saving is silent; that something was not saved is not.
    if ((kind === 'kept' || kind === 'lost') && part('draft').textContent !== text) announce(text);
    part('draft').textContent = text;
    part('draft').title = text;
    part('draft').dataset.kind = kind;
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

  /** Why there is nothing, and what to do next. */
  function explainEmpty({ reason }) {
    close();
    const [head, text, href, label] = settings.reasons[reason] || settings.reasons.default;
    part('empty-head').textContent = head;
    part('empty-text').textContent = text;
    const link = part('empty-link');
    link.href = href; link.textContent = label; link.hidden = !href;
    const isNew = page.dataset.state !== 'empty' || page.dataset.reason !== String(reason);
    page.dataset.reason = String(reason);
    wasEmpty = true;
    show('empty');
    if (isNew) { part('empty-head').focus({ preventScroll: true }); announce(text); }
  }

  function explainProblem(problem) {
    if (problem.status === 401) { location.assign(`/login?return_to=${encodeURIComponent('/rate')}`); return; }
    if (page.dataset.state === 'empty' && problem.status === 0) return;
    part('failed-text').textContent = problem.message;
    show('failed');
    announce(problem.message);
  }

  // ── The lease ─────────────────────────────────────────────────────────────
  function warn(msLeft) {
    const text = `This task is yours for ${clock(msLeft)} more. Go on working, or keep it.`;
    const shown = part('banner').querySelector('.lease-text');
    if (shown) { shown.textContent = text; return; }
    banner('warn', element('span', { class: 'lease-text', 'aria-live': 'off' }, text), smallButton('Keep it', () => held?.lease.beat()));
    announce('Less than a minute is left for this task. Go on working in it, or choose Keep it.');
    feel.play('warning');
  }

  function leaseEnded(why) {
    if (!held) return;
    held.keeper.flush();
    banner('bad', `${why} Others may take it now. Your draft is kept: you may still send it, and if its place is taken by then, the answer says so.`, smallButton('Next task', () => next()));
    announce(`${why} Your draft is kept.`);
    feel.play('warning');
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
    sentAtMark = performance.now();
    part('submit').setAttribute('aria-busy', 'true');
    const { id, form, task, keeper } = held;
    const state = form.state;
    const json = { choice: state.choice || 'unsure', reasons: state.reasons, confidence: state.confidence ?? settings.confidence[0][1], rubric_scores: form.scores(), active_ms: time.ms(), ...extra };
    if (state.free_text_feedback.trim()) json.free_text_feedback = state.free_text_feedback.trim();
    const told = {};
    let answer = null, goesOn = false;
    try {
      // One round trip sends this one and brings the next.
      answer = await window.endcap.call(`/v1/assignments/${id}/judgment?next=true`, { json, quiet: true, onHeaders: readHeaders(told) });
      close(false);
      sentWords = `${extra.escalate ? 'Sent to an expert' : 'Sent'}; ${keys.of('undo')} undoes it.`;
      startUndo(answer, extra.escalate ? 'Sent to an expert' : `Sent: ${choiceWords(json.choice)}`, task.title);
      progress.add(json.active_ms);
      goesOn = true;
    } catch (problem) {
      sentAtMark = null;
      goesOn = refused(problem, keeper, state);
    } finally {
      isBusy = false;
      part('submit').removeAttribute('aria-busy');
    }
    if (goesOn) await goOn(answer, told, goesOn === 'told');
  }

  /** On to the next task: the one that came with the answer, or one asked for. */
  async function goOn(answer, told, keepsBanner = false) {
    if (answer && answer.next !== undefined && answer.next_reason !== 'ask_again') receive(answer.next, { ...told, reason: answer.next_reason }, keepsBanner);
    else await next({ keepsBanner });
  }

  /** What a refused judgment means; whether to go on with the next task. */
  function refused(problem, keeper, state) {
    if (problem.code === 'judgment_exists') {
      close(false);
      sentWords = 'You have judged this task already, perhaps in another tab. Here is the next one.';
      banner('note', sentWords);
      return 'told';
    }
    keeper.change(state);
    if (problem.status === 409) {
      banner('warn', `${problem.message} Your draft is kept here and on the server, and is offered if the task comes to you again.`, smallButton('Next task', () => next()));
    } else if (problem.status === 401) {
      banner('warn', 'Your session is over. Sign in again; your draft is kept.', element('a', { class: 'button button-small', href: '/login?return_to=%2Frate' }, 'Sign in'));
    } else {
      part('problem').textContent = problem.status === 0 ? `${problem.message} Nothing is lost: send it again.` : problem.message;
    }
    announce(problem.message);
    return false;
  }

  function startUndo(judgment, text, title) {
    stopUndo();
    if (!judgment.undo_until) return;
    const length = Date.parse(judgment.undo_until) - Date.parse(judgment.created_at), until = performance.now() + length;
    const draw = () => {
      const left = until - performance.now();
      if (left <= 0) { stopUndo(); return; }
      part('undo-time').textContent = clock(left);
      part('undo-button').style.setProperty('--left', `${(left / length) * 100}%`);
    };
    part('undo-text').textContent = text;
    part('undo-text').title = title;
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
      const told = {};
      const answer = await window.endcap.call(`/v1/judgments/${judgmentId}/undo`, { method: 'POST', quiet: true, onHeaders: readHeaders(told) });
      // The task in hand goes back with its draft, so that only one is held.
      const current = held;
      if (current) {
        await current.keeper.flush();
        await window.endcap.call(`/v1/assignments/${current.id}/release`, { method: 'POST', quiet: true }).catch(() => {});
      }
      stopUndo();
      progress.take();
      open(rater.readAssignment(answer, settings.rubrics, told.sentAt));
      banner('note', 'Taken back: your judgment is a draft again.', element('button', { type: 'button', class: 'button button-quiet button-small', onclick: hideBanner }, 'Good'));
    } catch (problem) {
      stopUndo();
      banner('warn', problem.message);
      announce(problem.message);
    } finally { isBusy = false; }
  }

  async function skip(reason) {
    if (!held || isBusy) return;
    isBusy = true;
    const told = {};
    let answer = null;
    try {
      answer = await window.endcap.call(`/v1/assignments/${held.id}/skip?next=true`, { json: { reason }, onHeaders: readHeaders(told) });
      close(false);
      window.endcap.toast('Skipped. Somebody else gets it.');
    } catch { /* the toast says why */ } finally { isBusy = false; }
    if (answer) await goOn(answer, told);
  }

  // ── Keys and buttons ──────────────────────────────────────────────────────
  const openDialog = (name) => {
    document.getElementById(name).showModal();
    if (name === 'keys-dialog') keys.sheet(document.getElementById('key-sheet'));
  };
  const actions = {
    reasons: () => held.form.focusReasons(), confidence: () => held.form.focusConfidence(), text: () => held.form.focusText(),
    difference: desk.toggleDifference, together: desk.toggleTogether, why: desk.toggleWhy,
    escalate: () => openDialog('escalate-dialog'), skip: () => openDialog('skip-dialog'), guidelines: () => openDialog('guideline-dialog'),
    ...Object.fromEntries([0, 1, 2, 3].map((i) => [`criterion_${i + 1}`, () => held.form.cycleCriterion(i)])),
    ...Object.fromEntries([...CHOICES, 'tie', 'both_bad', 'unsure'].map((choice) => [choice, () => held.form.choose(choice)])),
  };

  document.addEventListener('keydown', (event) => {
    const hasDialog = document.querySelector('dialog[open]') !== null;
    const isSend = event.key === 'Enter' && (event.ctrlKey || event.metaKey);
    if (isSend && held && !hasDialog) { event.preventDefault(); if (!event.repeat) submit(); return; }
    if (isSend && hasDialog) { event.target.form?.requestSubmit(); return; }
    if (event.key === 'Escape' && !hasDialog && page.contains(document.activeElement)) { part('title').focus({ preventScroll: true }); return; }
    if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const key = event.key.toLowerCase(), action = keys.actionOf(key);
    if (action === 'help') { event.preventDefault(); openDialog('keys-dialog'); return; }
    if (action === 'undo') { if (undo) { event.preventDefault(); takeBack(); } return; }
    if (!held || isBusy) return;
    if (/^[1-9]$/.test(key) && held.form.digit(Number(key))) { event.preventDefault(); return; }
    if (action && actions[action]) { event.preventDefault(); actions[action](); }
  });

  part('submit').addEventListener('click', () => submit());
  part('undo-button').addEventListener('click', takeBack);
  part('difference-button').addEventListener('click', desk.toggleDifference);
  part('together-button').addEventListener('click', desk.toggleTogether);
  part('keys-button').addEventListener('click', () => openDialog('keys-dialog'));
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
    const { reason, more } = event.target.elements;
    const said = more.value.trim();
    if (reason.value === 'other' && !said) { more.focus(); return; }
    document.getElementById('skip-dialog').close();
    skip(reason.value === 'other' ? said : said ? `${reason.value}: ${said}` : reason.value);
    event.target.reset();
  });
  // Closing the tab gives nothing back, but what was typed is here and on the server.
  addEventListener('pagehide', () => held?.keeper.flush());
  addEventListener('online', () => { if (page.dataset.state === 'failed') next(); });

  // ── News ──────────────────────────────────────────────────────────────────
  const LATE_NEWS_MS = 5000;
  let lastLook = 0, lookTimer = null;
  /** An empty queue looks again when a task changes, and not more often than the server likes; news that comes while it asks is not lost. */
  function look(leastPauseMs) {
    if (lookTimer) return;
    const waitMs = isBusy ? 250 : Math.max(0, lastLook + leastPauseMs - performance.now());
    lookTimer = setTimeout(() => {
      lookTimer = null;
      if (isBusy) { look(leastPauseMs); return; }
      if (page.dataset.state !== 'empty') return;
      lastLook = performance.now();
      next();
    }, waitMs);
  }
  const own = page.dataset.rater;
  feel.news({
    topics: ['tasks', ...(own ? [`rater:${own}`] : [])],
    mark: part('connection'),
    onPoll: () => look(2000),
    onNews: (topic, event, payload) => {
      if (topic === 'tasks') { look(2000); return; }
      // News of a lease that was extended since is old news; that it will end is counted here, and never a sign of work.
      if (event === 'lease_expired' && held && payload.assignment_id === held.id && held.lease.left() < LATE_NEWS_MS) { held.lease.close(); leaseEnded('The time for this task is over.'); }
      const words = rater.newsWords(event, payload);
      if (words) window.endcap.toast(words, 'note', 8000);
      if (words || event === 'resync') look(2000);
    },
  });

  feel.soundSwitch(document.getElementById('sound-switch'));
  rater.panes(part('panes'));
  rater.localDraft.sweep();
  next();
})();
