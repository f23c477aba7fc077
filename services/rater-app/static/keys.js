// The keys of the Rater IDE: one table, remapped by whoever likes other keys, printed wherever a button says its key.
'use strict';
(() => {
  const rater = window.rater;
  const STORE = 'endcap-keys';

  /** Action, key as it comes, words. The order is that of the sheet. */
  const ACTIONS = [
    ['candidate_a', '1', 'A is better'], ['candidate_b', '2', 'B is better'], ['tie', '3', 'Tie: equally good'], ['both_bad', '4', 'Both bad: none is acceptable'],
    ['unsure', '5', 'Unsure: I cannot tell'], ['candidate_c', '6', 'C is best, where there are three'],
    ['reasons', 'r', 'Go to the reasons, then 1 to 9 picks'], ['confidence', 'c', 'Go to confidence, then 1 to 4'],
    ['criterion_1', 'a', 'First criterion: yes, partly, no, does not apply'], ['criterion_2', 's', 'Second criterion'], ['criterion_3', 'd', 'Third criterion'], ['criterion_4', 'f', 'Fourth criterion'],
    ['text', 't', 'Write in your own words'], ['undo', 'z', 'Undo the last judgment, within its time'],
    ['difference', 'v', 'Difference view on and off'], ['together', 'l', 'Scroll the candidates together or apart'],
    ['guidelines', 'g', 'Guidelines and worked example'], ['why', 'w', 'Why this task'], ['escalate', 'e', 'Ask an expert'], ['skip', 'x', 'Skip, with a reason'], ['help', '?', 'This sheet'],
  ];
  /** Keys that stay as they are: they work in text fields too, or belong to the browser. */
  const FIXED = [['Ctrl Enter', 'Submit and take the next (⌘ Enter on a Mac); works in text fields, too'], ['Esc', 'Leave a field or a list'], ['F6', 'Go to the next pane']];

  const defaults = Object.fromEntries(ACTIONS);
  const read = () => { try { return JSON.parse(localStorage.getItem(STORE)) || {}; } catch { return {}; } };
  let chosen = Object.fromEntries(Object.entries(read()).filter(([action, key]) => action in defaults && typeof key === 'string' && key.length === 1));

  const of = (action) => chosen[action] ?? defaults[action];
  const show = (key) => (key.length === 1 ? key.toUpperCase() : key);
  const actionOf = (key) => ACTIONS.find(([action]) => of(action) === key)?.[0] ?? null;

  /** Gives `action` the key; whoever had it gets the old one, so that no key has two meanings. */
  function assign(action, key) {
    const had = actionOf(key), old = of(action);
    chosen = { ...chosen, [action]: key, ...(had && had !== action ? { [had]: old } : {}) };
    save();
  }
  function save() {
    try { if (Object.keys(chosen).length) localStorage.setItem(STORE, JSON.stringify(chosen)); else localStorage.removeItem(STORE); } catch { /* the keys last for this page */ }
    print();
  }
  function reset() { chosen = {}; save(); }

  /** Writes the present keys on everything that names an action. */
  function print(root = document) {
    for (const mark of root.querySelectorAll('kbd[data-key-of]')) mark.textContent = show(of(mark.dataset.keyOf));
    for (const button of root.querySelectorAll('[data-action]')) button.setAttribute('aria-keyshortcuts', show(of(button.dataset.action)));
  }

  /** A mark that prints the key of an action. */
  const mark = (action) => rater.element('kbd', { 'aria-hidden': 'true', 'data-key-of': action }, show(of(action)));

  /** The sheet of keys: each may be pressed to choose another key. */
  function sheet(frame) {
    const { element, announce } = rater;
    const draw = (focusOn) => {
      const rows = ACTIONS.map(([action, , meaning]) => {
        const button = element('button', { type: 'button', class: 'key-button', 'data-change': action, 'aria-label': `${meaning}: key ${show(of(action))}. Change it`, onclick: () => listen(action, button) }, element('kbd', {}, show(of(action))));
        return [element('dt', {}, button), element('dd', {}, meaning)];
      });
      const fixed = FIXED.map(([key, meaning]) => [element('dt', {}, key.split(' ').map((one) => [element('kbd', {}, one), ' '])), element('dd', {}, meaning)]);
      const back = Object.keys(chosen).length ? element('button', { type: 'button', class: 'button button-quiet button-small', onclick: () => { reset(); draw(); announce('The keys are as they were delivered.'); } }, 'Back to the delivered keys') : null;
      frame.replaceChildren(element('dl', { class: 'key-sheet' }, rows, fixed), ...[back].filter(Boolean));
      if (focusOn) frame.querySelector(`[data-change="${focusOn}"]`)?.focus();
    };
    const listen = (action, button) => {
      button.replaceChildren('press a key');
      button.classList.add('is-listening');
      const take = (event) => {
        event.preventDefault();
        event.stopPropagation();
        if (['Shift', 'Control', 'Alt', 'Meta'].includes(event.key)) return;
        stop();
        const key = event.key.length === 1 && event.key !== ' ' && !event.ctrlKey && !event.metaKey && !event.altKey ? event.key.toLowerCase() : null;
        if (key) assign(action, key);
        draw(action);
        announce(key ? `The key is now ${show(key)}.` : 'The key stays as it was.');
      };
      const stop = () => { button.removeEventListener('keydown', take); button.removeEventListener('blur', leave); };
      const leave = () => { stop(); draw(); };
      button.addEventListener('keydown', take);
      button.addEventListener('blur', leave);
    };
    draw();
  }

  rater.keys = Object.freeze({ of: (action) => show(of(action)), actionOf, assign, reset, print, mark, sheet });
  document.addEventListener('DOMContentLoaded', () => print());
})();
