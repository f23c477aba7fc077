// Pages that stay fresh: when something changes, the page is fetched again and only its live parts are exchanged.
'use strict';
(() => {
  const regions = [...document.querySelectorAll('[data-live]')];
  const state = document.querySelector('[data-connection]');
  const topics = new Set((document.querySelector('[data-live-topics]')?.dataset.liveTopics || '').split(' ').filter(Boolean));
  const isCalm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  const LEAST_PAUSE_MS = 1000;
  let isBusy = false, isStale = false, lastAt = 0, timer = null;

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

  function show(connection) {
    if (!state) return;
    state.querySelector('.live-dot').classList.toggle('is-live', connection === 'live');
    state.querySelector('[data-words]').textContent = connection === 'live' ? 'Live' : 'Connecting; figures may be older';
  }

  let isFirst = true;
  for (const topic of topics) {
    window.endcap.live({ topic: `realtime:${topic}`, onEvent: soon, onState: show, onResync: () => { if (!isFirst) soon(); isFirst = false; } });
  }
})();
