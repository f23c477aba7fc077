// The page to which the link of a mail leads: takes the session that stands behind the link's # out of the address, and sets the new password with it.
'use strict';
(() => {
  const page = document.getElementById('new-password');
  const part = (name) => page.querySelector(`[data-part="${name}"]`);
  const form = part('form'), field = document.getElementById('password'), button = form.querySelector('button'), action = button.textContent;
  /** Refusals after which the link opens nothing any more. */
  const OVER = ['bad_jwt', 'no_authorization', 'session_expired', 'session_not_found', 'user_not_found'];
  let token = null;

  /** Says what is wrong, to screen readers as well; an empty text takes it back. */
  function tell(text) {
    const line = document.createElement('p');
    Object.assign(line, { id: 'refusal', className: 'notice notice-bad', textContent: text });
    part('alert').replaceChildren(...(text ? [line] : []));
  }

  function end(text) {
    token = null;
    form.hidden = true;
    part('again').hidden = false;
    part('again').querySelector('a').focus();
    tell(text);
  }

  function refuse(text) {
    tell(text);
    field.setAttribute('aria-invalid', 'true');
    field.setAttribute('aria-describedby', 'refusal password-hint');
    field.focus();
    field.select();
  }

  /** Whose password it is, as the token says: shown, and for the browser to keep the password under. What may be done with it the server decides. */
  function addressIn(jwt) {
    try {
      const bytes = Uint8Array.from(atob(jwt.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')), (sign) => sign.charCodeAt(0));
      return String(JSON.parse(new TextDecoder().decode(bytes)).email ?? '');
    } catch {
      return '';
    }
  }

  function read() {
    const said = new URLSearchParams(location.hash.slice(1)), query = new URLSearchParams(location.search);
    const given = said.get('access_token'), isRefused = ['error', 'error_code'].some((name) => said.has(name) || query.has(name));
    // Other changes of the address, such as the way to the content, mean nothing here.
    if (!given && !isRefused && part('needs-script').hidden) return;
    // Neither the history nor whoever looks over a shoulder keeps what opens the account.
    if (location.hash || location.search) history.replaceState(null, '', location.pathname);
    part('needs-script').hidden = true;
    if (!given) {
      end(isRefused ? 'This link does not work any more: it was used before, or its time is over.' : 'Open this page with the link in your mail. A link works once; if you have opened it already, ask for another.');
      return;
    }
    token = given;
    tell('');
    document.getElementById('email').value = addressIn(token);
    part('again').hidden = true;
    form.hidden = false;
    field.focus();
  }

  async function set() {
    const call = (path, method, json) => window.endcap.call(path, { method, json, headers: { Authorization: `Bearer ${token}` }, quiet: true });
    button.disabled = true;
    button.textContent = 'One moment…';
    try {
      await call('/auth/v1/user', 'PUT', { password: field.value });
    } catch (problem) {
      const { error_code: code = '', msg = '' } = problem.body ?? {};
      button.disabled = false;
      button.textContent = action;
      if (OVER.includes(code)) end('The time of this link is over. Ask for another mail.');
      else refuse(part('refusals').querySelector(`[data-code="${CSS.escape(code)}"]`)?.textContent ?? (msg ? `${msg.replace(/\.$/, '')}.` : problem.message));
      return;
    }
    // What the link opened has done its work; if this fails, it ends by itself.
    await call('/auth/v1/logout?scope=local', 'POST').catch(() => null);
    token = null;
    location.replace('/login?done=new-password');
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (token && !button.disabled) set();
  });
  // A link that is opened in a tab which shows this page already loads nothing anew.
  addEventListener('hashchange', read);
  read();
})();
