// What every page shares: theme, calls with readable errors, live events. No dependencies. Everything hangs on `window.endcap`.
'use strict';
(() => {
  const JITTER = 0.5, FIRST_WAIT_MS = 500, LONGEST_WAIT_MS = 15000, HEARTBEAT_MS = 25000, MOST_TOASTS = 4;

  /** Shows a short message; kinds: 'note', 'good', 'bad'. Text only, never HTML. */
  function toast(text, kind = 'note', lifeMs = kind === 'bad' ? 9000 : 4000) {
    const frame = document.getElementById('toasts');
    if (!frame) return;
    while (frame.children.length >= MOST_TOASTS) frame.firstElementChild.remove();
    const item = document.createElement('div');
    item.className = `toast toast-${kind}`;
    const body = document.createElement('div');
    body.className = 'toast-body';
    body.textContent = text;
    const close = document.createElement('button');
    close.type = 'button';
    close.textContent = '✕';
    close.setAttribute('aria-label', 'Close this message');
    close.addEventListener('click', () => item.remove());
    item.append(body, close);
    frame.append(item);
    setTimeout(() => item.remove(), lifeMs);
  }

  /** A refused call: `status`, `code`, `detail`, `errors` (field, message), `requestId`. */
  class Problem extends Error {
    constructor(status, body) {
      const fields = (body.errors || []).map((e) => (e.field ? `${e.field}: ${e.message}` : e.message));
      super(fields.length > 1 ? fields.join('\n') : body.detail || body.title || `The server answered ${status}.`);
      Object.assign(this, { status, code: body.code || 'unknown', detail: body.detail, errors: body.errors || [], requestId: body.request_id, body });
    }
  }

  /**
   * Calls our API with the session cookie. Gives the parsed JSON, the text, or null for 204; throws a Problem.
   * Options: `method`, `json` (sent as the body), `headers`, `quiet` (no toast on failure), `timeoutMs`, `onHeaders(headers)` (of any answer).
   */
  async function call(url, { method, json, headers = {}, quiet = false, timeoutMs = 30000, onHeaders } = {}) {
    const options = { method: method || (json === undefined ? 'GET' : 'POST'), headers: { Accept: 'application/json', ...headers }, credentials: 'same-origin', signal: AbortSignal.timeout(timeoutMs) };
    if (json !== undefined) { options.body = JSON.stringify(json); options.headers['Content-Type'] = 'application/json'; }
    let problem;
    try {
      const response = await fetch(url, options);
      if (onHeaders) onHeaders(response.headers);
      if (response.status === 204) return null;
      const type = response.headers.get('content-type') || '';
      const body = /\bjson\b/.test(type) ? await response.json() : await response.text();
      if (response.ok) return body;
      problem = new Problem(response.status, typeof body === 'object' && body ? body : { detail: `The server answered ${response.status}.` });
    } catch (error) {
      const detail = error.name === 'TimeoutError' ? 'The server took too long to answer.' : 'The server cannot be reached. Check the connection and try again.';
      problem = new Problem(0, { code: 'unreachable', detail });
    }
    if (!quiet) toast(problem.message, 'bad');
    throw problem;
  }

  /**
   * Live events in the Supabase Realtime protocol 1.0.0, with reconnection.
   * live({ topic: 'realtime:leaderboard', config, accessToken, onEvent(event, payload), onResync(), onState('live'|'waiting') })
   * `onResync` runs after every join, the first included: read the present state there, since events sent meanwhile are lost.
   * Gives { send(event, payload), close() }.
   */
  function live({ topic, config = {}, url, key = '', accessToken, onEvent = () => {}, onResync = () => {}, onState = () => {} }) {
    const base = (url || document.body.dataset.realtime || location.origin).replace(/^http/, 'ws');
    const query = new URLSearchParams({ vsn: '1.0.0', ...(key ? { apikey: key } : {}) });
    let socket = null, heart = null, retry = null, waitMs = FIRST_WAIT_MS, ref = 0, joinRef = null, beat = null, isClosed = false;
    const push = (to, event, payload, extra = {}) => {
      if (socket && socket.readyState === WebSocket.OPEN) { ref += 1; socket.send(JSON.stringify({ topic: to, event, payload, ref: String(ref), ...extra })); }
      return String(ref);
    };
    const open = () => {
      onState('waiting');
      socket = new WebSocket(`${base}/realtime/v1/websocket?${query}`);
      socket.onopen = () => {
        joinRef = String(ref + 1);
        push(topic, 'phx_join', { config, ...(accessToken ? { access_token: accessToken } : {}) }, { join_ref: joinRef });
        heart = setInterval(() => {
          // A heartbeat that was not answered means a dead connection that TCP has not noticed.
          if (beat !== null) { socket.close(); return; }
          beat = push('phoenix', 'heartbeat', {});
        }, HEARTBEAT_MS);
      };
      socket.onmessage = (message) => {
        let frame;
        try { frame = JSON.parse(message.data); } catch { return; }
        if (frame.topic === 'phoenix') { beat = null; return; }
        if (frame.topic !== topic) return;
        if (frame.event === 'phx_reply') {
          if (frame.ref !== joinRef) return;
          if (frame.payload.status === 'ok') { waitMs = FIRST_WAIT_MS; onState('live'); onResync(); } else { socket.close(); }
        } else if (frame.event === 'phx_error' || frame.event === 'phx_close') {
          socket.close();
        } else {
          onEvent(frame.event, frame.payload);
        }
      };
      socket.onclose = () => {
        clearInterval(heart);
        beat = null;
        if (isClosed) return;
        onState('waiting');
        retry = setTimeout(open, waitMs * (1 - JITTER * Math.random()));
        waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
      };
    };
    open();
    addEventListener('online', () => { if (!isClosed && socket.readyState === WebSocket.CLOSED) { clearTimeout(retry); waitMs = FIRST_WAIT_MS; open(); } });
    return {
      send: (event, payload) => push(topic, event, payload, { join_ref: joinRef }),
      close: () => { isClosed = true; clearTimeout(retry); clearInterval(heart); socket.close(); },
    };
  }

  function toggleTheme() {
    const root = document.documentElement;
    const isDark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = isDark ? 'light' : 'dark';
    try { localStorage.setItem('endcap-theme', root.dataset.theme); } catch { /* the choice lasts for this page */ }
  }

  document.addEventListener('click', (event) => {
    if (event.target.closest('[data-toggle-theme]')) toggleTheme();
    const menu = event.target.closest('[data-toggle-menu]');
    if (menu) menu.setAttribute('aria-expanded', String(document.getElementById('navigation').classList.toggle('is-open')));
    const opener = event.target.closest('[data-open-dialog]');
    if (opener) document.getElementById(opener.dataset.openDialog)?.showModal();
    if (event.target.closest('[data-close-dialog]')) event.target.closest('dialog')?.close();
  });

  window.endcap = Object.freeze({ call, live, toast, toggleTheme, Problem });
})();
