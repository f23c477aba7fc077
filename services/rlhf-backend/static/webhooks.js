// Webhooks: the form, the secret that is shown once, tests, switches and sending again. Lists are asked for again and exchanged.
'use strict';
(() => {
  const { call, toast } = window.endcap;
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const newKey = () => (crypto.randomUUID ? crypto.randomUUID() : String(Math.random()) + Date.now());

  /** Exchanges what is marked data-live for the server's present state; who held a button there keeps its place. */
  async function refresh() {
    const response = await fetch(location.href, { credentials: 'same-origin', headers: { Accept: 'text/html' }, signal: AbortSignal.timeout(15000) }).catch(() => null);
    if (!response?.ok || response.redirected) return;
    const fresh = new DOMParser().parseFromString(await response.text(), 'text/html');
    for (const part of $$('[data-live]')) {
      const next = fresh.getElementById(part.id);
      if (!next || part.innerHTML === next.innerHTML) continue;
      const held = placeOf(part);
      part.innerHTML = next.innerHTML;
      if (held) focusOn(held);
    }
  }
  const ACTIONS = ['test', 'edit', 'switch', 'rotate', 'replay', 'remove'];
  /** Where the keyboard is in a part that is about to be exchanged. */
  function placeOf(part) {
    const active = document.activeElement;
    if (!part.contains(active)) return null;
    const card = active.closest('[data-webhook]')?.dataset.webhook;
    return { card, action: ACTIONS.find((name) => name in active.dataset), delivery: active.dataset.replayOne || active.dataset.sendNow };
  }
  /** The same button of the same webhook or delivery; what is left of it where it is gone, at last the heading of the list. */
  function focusOn({ card, action, delivery }) {
    const home = card && document.getElementById(card);
    const place = delivery ? $(`[data-replay-one="${CSS.escape(delivery)}"], [data-send-now="${CSS.escape(delivery)}"]`) : home && ((action && $(`[data-${action}]`, home)) || $('a, button', home));
    (place || $('#webhooks-title') || $('h1'))?.focus({ preventScroll: true });
  }
  /** Looks again until nothing waits, or for half a minute. */
  async function settle() {
    for (let i = 0; i < 30; i += 1) {
      await refresh();
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }

  const form = $('[data-form]');
  let edited = null;
  function clearErrors() {
    for (const field of $$('[aria-invalid]', form)) field.removeAttribute('aria-invalid');
    for (const text of $$('.field-error', form)) text.textContent = '';
  }
  function showErrors(problem) {
    let first = null;
    for (const error of problem.errors || []) {
      const id = error.field.replace(/\[.*/, '');
      const text = document.getElementById(`${id}-error`), field = document.getElementById(id);
      if (!text) continue;
      text.textContent = error.message;
      if (field?.matches('input')) field.setAttribute('aria-invalid', 'true');
      first = first || field;
    }
    if (first) first.focus(); else toast(problem.message, 'bad');
  }
  function showSecret(secret) {
    $('#secret-text').value = secret;
    $('#secret').showModal();
    $('#secret-text').select();
  }
  function begin(card) {
    edited = card ? card.dataset.webhook : null;
    clearErrors();
    form.reset();
    $('#form-title').textContent = card ? 'Change the webhook' : 'Add a webhook';
    $('[type=submit]', form).textContent = card ? 'Save' : 'Add';
    $('[data-cancel]', form).hidden = !card;
    for (const part of $$('[data-only-new]', form)) part.hidden = Boolean(card);
    if (!card) return;
    form.elements.url.value = card.dataset.url;
    form.elements.description.value = card.dataset.description;
    const types = card.dataset.types.split(' ');
    for (const box of $$('[name=event_types]', form)) box.checked = types.includes(box.value);
    $('#form-title').focus();
  }
  form?.addEventListener('submit', async (event) => {
    event.preventDefault();
    const button = $('[type=submit]', form);
    const body = { url: form.elements.url.value.trim(), description: form.elements.description.value.trim(), event_types: $$('[name=event_types]:checked', form).map((box) => box.value) };
    const tenant = form.elements.tenant_id?.value.trim();
    if (tenant && !edited) body.tenant_id = tenant;
    clearErrors();
    button.disabled = true;
    try {
      if (edited) { await call(`/v1/webhooks/${edited}`, { method: 'PATCH', json: body, quiet: true }); toast('Saved.', 'good'); begin(null); }
      else {
        const made = await call('/v1/webhooks', { json: body, headers: { 'Idempotency-Key': newKey() }, quiet: true });
        begin(null);
        ofCard = made.webhook_id;
        showSecret(made.secret);
      }
      await refresh();
    } catch (problem) { showErrors(problem); } finally { button.disabled = false; }
  });
  $('[data-cancel]')?.addEventListener('click', () => { begin(null); $('#form-title').focus(); });
  $('[data-copy]')?.addEventListener('click', async () => {
    try { await navigator.clipboard.writeText($('#secret-text').value); toast('Copied.', 'good'); } catch { $('#secret-text').select(); }
  });
  // What was shown once stays nowhere in the page, and the keyboard goes back to the webhook that it is of.
  let ofCard = null;
  $('#secret')?.addEventListener('close', () => {
    $('#secret-text').value = '';
    focusOn({ card: ofCard, action: 'rotate' });
  });

  function ask(title, text) {
    const dialog = $('#sure');
    $('#sure-title').textContent = title;
    $('[data-sure-text]').textContent = text;
    dialog.returnValue = 'no';
    dialog.showModal();
    return new Promise((resolve) => dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true }));
  }

  document.addEventListener('click', async (event) => {
    const one = event.target.closest('[data-replay-one]');
    const now = event.target.closest('[data-send-now]');
    const card = event.target.closest('[data-webhook]');
    const pressed = (name) => event.target.closest(`[data-${name}]`);
    try {
      if (one) {
        await call(`/v1/webhook-deliveries/${one.dataset.replayOne}/replay`, { method: 'POST', headers: { 'Idempotency-Key': newKey() } });
        toast('It is sent again.', 'good');
        await settle();
        return;
      }
      if (now) {
        await call(`/v1/webhook-deliveries/${now.dataset.sendNow}/send-now`, { method: 'POST', headers: { 'Idempotency-Key': newKey() } });
        toast('It is sent now.', 'good');
        await settle();
        return;
      }
      if (!card) return;
      const path = `/v1/webhooks/${card.dataset.webhook}`;
      if (pressed('edit')) begin(card);
      if (pressed('test')) { await call(`${path}/test`, { method: 'POST', headers: { 'Idempotency-Key': newKey() } }); toast('A test is on its way; its outcome is in the deliveries.', 'good'); }
      const turns = pressed('switch')?.dataset.switch;
      if (turns && (turns === 'true' || await ask('Switch this webhook off?', `${card.dataset.url} is told of nothing until it is switched on again; what happens meanwhile is not sent later.`))) {
        await call(path, { method: 'PATCH', json: { is_enabled: turns === 'true' } });
        await refresh();
      }
      if (pressed('replay')) {
        const since = new Date(Date.now() - 7 * 86400000).toISOString();
        const done = await call(`${path}/replay`, { json: { since }, headers: { 'Idempotency-Key': newKey() } });
        toast(done.replayed ? `${done.replayed} that failed in the last 7 days are sent again${done.has_more ? '; there are others, press again for those' : ''}.` : 'Nothing failed for good in the last 7 days.', 'good');
      }
      if (pressed('rotate') && await ask('Make a new secret?', 'For 24 hours everything is signed with the old and the new one, so that your receiver can be changed meanwhile.')) {
        const made = await call(`${path}/rotate-secret`, { method: 'POST', headers: { 'Idempotency-Key': newKey() } });
        ofCard = card.dataset.webhook;
        showSecret(made.secret);
        await refresh();
      }
      if (pressed('remove') && await ask('Remove this webhook?', `${card.dataset.url} is told of nothing any more, and its deliveries are removed.`)) {
        await call(path, { method: 'DELETE' });
        if (edited === card.dataset.webhook) begin(null);
        await refresh();
      }
    } catch { /* the refusal was shown */ }
  });
})();
