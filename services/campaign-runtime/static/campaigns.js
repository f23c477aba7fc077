// The list and the page of a campaign: moves, copies and bulk moves through the API, with what it refuses said where people look.
'use strict';
(() => {
  const { call, toast } = window.endcap;
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const newKey = () => (crypto.randomUUID ? crypto.randomUUID() : `${Math.random()}${Date.now()}`);

  /** One campaign. */
  const head = $('[data-campaign]');
  if (head) {
    const base = `/v1/campaigns/${encodeURIComponent(head.dataset.campaign)}`;
    const refusal = $('[data-refusal]'), dialog = $('#move-dialog');
    const refuse = (problem) => {
      refusal.textContent = problem.code === 'precondition_failed' ? 'Somebody changed this campaign since you opened it. Load the page again and look before you move it.' : problem.message;
      refusal.hidden = false;
      refusal.focus();
    };
    const move = async (to, reason, sender) => {
      refusal.hidden = true;
      sender.disabled = true;
      try {
        await call(`${base}/transitions`, { json: { to, ...(reason ? { reason } : {}) }, headers: { 'If-Match': `"${head.dataset.version}"` }, quiet: true });
        location.reload();
      } catch (problem) { sender.disabled = false; refuse(problem); }
    };
    let asked = null;
    for (const button of $$('[data-move]')) {
      button.addEventListener('click', () => {
        if (!('final' in button.dataset)) { move(button.dataset.move, '', button); return; }
        asked = button;
        $('#move-title').textContent = `${button.textContent} this campaign?`;
        $('[data-move-text]').textContent = button.dataset.move === 'archived' ? 'An archived campaign is put away and can only be read.' : 'A completed campaign cannot run again; copy it to run another.';
        $('[data-move-confirm]').textContent = button.textContent;
        dialog.showModal();
      });
    }
    $('[data-move-form]')?.addEventListener('submit', (event) => {
      event.preventDefault();
      dialog.close();
      move(asked.dataset.move, $('#move_reason').value.trim(), asked);
    });
    $('[data-copy]')?.addEventListener('click', async (event) => {
      refusal.hidden = true;
      event.target.disabled = true;
      try {
        const copy = await call(`${base}/clone`, { json: {}, headers: { 'Idempotency-Key': newKey() }, quiet: true });
        location.assign(`/campaigns/${encodeURIComponent(copy.campaign_id)}/edit`);
      } catch (problem) { event.target.disabled = false; refuse(problem); }
    });
    for (const radio of $$('.period input[type="radio"]')) radio.addEventListener('change', () => radio.form.requestSubmit());
    addEventListener('beforeprint', () => { for (const one of $$('details.figures-table')) one.open = true; });
  }

  /** The selection of the list. */
  const bulk = $('[data-bulk]');
  if (bulk) {
    const picks = $$('input[name="pick"]'), result = $('[data-bulk-result]');
    const picked = () => picks.filter((one) => one.checked);
    const show = () => {
      const n = picked().length;
      bulk.hidden = n === 0;
      $('[data-bulk-count]').textContent = n === 1 ? '1 campaign selected' : `${n} campaigns selected`;
    };
    for (const one of picks) one.addEventListener('change', show);
    $('[data-bulk-clear]').addEventListener('click', () => { for (const one of picks) one.checked = false; show(); picks[0]?.focus(); });
    show();
    bulk.addEventListener('submit', async (event) => {
      event.preventDefault();
      const chosen = picked(), sender = event.submitter;
      if (sender) sender.disabled = true;
      result.hidden = true;
      const versions = Object.fromEntries(chosen.map((one) => [one.value, Number(one.dataset.version)]));
      try {
        const outcome = await call('/v1/campaigns/bulk', { json: { campaign_ids: chosen.map((one) => one.value), transition: $('#bulk_to').value, versions, on_error: 'skip' }, quiet: true });
        const refused = outcome.outcomes.filter((one) => one.outcome === 'refused');
        if (refused.length === 0) { location.reload(); return; }
        const list = document.createElement('ul');
        for (const one of refused) {
          const item = document.createElement('li');
          const fields = (one.errors || []).map((error) => `${error.field} ${error.message}`).join('; ');
          item.textContent = `${one.campaign_id}: ${fields || one.detail}`;
          list.append(item);
        }
        const lead = document.createElement('p');
        lead.textContent = `${outcome.changed} moved, ${refused.length} refused:`;
        const again = document.createElement('a');
        again.href = location.href;
        again.textContent = 'Load the list again';
        result.replaceChildren(lead, list, again);
      } catch (problem) { result.textContent = problem.message; }
      if (sender) sender.disabled = false;
      result.hidden = false;
      result.focus();
    });
  }
  if (!head && !bulk) return;
  const kept = sessionStorage.getItem('endcap-told');
  if (kept) { sessionStorage.removeItem('endcap-told'); toast(kept, 'good'); }
})();
