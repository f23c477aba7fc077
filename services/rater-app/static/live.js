// Pages that stay fresh: when something changes, the page is fetched again and only its live parts are exchanged.
'use strict';
(() => {
  const regions = [...document.querySelectorAll('[data-live]')];
  const state = document.querySelector('[data-connection]');
  const topics = new Set((document.querySelector('[data-live-topics]')?.dataset.liveTopics || '').split(' ').filter(Boolean));
  const isCalm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  // Figures that cost the server more are asked for less often.
  const LEAST_PAUSE_MS = Math.max(1000, ...regions.map((one) => Number(one.dataset.livePause) || 0));
  const POLL_AFTER_MS = 6000, POLL_MS = Math.max(15000, LEAST_PAUSE_MS);
  let isBusy = false, isStale = false, lastAt = 0, timer = null, poller = null, patience = null, connection = 'connecting', freshAt = Date.now();

  /** Moves rows from where they were to where they are now. */
  function animate(before, frame) {
    for (const row of frame.querySelectorAll('[data-key]')) {
      const was = before.get(row.dataset.key);
      if (!was) { row.classList.add('has-changed'); continue; }
      if (was.text !== row.textContent) row.classList.add('has-changed');
      const shift = was.top - row.getBoundingClientRect().top;
      if (!isCalm && Math.abs(shift) > 1) row.animate([{ transform: `translateY(${shift}px)` }, { transform: 'none' }], { duration: 400, easing: 'ease-out' });
    }
  }

  async function refetch() {
    if (isBusy) { isStale = true; return; }
    isBusy = true;
    lastAt = performance.now();
    try {
      const html = await window.endcap.call(location.pathname + location.search, { headers: { Accept: 'text/html' }, quiet: true });
      const fresh = new DOMParser().parseFromString(html, 'text/html');
      for (const frame of regions) {
        const next = fresh.querySelector(`[data-live="${frame.dataset.live}"]`);
        if (!next || next.innerHTML === frame.innerHTML) continue;
        const rows = [...frame.querySelectorAll('[data-key]')];
        const before = new Map(rows.map((row) => [row.dataset.key, { top: row.getBoundingClientRect().top, text: row.textContent }]));
        const focused = frame.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
        frame.replaceChildren(...next.childNodes);
        if (focused) [...frame.querySelectorAll('[href]')].find((one) => one.getAttribute('href') === focused)?.focus();
        animate(before, frame);
      }
      freshAt = Date.now();
      show(connection);
    } catch { /* the connection's state is shown; the next event tries again */ } finally {
      isBusy = false;
      if (isStale) { isStale = false; soon(); }
    }
  }

  /** Many events in a row are one look. */
  function soon() {
    clearTimeout(timer);
    timer = setTimeout(refetch, Math.max(50, LEAST_PAUSE_MS - (performance.now() - lastAt)));
  }

  /** Says how news arrives and how old the figures are; never more than is true. */
  function show(now) {
    connection = now;
    if (!state) return;
    const at = new Date(freshAt).toLocaleTimeString('en', { hour: '2-digit', minute: '2-digit', hour12: false });
    state.dataset.state = now;
    state.querySelector('.live-dot').classList.toggle('is-live', now === 'live');
    const words = state.querySelector('[data-words]'), text = { live: 'Live', polling: `Polling, as of ${at}`, connecting: `Connecting, as of ${at}` }[now];
    if (words.textContent !== text) words.textContent = text;
    state.title = now === 'polling' ? `No live connection: this page asks every ${POLL_MS / 1000} seconds.` : '';
  }

  /** The sockets together: live when all are; after a while without, the page asks by itself. */
  const states = new Map();
  function judge(topic, now) {
    states.set(topic, now);
    if ([...states.values()].every((one) => one === 'live')) {
      clearTimeout(patience);
      clearInterval(poller);
      patience = poller = null;
      show('live');
    } else if (!poller && !patience) {
      show('connecting');
      patience = setTimeout(() => {
        patience = null;
        poller = setInterval(() => { if (document.visibilityState === 'visible') soon(); }, POLL_MS);
        show('polling');
        soon();
      }, POLL_AFTER_MS);
    }
  }

  let isFirst = true;
  for (const topic of topics) {
    window.endcap.live({ topic: `realtime:${topic}`, onEvent: soon, onState: (now) => judge(topic, now), onResync: () => { if (!isFirst) soon(); isFirst = false; } });
  }
})();
