// Forms and live figures of the RLHF pages. Figures are never computed here: the page is asked again and its live parts exchanged.
'use strict';
(() => {
  const QUIET_MS = 400, POLL_MS = 5000, SLOW_POLL_MS = 60000;
  const { call, live, toast } = window.endcap;
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

  /** Buttons that switch models, and the model of one. */
  const SWITCHES = '[data-activate], [data-rollback], [data-begin-shadow], [data-end-shadow]';
  const modelOf = ({ dataset }) => dataset.activate || dataset.rollback || dataset.beginShadow || dataset.endShadow;

  /** Exchanges every part marked data-live for the server's present one. */
  let isAsking = false, isWanted = false;
  async function refresh() {
    if (isAsking) { isWanted = true; return; }
    isAsking = true;
    try {
      const response = await fetch(location.href, { credentials: 'same-origin', headers: { Accept: 'text/html' }, signal: AbortSignal.timeout(15000) });
      if (!response.ok || response.redirected) throw new Error('stale');
      const fresh = new DOMParser().parseFromString(await response.text(), 'text/html');
      for (const part of $$('[data-live]')) {
        const next = fresh.getElementById(part.id);
        if (!next || part.innerHTML === next.innerHTML) continue;
        // Nobody's field vanishes under the fingers; a button or a scrolled frame keeps the focus in its new form.
        const held = part.contains(document.activeElement) ? document.activeElement : null;
        if (held && !held.matches(`.table-frame, ${SWITCHES}`)) continue;
        part.innerHTML = next.innerHTML;
        if (!held) continue;
        const heir = modelOf(held) && $$(SWITCHES, part).find((one) => modelOf(one) === modelOf(held));
        (heir || $('.table-frame', part))?.focus({ preventScroll: true });
      }
      showState(topics.size > 0 && topics.size === joined.size ? 'live' : 'polled');
    } catch { showState('stale'); }
    isAsking = false;
    if (isWanted) { isWanted = false; soon(); }
  }
  let timer = null;
  function soon() { clearTimeout(timer); timer = setTimeout(refresh, QUIET_MS); }

  const topics = new Set(), joined = new Set();
  const WORDS = { live: 'live', polled: 'refreshed every few seconds', stale: 'not up to date: the server cannot be reached' };
  function showState(state) {
    for (const dot of $$('[data-live-dot]')) dot.classList.toggle('is-live', state === 'live');
    for (const text of $$('[data-live-text]')) text.textContent = WORDS[state];
  }
  function watch(names) {
    for (const topic of names) {
      topics.add(topic);
      live({ topic, onEvent: soon, onResync: soon, onState: (state) => { if (state === 'live') joined.add(topic); else joined.delete(topic); } });
    }
    // Without the socket (the rater app is down) the figures are still right, only later.
    setInterval(() => { if (joined.size < topics.size && !document.hidden) refresh(); }, POLL_MS);
    // Some figures change without an event that this person may hear.
    setInterval(() => { if (!document.hidden) refresh(); }, SLOW_POLL_MS);
  }

  const newKey = () => (crypto.randomUUID ? crypto.randomUUID() : String(Math.random()) + Date.now());
  const clearErrors = (root) => {
    for (const field of $$('[aria-invalid]', root)) field.removeAttribute('aria-invalid');
    for (const text of $$('.field-error', root)) text.textContent = '';
  };
  /** Puts each message beside its field, by a table of names where they differ; the first wrong field gets the focus. What has no field is said aloud. */
  function showErrors(problem, places = {}) {
    let first = null;
    const homeless = [];
    for (const error of problem.errors || []) {
      const id = places[error.field] || error.field;
      const text = document.getElementById(`${id}-error`), field = document.getElementById(id);
      if (!text) { homeless.push(error.field ? `${error.field}: ${error.message}` : error.message); continue; }
      text.textContent = error.message;
      field?.setAttribute('aria-invalid', 'true');
      first = first || field;
    }
    if (homeless.length || !(problem.errors || []).length) toast(homeless.join('\n') || problem.message, 'bad');
    first?.focus();
  }

  const frame = $('[data-feedback]');
  if (frame) {
    watch(frame.dataset.topic.split(' '));
    const value = (id) => $(`#${id}`).value;
    const say = (text) => { $('#state').textContent = text; };
    const send = async (kind, extra, places, sender) => {
      const comment = value('comment').trim();
      const body = { brand_id: frame.dataset.brand, task_type: value('task_type'), prompt: value('prompt'), feedback_type: kind, ...extra };
      if (comment) body.metadata = { comment };
      clearErrors(frame);
      if (sender) sender.disabled = true;
      try {
        await call('/v1/feedback', { json: body, headers: { 'Idempotency-Key': newKey() }, quiet: true });
        say('Stored. Change the outputs, or judge the same ones again.');
        $('#comment').value = '';
        soon();
        return true;
      } catch (problem) { say('Not stored: see what is wrong above.'); showErrors(problem, places); return false; } finally {
        if (sender) sender.disabled = false;
        // The button that was pressed keeps the focus that it lost while it was disabled.
        if (sender && document.activeElement === document.body) sender.focus({ preventScroll: true });
      }
    };
    for (const button of $$('[data-send]')) {
      button.addEventListener('click', () => {
        const { send: kind, rating, better } = button.dataset;
        if (kind !== 'preference') { send(kind, { model_output: value('model_output'), ...(rating ? { rating: Number(rating) } : {}) }, {}, button); return; }
        const [good, bad] = better === 'a' ? ['model_output', 'other_output'] : ['other_output', 'model_output'];
        send(kind, { preferred_output: value(good), rejected_output: value(bad) }, { preferred_output: good, rejected_output: bad }, button);
      });
    }
    const correction = $('#correction'), opener = $('[data-open-correction]');
    opener.addEventListener('click', () => {
      correction.hidden = !correction.hidden;
      opener.setAttribute('aria-expanded', String(!correction.hidden));
      if (correction.hidden) return;
      if (!value('corrected')) $('#corrected').value = value('model_output');
      $('#corrected').focus();
    });
    correction.addEventListener('submit', async (event) => {
      event.preventDefault();
      const sent = await send('correction', { model_output: value('model_output'), preferred_output: value('corrected') }, { preferred_output: 'corrected' }, $('[type=submit]', correction));
      if (!sent) return;
      correction.reset();
      correction.hidden = true;
      opener.setAttribute('aria-expanded', 'false');
      opener.focus();
    });
    for (const pick of $$('[data-pick]')) {
      pick.addEventListener('change', () => {
        const picked = pick.selectedOptions[0];
        if (!picked.dataset.output) return;
        if (pick.dataset.pick === 'model_output' || !value('prompt')) $('#prompt').value = picked.dataset.prompt;
        $(`#${pick.dataset.pick}`).value = picked.dataset.output;
      });
    }
    $('[data-copy-output]').addEventListener('click', () => { $('#corrected').value = value('model_output'); $('#corrected').focus(); });
    document.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && event.target.closest('input, textarea, select')) { $('#judge-title').focus(); return; }
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.closest('input, textarea, select, summary')) return;
      const button = $$('[data-key]').find((one) => one.dataset.key === event.key.toLowerCase());
      if (button && !button.disabled) { event.preventDefault(); button.click(); }
    });
  }

  const ruleFrame = $('[data-rule]');
  $('[data-rule-form]')?.addEventListener('submit', async (event) => {
    event.preventDefault();
    const form = event.target, fields = form.elements;
    const rule = { max_rating: fields.max_rating.value ? Number(fields.max_rating.value) : null, daily_limit: Number(fields.daily_limit.value) };
    for (const name of ['is_on', 'thumbs_down', 'corrections', 'preferences']) rule[name] = fields[name].checked;
    clearErrors(form);
    try {
      const saved = await call(`/v1/feedback/rules/${encodeURIComponent(ruleFrame.dataset.rule)}`, { method: 'PUT', json: rule, quiet: true });
      $('summary', ruleFrame).textContent = `Ask raters about what is disliked: ${saved.is_on ? `on, at most ${saved.daily_limit} a day` : 'off'}`;
      toast('The rule is saved; it holds for feedback from now on.', 'good');
    } catch (problem) { showErrors(problem); }
  });

  const watched = $('[data-watch]');
  if (watched) watch(watched.dataset.watch.split(' '));

  // Counts that take longer than a page: looked at again until they are there.
  if ($('[data-counting]')) {
    const look = async () => { await refresh(); if ($('[data-counting]')) setTimeout(look, 500); };
    setTimeout(look, 500);
  }

  $('[data-train]')?.addEventListener('submit', async (event) => {
    event.preventDefault();
    const button = $('[type=submit]', event.target);
    const given = Object.fromEntries([...new FormData(event.target)].filter(([, text]) => text.trim() !== ''));
    button.disabled = true;
    try {
      const { job_id: job } = await call('/v1/reward-models/train', { json: given });
      toast('Training has begun.', 'good');
      await follow(job, 'The model is trained. Look at its figures before you activate it.', 'Training failed');
    } catch { /* the refusal was shown */ } finally {
      button.disabled = false;
      // A button that was off has lost the keyboard.
      if (document.activeElement === document.body) button.focus({ preventScroll: true });
    }
  });
  $('[data-choose]')?.addEventListener('click', async (event) => {
    const button = event.currentTarget;
    button.disabled = true;
    try {
      const { job_id: job } = await call('/v1/active-learning/rounds', { json: {} });
      await follow(job, 'Chosen. Raters get these tasks within seconds.', 'Choosing failed');
    } catch { /* the refusal was shown */ } finally { button.disabled = false; }
  });
  async function follow(job, done, failed) {
    for (let i = 0; i < 300; i += 1) {
      await refresh();
      const { state, error } = await call(`/v1/jobs/${job}`);
      if (state === 'succeeded') { toast(done, 'good'); break; }
      if (state === 'failed') { toast(`${failed}: ${error}`, 'bad'); break; }
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    await refresh();
  }

  let overridden = null;
  document.addEventListener('click', async (event) => {
    const activate = event.target.closest('[data-activate]'), rollback = event.target.closest('[data-rollback]');
    const compute = event.target.closest('[data-compute]');
    if (compute) {
      compute.disabled = true;
      const retailer = $('#retailer_id')?.value;
      try { await call('/v1/rlhf-metrics/compute', { json: retailer ? { retailer_id: retailer } : {} }); toast('Today’s figures are as of now.', 'good'); } catch { /* the refusal was shown */ } finally { compute.disabled = false; }
      await refresh();
      const again = $('[data-compute]');
      if (document.activeElement === document.body) again?.focus({ preventScroll: true });
      return;
    }
    const begin = event.target.closest('[data-begin-shadow]'), end = event.target.closest('[data-end-shadow]');
    if (activate && 'needsReason' in activate.dataset) {
      // A reason is about one model: what was written for another is not offered again.
      if (overridden !== activate.dataset.activate) $('[data-override]').reset();
      overridden = activate.dataset.activate;
      $('[data-override-model]').textContent = activate.dataset.title;
      clearErrors($('#override'));
      $('#override').showModal();
      return;
    }
    try {
      if (activate) { await call(`/v1/reward-models/${activate.dataset.activate}/activate`, { json: {} }); toast('The model is active: every service scores with it within two seconds.', 'good'); }
      if (rollback) { await call(`/v1/reward-models/${rollback.dataset.rollback}/rollback`, { method: 'POST' }); toast('The model before it is active again.', 'good'); }
      if (begin) { await call(`/v1/reward-models/${begin.dataset.beginShadow}/shadow`, { method: 'POST' }); toast('From now on it predicts what people decide, beside the active model.', 'good'); }
      if (end) { await call(`/v1/reward-models/${end.dataset.endShadow}/shadow`, { method: 'DELETE' }); toast('It predicts no more.', 'good'); }
    } catch { /* the refusal was shown */ }
    if (activate || rollback || begin || end) refresh();
  });
  $('[data-override]')?.addEventListener('submit', async (event) => {
    // The dialog stays open, with what was written, until the server has taken it.
    event.preventDefault();
    const form = event.target, button = $('[type=submit]', form), field = $('#override_reason');
    clearErrors(form);
    button.disabled = true;
    try {
      await call(`/v1/reward-models/${overridden}/activate`, { json: { override_reason: field.value }, quiet: true });
      $('#override').close();
      form.reset();
      toast('The model is active; your reason is on its card.', 'good');
      refresh();
    } catch (problem) {
      $('#override_reason-error').textContent = (problem.errors || [])[0]?.message || problem.message;
      field.setAttribute('aria-invalid', 'true');
      field.focus();
    } finally { button.disabled = false; }
  });
})();
