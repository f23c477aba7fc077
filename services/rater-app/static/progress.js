// Calm progress: how far to the goal one set oneself for the day, and about how long it takes. No race against a clock.
'use strict';
(() => {
  const rater = (window.rater = window.rater || {});
  const STORE = 'endcap-goal', DELIVERED = 20, MOST = 500, ENOUGH = 3;

  const read = () => { try { const kept = Number(localStorage.getItem(STORE)); return Number.isInteger(kept) && kept >= 1 && kept <= MOST ? kept : DELIVERED; } catch { return DELIVERED; } };
  const write = (goal) => { try { localStorage.setItem(STORE, String(goal)); } catch { /* lasts for this page */ } };

  /** In the Rater IDE: `progress({ part, today })` gives { add(activeMs), take() } and writes "4 of 20 today, about 12 min to go". */
  function progress({ part, today }) {
    const times = [];
    let done = today;
    const draw = () => {
      const goal = read();
      const sorted = [...times].sort((a, b) => a - b);
      const median = sorted[Math.floor(sorted.length / 2)];
      const left = Math.max(0, goal - done);
      const minutes = times.length >= ENOUGH && left > 0 ? Math.max(1, Math.round((left * median) / 60000)) : null;
      part('today').textContent = left === 0 ? `${done} today, goal reached` : `${done} of ${goal} today${minutes ? `, about ${minutes} min to go` : ''}`;
      part('today-bar').value = Math.min(done, goal);
      part('today-bar').max = goal;
    };
    draw();
    return { add: (activeMs) => { done += 1; times.push(activeMs); draw(); }, take: () => { done = Math.max(0, done - 1); times.pop(); draw(); } };
  }

  rater.goal = Object.freeze({ read, write, MOST });
  rater.progress = progress;
})();
