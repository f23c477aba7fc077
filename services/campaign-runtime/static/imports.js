// Sends a file and shows how far it is, then what became of its rows. XMLHttpRequest, because fetch does not tell how much was sent.
'use strict';
(() => {
  const form = document.querySelector('[data-import]');
  if (!form) return;
  const $ = (selector, root = document) => root.querySelector(selector);
  const file = $('#file'), drop = $('[data-drop]'), fileError = $('#file-error');
  const progress = $('[data-progress]'), bar = $('progress', progress), words = $('[data-progress-text]');
  const result = $('[data-result]'), none = $('[data-none]'), cancel = $('[data-cancel]');
  const count = new Intl.NumberFormat('en');
  const make = (tag, text, className) => { const node = document.createElement(tag); if (text !== undefined) node.textContent = text; if (className) node.className = className; return node; };
  const size = (bytes) => (bytes >= 1 << 20 ? `${(bytes / (1 << 20)).toFixed(1)} MiB` : `${Math.max(1, Math.round(bytes / 1024))} KiB`);

  for (const kind of ['dragenter', 'dragover']) drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add('is-over'); });
  for (const kind of ['dragleave', 'drop']) drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.remove('is-over'); });
  drop.addEventListener('drop', (event) => { if (event.dataTransfer.files.length) { file.files = event.dataTransfer.files; fileError.textContent = ''; file.removeAttribute('aria-invalid'); } });

  function typeOf(name) {
    const lower = name.toLowerCase(), isGzip = lower.endsWith('.gz'), inner = isGzip ? lower.slice(0, -3) : lower;
    const type = /\.(ndjson|jsonl)$/.test(inner) ? 'application/x-ndjson' : /\.csv$/.test(inner) ? 'text/csv' : null;
    return type && { type, isGzip };
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
      const line = make('tr'), number = make('th', count.format(error.line), 'number');
      number.scope = 'row';
      line.append(number, make('td', error.field || 'the whole row'), make('td', error.message));
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

  function finish(request, isDryRun) {
    let body = {};
    try { body = JSON.parse(request.responseText); } catch { /* said below by the status */ }
    if (request.status >= 200 && request.status < 300) {
      const wrong = body.rejected ? `, ${count.format(body.rejected)} left out` : '';
      const sentence = isDryRun ? 'Tried only: nothing was kept.' : body.is_known ? 'This very file was loaded before: nothing to do.' : `The file is in: ${count.format(body.received)} rows read${wrong}.`;
      show(body.rejected ? 'warn' : 'good', sentence, body);
    } else {
      const errors = (body.errors || []).map((error) => ({ line: 0, ...error }));
      show('bad', body.detail || `The server answered ${request.status}.`, body.outcome || (errors.length && errors[0].line ? { errors } : null));
    }
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    fileError.textContent = '';
    file.removeAttribute('aria-invalid');
    const refuse = (text) => { fileError.textContent = text; file.setAttribute('aria-invalid', 'true'); file.focus(); };
    const chosen = file.files[0];
    if (!chosen) { refuse('Choose a file first.'); return; }
    const kind = typeOf(chosen.name);
    if (!kind) { refuse('The name must end in .csv, .ndjson or .jsonl, with .gz after it when it is compressed.'); return; }
    const isDryRun = form.elements.dry_run.checked;
    const query = new URLSearchParams({ on_error: form.elements.on_error.value, ...(isDryRun ? { dry_run: 'true' } : {}) });
    const request = new XMLHttpRequest(), sender = $('[type="submit"]', form);
    request.open('POST', `/v1/imports/${form.elements.table.value}?${query}`);
    request.setRequestHeader('Content-Type', kind.type);
    if (kind.isGzip) request.setRequestHeader('Content-Encoding', 'gzip');
    const began = Date.now();
    let clock = null;
    const end = () => { clearInterval(clock); progress.hidden = true; cancel.hidden = true; sender.disabled = false; };
    request.upload.addEventListener('progress', (sent) => {
      if (!sent.lengthComputable) return;
      bar.value = (sent.loaded / sent.total) * 100;
      words.textContent = `Sent ${size(sent.loaded)} of ${size(sent.total)}`;
    });
    request.upload.addEventListener('load', () => {
      bar.removeAttribute('value');
      const tick = () => { words.textContent = `All ${size(chosen.size)} sent; rows are being read and written: ${Math.round((Date.now() - began) / 1000)} s`; };
      tick();
      clock = setInterval(tick, 1000);
    });
    request.addEventListener('load', () => { end(); finish(request, isDryRun); });
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
