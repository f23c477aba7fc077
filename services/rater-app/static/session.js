// Keeps a session alive while somebody works: the access cookie is short-lived, and its renewal must happen in one tab at a time.
'use strict';
(() => {
  const MARK = 'endcap-session', RENEW_AFTER_MS = 10 * 60 * 1000, LOOK_MS = 60 * 1000;
  const isSignedIn = document.querySelector('.corner .user') !== null;
  const read = () => { try { return Number(localStorage.getItem(MARK)) || 0; } catch { return 0; } };
  const write = (value) => { try { if (value) localStorage.setItem(MARK, String(value)); else localStorage.removeItem(MARK); } catch { /* each tab then renews by itself */ } };

  /** Renews the cookies unless another tab just did; whether there is a session now. Whoever knows that there is none asks in any case. */
  async function renew({ inAnyCase = false } = {}) {
    const work = async () => {
      if (!inAnyCase && Date.now() - read() < RENEW_AFTER_MS) return true;
      const response = await fetch('/session/refresh', { method: 'POST', credentials: 'same-origin' }).catch(() => null);
      if (response?.status === 204) { write(Date.now()); return true; }
      // Out of reach is not signed out: only an answer ends the mark.
      if (response) write(0);
      return false;
    };
    return navigator.locks ? navigator.locks.request('endcap-session', work) : work();
  }

  if (isSignedIn) {
    if (!read()) write(Date.now());
    setInterval(() => { if (document.visibilityState === 'visible') renew(); }, LOOK_MS);
    document.addEventListener('visibilitychange', () => { if (document.visibilityState === 'visible') renew(); });
    document.querySelector('.corner form')?.addEventListener('submit', () => write(0));
  }
  window.raterSession = Object.freeze({ renew, wasSignedIn: () => read() > 0, forget: () => write(0) });
})();
