// Whether others see the rater's name on the leaderboard: off until the rater switches it on.
'use strict';
(() => {
  const control = document.getElementById('show-name');
  if (!control) return;
  control.addEventListener('change', async () => {
    const wanted = control.checked;
    control.disabled = true;
    try {
      await window.endcap.call('/v1/raters/me', { method: 'PATCH', json: { shows_name: wanted } });
      window.endcap.toast(wanted ? 'Others see your name from now on.' : 'Others see your alias from now on.', 'good');
      location.reload();
    } catch {
      // The toast has said why; the switch says what is stored.
      control.checked = !wanted;
    } finally { control.disabled = false; }
  });
})();
