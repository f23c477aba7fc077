// Work that must not be lost: active time, drafts on the server and in the browser, and the lease of a task.
'use strict';
(() => {
  const rater = window.rater;
  const IDLE_MS = 30000, TICK_MS = 1000, DRAFT_PAUSE_MS = 700, FIRST_RETRY_MS = 3000, LONGEST_RETRY_MS = 60000, WARN_MS = 60000, KEEP_DRAFTS_MS = 2 * 24 * 3600 * 1000;
  const DRAFT_PREFIX = 'endcap-draft:';

  /** Time in which the page is visible and the rater did something in the last 30 seconds. Gives { ms(), isActive(), start(ms), stop() }. */
  function activeTime() {
    let total = 0, lastSign = performance.now(), lastTick = performance.now(), timer = null;
    const sign = () => { lastSign = performance.now(); };
    const isActive = () => document.visibilityState === 'visible' && performance.now() - lastSign < IDLE_MS;
    const tick = () => {
      const now = performance.now();
      // A sleeping computer makes one long gap, which nobody worked through.
      if (isActive()) total += Math.min(now - lastTick, 2 * TICK_MS);
      lastTick = now;
    };
    for (const name of ['keydown', 'pointerdown', 'pointermove', 'wheel', 'scroll', 'touchstart', 'focus']) addEventListener(name, sign, { passive: true, capture: true });
    return {
      ms: () => { tick(); return Math.round(total); },
      isActive,
      start: (ms = 0) => { total = ms; lastTick = performance.now(); sign(); clearInterval(timer); timer = setInterval(tick, TICK_MS); },
      stop: () => { tick(); clearInterval(timer); },
    };
  }

  const localDraft = {
    read(id) { try { return JSON.parse(localStorage.getItem(DRAFT_PREFIX + id)); } catch { return null; } },
    write(id, draft) { try { localStorage.setItem(DRAFT_PREFIX + id, JSON.stringify(draft)); return true; } catch { return false; } },
    remove(id) { try { localStorage.removeItem(DRAFT_PREFIX + id); } catch { /* nothing was kept */ } },
    sweep() {
      try {
        for (const key of Object.keys(localStorage).filter((one) => one.startsWith(DRAFT_PREFIX))) {
          const kept = JSON.parse(localStorage.getItem(key));
          if (!(Date.now() - Date.parse(kept?.saved_at) < KEEP_DRAFTS_MS)) localStorage.removeItem(key);
        }
      } catch { /* storage may be blocked */ }
    },
  };

  /**
   * Saves drafts here at once and on the server after a pause, and tries again when the server did not take one.
   * `onState(text, kind)` says where the draft is: 'saving', 'saved' (on the server), 'kept' (in this browser only), 'lost' (nowhere).
   */
  function draftKeeper({ assignmentId, activeMs, onState }) {
    let timer = null, waiting = null, isClosed = false, failures = 0, isLocal = true, sending = Promise.resolve();
    const send = async () => {
      clearTimeout(timer);
      timer = null;
      if (!waiting || isClosed) return;
      const draft = waiting;
      waiting = null;
      try {
        await window.endcap.call(`/v1/assignments/${assignmentId}/draft`, { method: 'PUT', json: draft, quiet: true, timeoutMs: 10000 });
        failures = 0;
        if (!isClosed && !waiting) onState(`Saved ${new Date().toLocaleTimeString('en', { hour: '2-digit', minute: '2-digit', hour12: false })}`, 'saved');
      } catch (problem) {
        if (isClosed) return;
        const isTemporary = problem.status === 0 || problem.status === 429 || problem.status >= 500;
        const where = isLocal ? 'kept in this browser' : 'and this browser keeps nothing';
        if (isTemporary) {
          waiting = waiting ?? draft;
          failures += 1;
          timer = setTimeout(queue, Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1)));
          onState(`Not saved on the server, ${where}; trying again`, isLocal ? 'kept' : 'lost');
        } else {
          onState(`The server did not take the draft, ${where}`, isLocal ? 'kept' : 'lost');
        }
      }
    };
    const queue = () => { sending = sending.then(send); return sending; };
    const again = () => { if (waiting && !isClosed) queue(); };
    addEventListener('online', again);
    return {
      change(state) {
        if (isClosed) return;
        waiting = { ...state, active_ms: activeMs(), saved_at: new Date().toISOString() };
        isLocal = localDraft.write(assignmentId, waiting);
        if (failures === 0) onState('Saving…', 'saving');
        clearTimeout(timer);
        timer = setTimeout(queue, DRAFT_PAUSE_MS);
      },
      /** Sends what waits, and waits for what is on its way. */
      flush: queue,
      /** Stops saving; forgets the local copy unless it is to be kept. */
      close({ keeps }) {
        isClosed = true;
        clearTimeout(timer);
        removeEventListener('online', again);
        if (!keeps) localDraft.remove(assignmentId);
        return sending;
      },
    };
  }

  /** The newer of the two drafts, if any of them says something. */
  function newestDraft(assignmentId, fromServer) {
    const local = localDraft.read(assignmentId);
    const time = (draft) => Date.parse(draft?.saved_at) || 0;
    const draft = time(local) > time(fromServer) ? local : fromServer || local;
    const says = draft && (draft.choice || draft.free_text_feedback || draft.confidence !== null && draft.confidence !== undefined || Object.keys(draft.rubric_scores || {}).length);
    return says ? draft : null;
  }

  /**
   * Keeps a lease while the rater is active. `lease({ assignmentId, expiresAt, isActive, onWarn(msLeft), onSafe(), onEnd(why) })`.
   * The server's clock and ours may differ: what counts is the time from its answer on.
   */
  function lease({ assignmentId, expiresAt, now = null, isActive, onWarn, onSafe, onEnd }) {
    const read = (until, at) => performance.now() + Math.max(0, Date.parse(until) - (at ? Date.parse(at) : Date.now()));
    let endsAt = read(expiresAt, now), lengthMs = Math.max(30000, endsAt - performance.now()), lastBeat = performance.now(), hasWarned = false, isOver = false, isBeating = false;
    const left = () => endsAt - performance.now();
    const beat = async () => {
      if (isBeating || isOver) return;
      isBeating = true;
      lastBeat = performance.now();
      let sentAt = null;
      try {
        const answer = await window.endcap.call(`/v1/assignments/${assignmentId}/heartbeat`, { method: 'POST', quiet: true, timeoutMs: 10000, onHeaders: (headers) => { sentAt = headers.get('Date'); } });
        endsAt = read(answer.lease_expires_at, sentAt);
        if (hasWarned && left() > WARN_MS) { hasWarned = false; onSafe(); }
      } catch (problem) {
        if (problem.status === 409 || problem.status === 404) end(problem.message);
      } finally { isBeating = false; }
    };
    const end = (why) => { if (!isOver) { isOver = true; clearInterval(timer); onEnd(why); } };
    const timer = setInterval(() => {
      if (left() <= 0) { end('The time for this task is over.'); return; }
      const every = Math.max(5000, Math.min(60000, lengthMs / 3));
      if (isActive() && performance.now() - lastBeat > every) beat();
      if (left() < Math.min(WARN_MS, lengthMs / 2)) { hasWarned = true; onWarn(left()); }
    }, TICK_MS);
    return { beat, left, close: () => { isOver = true; clearInterval(timer); } };
  }

  /** An assignment as the API gives it, in the words of our pages. `sentAt` is the server's time of the answer. */
  function readAssignment(body, rubrics, sentAt = null) {
    const { task } = body;
    const candidates = rater.CHOICES.map((name) => task[name]).filter((one) => one !== undefined && one !== null);
    const auto_checks = (task.checks ?? []).map((one) => ({ ...one, candidate: rater.CHOICES.indexOf(one.candidate) }));
    return { id: body.assignment_id, expiresAt: body.lease_expires_at, sentAt, purpose: body.purpose, draft: body.draft, why: body.why, why_parts: body.why_parts ?? [],
      task: { ...task, rubric: rubrics[task.task_type], context: task.context_snippets ?? [], candidates, auto_checks } };
  }

  Object.assign(rater, { readAssignment, activeTime, draftKeeper, newestDraft, localDraft, lease });
})();
