// Asks for plans, chooses one, and shows a decision of people as soon as it is told.
'use strict';
(() => {
  const { call, live, toast } = window.endcap;
  const $ = (selector, root = document) => root.querySelector(selector);
  const frame = $('[data-plans]');
  if (!frame) return;
  const base = `/v1/campaigns/${encodeURIComponent(frame.dataset.plans)}/plans`;
  const refusal = $('[data-refusal]');
  const newKey = () => (crypto.randomUUID ? crypto.randomUUID() : `${Math.random()}${Date.now()}`);

  const ask = $('[data-ask]');
  ask?.addEventListener('submit', async (event) => {
    event.preventDefault();
    refusal.hidden = true;
    for (const field of ask.querySelectorAll('[aria-invalid]')) field.removeAttribute('aria-invalid');
    for (const text of ask.querySelectorAll('.field-error')) text.textContent = '';
    const value = (name) => ask.elements[name].value.trim();
    const body = { candidates: Number(value('candidates')), horizon_days: Number(value('horizon_days')), ask_people: value('ask_people') };
    if (value('total_budget')) body.total_budget = value('currency') ? { amount: value('total_budget'), currency: value('currency').toUpperCase() } : value('total_budget');
    const excluded = value('excluded_placements').split('\n').map((one) => one.trim()).filter(Boolean);
    const limits = { excluded_placements: excluded };
    for (const name of ['min_roas', 'max_share_per_arm']) if (value(name)) limits[name] = Number.isFinite(Number(value(name))) ? Number(value(name)) : value(name);
    if (value('max_cpa')) limits.max_cpa = value('currency') ? { amount: value('max_cpa'), currency: value('currency').toUpperCase() } : value('max_cpa');
    body.constraints = limits;
    const work = $('[data-work]'), words = $('[data-work-text]'), sender = event.submitter, began = Date.now();
    const tick = () => { words.textContent = `Fitting curves and comparing plans: ${Math.round((Date.now() - began) / 1000)} s`; };
    work.hidden = false;
    tick();
    const clock = setInterval(tick, 1000);
    if (sender) sender.disabled = true;
    try {
      const answer = await call(base, { json: body, headers: { 'Idempotency-Key': newKey() }, quiet: true, timeoutMs: 120000 });
      location.assign(`?set=${encodeURIComponent(answer.plan_set_id)}#set`);
    } catch (problem) {
      if (sender) sender.disabled = false;
      work.hidden = true;
      let first = null;
      const homeless = [];
      for (const error of problem.errors || []) {
        const path = (error.field || '').replace(/^constraints\./, '').replace(/\.amount$/, '');
        const name = path.endsWith('.currency') ? 'currency' : path.split(/[.[]/)[0];
        const field = ask.elements[name], text = document.getElementById(`${name}-error`);
        if (!field || !text) { homeless.push(error.field ? `${error.field} ${error.message}` : error.message); continue; }
        field.setAttribute('aria-invalid', 'true');
        text.textContent = error.message;
        first = first || field;
      }
      if (homeless.length || !first) {
        refusal.textContent = homeless.join('\n') || problem.message;
        refusal.hidden = false;
      }
      (first || refusal).focus();
    } finally { clearInterval(clock); }
  });

  const dialog = $('#choose-dialog');
  let wanted = null;
  for (const button of document.querySelectorAll('[data-choose]')) {
    button.addEventListener('click', () => {
      wanted = button;
      $('[data-choose-name]').textContent = button.dataset.title;
      $('#reason-error').textContent = '';
      $('#reason').removeAttribute('aria-invalid');
      dialog.showModal();
      $('#reason').focus();
    });
  }
  $('[data-choose-form]')?.addEventListener('submit', async (event) => {
    event.preventDefault();
    const reason = $('#reason').value.trim(), text = $('#reason-error');
    const refuse = (message) => { text.textContent = message; $('#reason').setAttribute('aria-invalid', 'true'); $('#reason').focus(); };
    if (!reason) { refuse('Say why, so that others can follow the decision.'); return; }
    if (event.submitter) event.submitter.disabled = true;
    try {
      await call(`${base}/${encodeURIComponent(wanted.dataset.choose)}/choose`, { json: { reason }, quiet: true });
      location.reload();
    } catch (problem) {
      if (event.submitter) event.submitter.disabled = false;
      refuse(problem.message);
    }
  });

  const opinion = $('#opinion-dialog'), opinionForm = $('[data-opinion-form]');
  let thoughtOf = null;
  for (const button of document.querySelectorAll('[data-opinion]')) {
    button.addEventListener('click', () => {
      thoughtOf = button.dataset.opinion;
      $('[data-opinion-name]').textContent = button.dataset.title;
      opinionForm.reset();
      for (const text of opinionForm.querySelectorAll('.field-error')) text.textContent = '';
      opinion.showModal();
      $('input[name="answer"]', opinionForm).focus();
    });
  }
  opinionForm?.addEventListener('submit', async (event) => {
    event.preventDefault();
    const answer = opinionForm.elements.answer.value, comment = opinionForm.elements.comment.value.trim();
    for (const text of opinionForm.querySelectorAll('.field-error')) text.textContent = '';
    if (!answer) { $('#feedback_type-error').textContent = 'Choose an answer.'; $('input[name="answer"]', opinionForm).focus(); return; }
    const body = answer.startsWith('thumbs') ? { feedback_type: answer } : { feedback_type: 'rating', rating: Number(answer) };
    if (comment) body.comment = comment;
    if (event.submitter) event.submitter.disabled = true;
    try {
      const { is_delivered: isDelivered } = await call(`${base}/${encodeURIComponent(thoughtOf)}/feedback`, { json: body, headers: { 'Idempotency-Key': newKey() }, quiet: true });
      opinion.close();
      toast(isDelivered ? 'Thank you: your answer is stored.' : 'Thank you: your answer is kept and passed on as soon as the learning service answers.', 'good');
      if (isDelivered) setTimeout(() => location.reload(), 1200);
    } catch (problem) {
      const error = (problem.errors || [])[0];
      const place = (error && document.getElementById(`${error.field}-error`)) || $('#feedback_type-error');
      place.textContent = (error && error.message) || problem.message;
    } finally { if (event.submitter) event.submitter.disabled = false; }
  });

  // People may decide while the page is open.
  if ('inReview' in frame.dataset) {
    live({ topic: frame.dataset.topic, onEvent: (event, payload) => {
      const said = payload && (payload.payload || payload);
      if ((event === 'plan_decided' || (payload && payload.event === 'plan_decided')) && said && said.plan_set_id === frame.dataset.set && !dialog?.open) location.reload();
    } });
  }
})();
