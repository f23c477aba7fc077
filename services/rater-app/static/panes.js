// Three panes whose widths the rater sets, by pointer or by arrow keys, and finds again the next day.
'use strict';
(() => {
  const rater = window.rater;
  const STORE = 'endcap-panes', DELIVERED = [28, 46, 26], LEAST = [14, 24, 20], STEP = 2;

  /** `panes(frame)`: the frame holds pane, separator, pane, separator, pane. Shares are per cent of the frame and add up to 100. */
  function panes(frame) {
    const bars = [...frame.querySelectorAll('[role="separator"]')];
    const parts = [...frame.querySelectorAll(':scope > .pane')];
    let shares = read();

    function read() {
      try {
        const kept = JSON.parse(localStorage.getItem(STORE));
        const isGood = Array.isArray(kept) && kept.length === 3 && kept.every((one, i) => Number.isFinite(one) && one >= LEAST[i]) && Math.abs(kept.reduce((a, b) => a + b) - 100) < 0.5;
        return isGood ? kept : [...DELIVERED];
      } catch { return [...DELIVERED]; }
    }
    function keep() { try { localStorage.setItem(STORE, JSON.stringify(shares.map((one) => Math.round(one * 10) / 10))); } catch { /* the widths last for this page */ } }

    function draw() {
      ['--context', '--middle', '--rubric'].forEach((name, i) => frame.style.setProperty(name, `${shares[i]}fr`));
      bars.forEach((bar, i) => {
        bar.setAttribute('aria-valuenow', String(Math.round(shares[i])));
        bar.setAttribute('aria-valuemin', String(LEAST[i]));
        bar.setAttribute('aria-valuemax', String(Math.round(shares[i] + shares[i + 1] - LEAST[i + 1])));
        bar.setAttribute('aria-valuetext', `${Math.round(shares[i])} per cent`);
      });
    }

    /** Moves the bar so that the pane before it takes `share`; only its two neighbours change. */
    function move(i, share) {
      const both = shares[i] + shares[i + 1];
      const own = Math.min(both - LEAST[i + 1], Math.max(LEAST[i], share));
      shares = shares.map((one, at) => (at === i ? own : at === i + 1 ? both - own : one));
      draw();
    }

    bars.forEach((bar, i) => {
      bar.addEventListener('pointerdown', (event) => {
        if (event.button !== 0) return;
        event.preventDefault();
        bar.setPointerCapture(event.pointerId);
        bar.classList.add('is-dragged');
        const width = parts.reduce((sum, one) => sum + one.getBoundingClientRect().width, 0), from = event.clientX, was = shares[i];
        const follow = (to) => move(i, was + ((to.clientX - from) / width) * 100);
        const end = () => { bar.classList.remove('is-dragged'); bar.removeEventListener('pointermove', follow); keep(); };
        bar.addEventListener('pointermove', follow);
        bar.addEventListener('lostpointercapture', end, { once: true });
      });
      bar.addEventListener('dblclick', () => { shares = [...DELIVERED]; draw(); keep(); });
      bar.addEventListener('keydown', (event) => {
        const to = { ArrowLeft: shares[i] - STEP, ArrowRight: shares[i] + STEP, Home: LEAST[i], End: 100, Enter: DELIVERED[i] }[event.key];
        if (to === undefined || event.ctrlKey || event.metaKey) return;
        event.preventDefault();
        event.stopPropagation();
        move(i, to);
        keep();
      });
    });

    // F6 goes round the panes, as it does in browsers and desktop programs.
    document.addEventListener('keydown', (event) => {
      if (event.key !== 'F6' || frame.hidden || document.querySelector('dialog[open]')) return;
      event.preventDefault();
      const at = parts.findIndex((one) => one.contains(document.activeElement));
      const next = parts[(at + (event.shiftKey ? parts.length - 1 + (at < 0 ? 1 : 0) : 1)) % parts.length];
      (next.querySelector('[tabindex="0"], button:not([disabled]), input, textarea') ?? next).focus();
    });
    draw();
  }

  rater.panes = panes;
})();
