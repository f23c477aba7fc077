// The sign-in page: a session that can be renewed goes straight on, and a mistake in a field is told before anything is sent.
'use strict';
(() => {
  const page = document.getElementById('sign-in');
  const session = window.raterSession;
  if (page.dataset.error) session.forget();
  else if (session.wasSignedIn() && page.dataset.signedIn === 'false' && mayGoOn()) {
    session.renew({ inAnyCase: true }).then((isBack) => { if (isBack) location.replace(page.dataset.returnTo); });
  }

  /** Not twice within half a minute: whoever was sent back here at once has to sign in, whatever the renewal says. */
  function mayGoOn() {
    try {
      const last = Number(sessionStorage.getItem('endcap-went-on')) || 0;
      sessionStorage.setItem('endcap-went-on', String(Date.now()));
      return Date.now() - last > 30_000;
    } catch { return false; }
  }
  for (const form of page.querySelectorAll('form')) {
    form.addEventListener('submit', () => {
      const button = form.querySelector('button[type="submit"]');
      // Not in the same turn, or the browser leaves the form unsent.
      setTimeout(() => { button.disabled = true; button.textContent = 'One moment…'; }, 0);
    });
    // Coming back by the browser's history shows the page as it was left.
    addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });
  }
})();
