// Sends a file and shows how far it is, then what became of its rows. XMLHttpRequest, because fetch does not tell how much was sent.
// The import runs on after the file is there; its counts are asked for until it ends, here and in the list.
'use strict';
(() => {
  const { call } = window.endcap;
  const POLL_MS = 1000;
  const number = new Intl.NumberFormat('en');
  const STATES = { queued: ['Waiting', 'badge-note'], running: ['Running', 'badge-note'], finished: ['Finished', 'badge-good'], failed: ['Failed', 'badge-bad'] };
  const isOpen = (row) => row.state === 'queued' || row.state === 'running';

  /** Asks for an import until it has ended; `seen` gets every answer. A service that is away is asked again. */
  async function follow(importId, seen) {
    // Small files end at once, large ones are not asked about more often than their counts change.
    for (let wait = 100; ;) {
      try {
        const row = await call(`/v1/imports/${encodeURIComponent(importId)}`, { quiet: true });
        wait = Math.min(wait * 1.5, POLL_MS);
        seen(row);
        if (!isOpen(row)) return row;
      } catch (problem) {
        if (problem.status === 404 || problem.status === 403) throw problem;
        wait = Math.min(wait * 2, 30000);
      }
      await new Promise((done) => { setTimeout(done, wait); });
    }
  }

  for (const frame of document.querySelectorAll('[data-open]')) {
    follow(frame.dataset.open, (row) => {
      for (const cell of frame.querySelectorAll('[data-count]')) cell.textContent = number.format(row[cell.dataset.count] || 0);
      const badge = frame.querySelector('[data-state]'), [word, tone] = STATES[row.state] || [row.state, ''];
      badge.textContent = word;
      badge.classList.remove('badge-note', 'badge-good', 'badge-bad', 'badge-warn');
      badge.classList.add(row.state === 'finished' && row.rejected ? 'badge-warn' : tone);
    }).then(() => { if ('detail' in frame.dataset) location.reload(); }).catch(() => {});
  }

  const form = document.querySelector('[data-import]');
  if (!form) return;
  const $ = (selector, root = document) => root.querySelector(selector);
  const file = $('#file'), drop = $('[data-drop]'), fileError = $('#file-error');
  const progress = $('[data-progress]'), bar = $('progress', progress), words = $('[data-progress-text]');
  const result = $('[data-result]'), none = $('[data-none]'), cancel = $('[data-cancel]');
  const count = number;
  const make = (tag, text, className) => { const node = document.createElement(tag); if (text !== undefined) node.textContent = text; if (className) node.className = className; return node; };
  const size = (bytes) => (bytes >= 1 << 20 ? `${(bytes / (1 << 20)).toFixed(1)} MiB` : `${Math.max(1, Math.round(bytes / 1024))} KiB`);

  for (const kind of ['dragenter', 'dragover']) drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add('is-over'); });
  for (const kind of ['dragleave', 'drop']) drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.remove('is-over'); });
  drop.addEventListener('drop', (event) => { if (event.dataTransfer.files.length) { file.files = event.dataTransfer.files; fileError.textContent = ''; file.removeAttribute('aria-invalid'); } });

  function typeOf(name) {
    const lower = name.toLowerCase(), packing = lower.endsWith('.gz') ? 'gzip' : lower.endsWith('.zst') ? 'zstd' : '', inner = lower.replace(/\.(gz|zst)$/, '');
    if (/\.parquet$/.test(lower)) return { type: 'application/vnd.apache.parquet', packing: '' };
    const type = /\.(ndjson|jsonl)$/.test(inner) ? 'application/x-ndjson' : /\.csv$/.test(inner) ? 'text/csv' : null;
    return type && { type, packing };
  }

  function figures(outcome) {
    const frame = make('dl', undefined, 'figures result-figures');
    for (const [name, label] of [['received', 'Rows read'], ['inserted', 'New'], ['updated', 'Changed'], ['unchanged', 'Equal'], ['rejected', 'Wrong']]) {
      const one = make('div', undefined, 'figure'), value = make('dd');
      value.append(make('span', count.format(outcome[name] || 0), 'figure-value'));
      one.append(make('dt', label, 'figure-label'), value);
      frame.append(one);
    }
    return frame;
  }

  function table(errors) {
    const frame = make('div', undefined, 'table-frame table-tall'), inner = make('table', undefined, 'table'), head = make('thead'), row = make('tr'), body = make('tbody');
    frame.tabIndex = 0;
    frame.setAttribute('role', 'region');
    frame.setAttribute('aria-label', 'Wrong rows');
    for (const [title, className] of [['Line', 'number'], ['Field', ''], ['What is wrong', '']]) { const cell = make('th', title, className); cell.scope = 'col'; row.append(cell); }
    head.append(row);
    for (const error of errors) {
      const line = make('tr'), place = make('th', count.format(error.line), 'number');
      place.scope = 'row';
      line.append(place, make('td', error.field || 'the whole row'), make('td', error.message));
      body.append(line);
    }
    inner.append(head, body);
    frame.append(inner);
    return frame;
  }

  function download(errors) {
    // A cell that begins like a formula would be run by a spreadsheet.
    const cell = (value) => { const text = String(value ?? ''); return `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`; };
    const lines = [['line', 'field', 'message'], ...errors.map((error) => [error.line, error.field, error.message])];
    const link = make('a', 'Download these as CSV', 'button button-quiet button-small');
    link.href = URL.createObjectURL(new Blob([lines.map((line) => line.map(cell).join(',')).join('\r\n') + '\r\n'], { type: 'text/csv' }));
    link.download = 'wrong-rows.csv';
    return link;
  }

  function show(kind, sentence, outcome) {
    const parts = [make('p', sentence, `notice notice-${kind}`)];
    if (outcome) {
      parts.push(figures(outcome));
      const errors = outcome.errors || [];
      if (errors.length) {
        const top = make('div', undefined, 'row spread');
        top.append(make('h3', outcome.rejected > errors.length ? `The first ${count.format(errors.length)} wrong rows` : 'Wrong rows'), download(errors));
        parts.push(top, table(errors));
      }
      if ((outcome.ignored_columns || []).length) parts.push(make('p', `Columns that nothing took: ${outcome.ignored_columns.join(', ')}.`, 'muted small'));
    }
    result.replaceChildren(...parts);
    none.hidden = true;
    $('#result-title').focus();
  }

  /** What became of the file, when it has ended. */
  function finish(row) {
    const wrong = row.rejected ? `, ${count.format(row.rejected)} left out` : '';
    if (row.state === 'failed') show('bad', row.message ? row.message.charAt(0).toUpperCase() + row.message.slice(1) : 'The import failed.', row);
    else if (row.dry_run) show(row.rejected ? 'warn' : 'good', 'Tried only: nothing was kept.', row);
    else show(row.rejected ? 'warn' : 'good', `The file is in: ${count.format(row.received)} rows read${wrong}.`, row);
    const link = make('a', 'This import on a page of its own');
    link.href = `/imports/${encodeURIComponent(row.import_id)}`;
    const last = make('p', undefined, 'small');
    last.append(link);
    result.append(last);
  }

  /** Draws the list of imports anew, with the one that has just ended. */
  async function listAgain() {
    const part = '[aria-labelledby="past-title"]';
    try {
      const answer = await fetch(location.href);
      const fresh = answer.ok ? new DOMParser().parseFromString(await answer.text(), 'text/html').querySelector(part) : null;
      if (fresh) $(part).replaceWith(fresh);
    } catch { /* The list is then as old as the page; what became of this file stands above. */ }
  }

  function refused(request) {
    let body = {};
    try { body = JSON.parse(request.responseText); } catch { /* said below by the status */ }
    show('bad', body.detail || `The server answered ${request.status}.`, body.outcome || null);
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    fileError.textContent = '';
    file.removeAttribute('aria-invalid');
    const refuse = (text) => { fileError.textContent = text; file.setAttribute('aria-invalid', 'true'); file.focus(); };
    const chosen = file.files[0];
    if (!chosen) { refuse('Choose a file first.'); return; }
    const kind = typeOf(chosen.name);
    if (!kind) { refuse('The name must end in .csv, .ndjson or .jsonl, with .gz or .zst after it when it is packed, or in .parquet.'); return; }
    const isDryRun = form.elements.dry_run.checked;
    const query = new URLSearchParams({ on_error: form.elements.on_error.value, ...(isDryRun ? { dry_run: 'true' } : {}) });
    const request = new XMLHttpRequest(), sender = $('[type="submit"]', form);
    request.open('POST', `/v1/imports/${form.elements.table.value}?${query}`);
    request.setRequestHeader('Content-Type', kind.type);
    if (kind.packing) request.setRequestHeader('Content-Encoding', kind.packing);
    request.setRequestHeader('Prefer', 'respond-async');
    const end = () => { progress.hidden = true; cancel.hidden = true; sender.disabled = false; };
    request.upload.addEventListener('progress', (sent) => {
      if (!sent.lengthComputable) return;
      bar.value = (sent.loaded / sent.total) * 100;
      words.textContent = `Sent ${size(sent.loaded)} of ${size(sent.total)}`;
    });
    request.upload.addEventListener('load', () => {
      bar.removeAttribute('value');
      words.textContent = `All ${size(chosen.size)} sent`;
      cancel.hidden = true;
    });
    request.addEventListener('load', async () => {
      let importId = null;
      try { importId = request.status === 202 ? JSON.parse(request.responseText).import_id : null; } catch { /* refused below */ }
      if (!importId) { end(); refused(request); return; }
      try {
        finish(await follow(importId, (row) => {
          words.textContent = row.state === 'queued' ? 'The file is there and waits for its turn' : `${count.format(row.received)} rows read, ${count.format(row.rejected)} wrong`;
        }));
        await listAgain();
      } catch (problem) { show('bad', problem.message); } finally { end(); }
    });
    request.addEventListener('error', () => { end(); show('bad', 'The server cannot be reached, or the connection broke. Send the file again: what is there already stays as it is.'); });
    request.addEventListener('abort', () => { end(); show('warn', 'Cancelled. Send the file again when you like.'); });
    cancel.onclick = () => request.abort();
    bar.value = 0;
    words.textContent = `Sending ${size(chosen.size)}`;
    progress.hidden = false;
    cancel.hidden = false;
    none.hidden = true;
    sender.disabled = true;
    result.replaceChildren();
    request.send(chosen);
  });
})();
