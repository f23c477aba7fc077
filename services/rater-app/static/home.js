// The first page: a goal for the day that is one's own, and notices from the programme.
'use strict';
(() => {
  const { goal, element } = window.rater;

  /** Fills the goal in; the card is exchanged when figures change, so this runs again then. */
  function drawGoal() {
    const card = document.querySelector('[data-goal]');
    if (!card || card.dataset.isDrawn) return;
    card.dataset.isDrawn = 'true';
    const bar = card.querySelector('[data-goal-bar]'), words = card.querySelector('[data-goal-words]'), frame = card.querySelector('[data-goal-set]'), input = card.querySelector('input');
    const today = Number(card.dataset.today);
    const draw = () => {
      const wanted = goal.read();
      bar.max = wanted;
      bar.value = Math.min(today, wanted);
      words.textContent = today >= wanted ? `judgments: your goal of ${wanted} is reached. Rest is part of good judging.` : `of ${wanted} judgments`;
    };
    input.value = String(goal.read());
    input.addEventListener('change', () => {
      const wanted = Math.round(Number(input.value));
      if (wanted >= 1 && wanted <= goal.MOST) goal.write(wanted);
      input.value = String(goal.read());
      draw();
    });
    frame.hidden = false;
    draw();
  }

  /** What the programme has to tell this rater; nothing is drawn when there is nothing. */
  async function drawNotices() {
    const frame = document.getElementById('notices');
    if (!frame || !document.querySelector('[data-goal]')) return;
    try {
      const me = await window.endcap.call('/v1/raters/me', { quiet: true });
      const notices = Array.isArray(me.notices) ? me.notices : [];
      const kinds = { warn: 'warn', warning: 'warn', pause: 'bad', paused: 'bad', void: 'bad' };
      const dated = (at) => (at ? element('strong', {}, `${new Date(at).toLocaleDateString('en', { day: 'numeric', month: 'short' })}: `) : null);
      frame.replaceChildren(...notices.map((one) => element('p', { class: `notice notice-${kinds[one.kind] ?? 'note'}` }, dated(one.at ?? one.created_at), one.words ?? one.reason)));
      frame.hidden = notices.length === 0;
    } catch { /* the page stands without them */ }
  }

  drawGoal();
  drawNotices();
  const live = document.querySelector('[data-live="home"]');
  if (live) new MutationObserver(() => { drawGoal(); drawNotices(); }).observe(live, { childList: true });
})();
