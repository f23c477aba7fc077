// Writes a campaign through the API; what it refuses stands at the fields.
'use strict';
(() => {
  const { call } = window.endcap;
  const form = document.querySelector('[data-form]');
  if (!form) return;
  const refusal = form.querySelector('[data-refusal]');
  const LISTS = ['placement_types', 'target_audiences', 'target_skus'];
  const TEXTS = ['brand_id', 'objective', 'start_date', 'end_date', 'total_budget', 'currency'];
  const isNew = !form.dataset.campaign;
  const key = crypto.randomUUID ? crypto.randomUUID() : `${Math.random()}${Date.now()}`;
  let tries = 0;

  function clear() {
    refusal.hidden = true;
    for (const field of form.querySelectorAll('[aria-invalid]')) field.removeAttribute('aria-invalid');
    for (const text of form.querySelectorAll('.field-error')) text.textContent = '';
  }
  function show(errors, message) {
    const homeless = [];
    let first = null;
    for (const error of errors) {
      const name = (error.field || '').split(/[.[]/)[0];
      const field = form.elements[name], text = document.getElementById(`${name}-error`);
      if (!field || !text) { homeless.push(error.field ? `${error.field} ${error.message}` : error.message); continue; }
      field.setAttribute('aria-invalid', 'true');
      text.textContent = text.textContent ? `${text.textContent}; ${error.message}` : error.message;
      first = first || field;
    }
    if (homeless.length || !errors.length) { refusal.textContent = homeless.join('\n') || message; refusal.hidden = false; }
    (first || refusal).focus();
  }

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    clear();
    const missing = ['name', 'retailer_id'].filter((name) => !form.elements[name].value.trim() && !form.elements[name].disabled);
    if (missing.length) { show(missing.map((field) => ({ field, message: 'is required' }))); return; }
    const body = { name: form.elements.name.value.trim() };
    if (isNew) body.retailer_id = form.elements.retailer_id.value;
    for (const name of TEXTS) {
      const value = form.elements[name].value.trim();
      if (value) body[name] = name === 'currency' ? value.toUpperCase() : value; else if (!isNew) body[name] = null;
    }
    for (const name of LISTS) {
      if (form.elements[name]) body[name] = form.elements[name].value.split(/[\n,]/).map((one) => one.trim()).filter(Boolean);
    }
    const sender = event.submitter;
    if (sender) sender.disabled = true;
    try {
      tries += 1;
      const headers = isNew ? { 'Idempotency-Key': `${key}-${tries}` } : { 'If-Match': `"${form.dataset.version}"` };
      const address = isNew ? '/v1/campaigns' : `/v1/campaigns/${encodeURIComponent(form.dataset.campaign)}`;
      const saved = await call(address, { method: isNew ? 'POST' : 'PATCH', json: body, headers, quiet: true });
      sessionStorage.setItem('endcap-told', isNew ? 'The draft is stored.' : 'The change is stored.');
      location.assign(`/campaigns/${encodeURIComponent(saved.campaign_id)}`);
    } catch (problem) {
      if (sender) sender.disabled = false;
      const stale = problem.code === 'precondition_failed' || problem.code === 'stale';
      show(problem.errors || [], stale ? 'Somebody changed this campaign since you opened it. Open it again, so that nothing of theirs is lost.' : problem.message);
    }
  });
})();
