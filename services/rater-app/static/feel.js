// How the Rater IDE feels: a soft sound for those who want one, and a mark that says how news arrives.
'use strict';
(() => {
  const rater = window.rater;
  const STORE = 'endcap-sound', POLL_AFTER_MS = 6000, POLL_MS = 15000;
  const get = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  const set = (name, value) => { try { localStorage.setItem(name, value); } catch { /* lasts for this page */ } };

  let isOn = get(STORE) === 'on', context = null;

  /** Two soft notes: rising for a new task, falling for a warning. Silent until it was switched on. */
  function play(kind) {
    if (!isOn) return;
    try {
      context = context || new AudioContext();
      const notes = kind === 'warning' ? [440, 330] : [392, 523.25];
      notes.forEach((pitch, i) => {
        const tone = context.createOscillator(), level = context.createGain(), from = context.currentTime + i * 0.14;
        tone.type = 'sine';
        tone.frequency.value = pitch;
        level.gain.setValueAtTime(0, from);
        level.gain.linearRampToValueAtTime(0.05, from + 0.02);
        level.gain.exponentialRampToValueAtTime(0.0001, from + 0.35);
        tone.connect(level).connect(context.destination);
        tone.start(from);
        tone.stop(from + 0.4);
      });
    } catch { /* a browser without sound */ }
  }

  /** A switch for the sound; switching it on plays it once. */
  function soundSwitch(input) {
    input.checked = isOn;
    input.addEventListener('change', () => { isOn = input.checked; set(STORE, isOn ? 'on' : 'off'); play('task'); });
  }

  /**
   * News by socket, and by asking now and then when there is no socket. `news({ topics, mark, onNews(topic, event, payload), onPoll() })`.
   * `mark` holds a `.live-dot` and `[data-words]`; it says "Live" or "Polling" and never claims more.
   */
  function news({ topics, mark, onNews, onPoll }) {
    const states = new Map(topics.map((topic) => [topic, 'waiting']));
    let shown = null, poller = null, patience = null;
    const say = (state) => {
      if (state === shown) return;
      shown = state;
      mark.dataset.state = state;
      mark.querySelector('.live-dot').classList.toggle('is-live', state === 'live');
      mark.querySelector('[data-words]').textContent = { live: 'Live', polling: 'Polling', connecting: 'Connecting' }[state];
      mark.title = { live: 'News arrives at once.', polling: `No live connection: this page asks every ${POLL_MS / 1000} seconds.`, connecting: 'Opening the live connection.' }[state];
    };
    const poll = () => {
      if (poller) return;
      say('polling');
      poller = setInterval(() => { if (document.visibilityState === 'visible') onPoll(); }, POLL_MS);
      onPoll();
    };
    const judge = () => {
      if ([...states.values()].every((one) => one === 'live')) {
        clearTimeout(patience);
        clearInterval(poller);
        patience = poller = null;
        say('live');
      } else if (!poller && !patience) {
        if (shown === null) say('connecting');
        patience = setTimeout(() => { patience = null; poll(); }, POLL_AFTER_MS);
      }
    };
    for (const topic of topics) {
      window.endcap.live({ topic: `realtime:${topic}`, onEvent: (event, payload) => onNews(topic, event, payload), onState: (state) => { states.set(topic, state); judge(); }, onResync: () => onNews(topic, 'resync', {}) });
    }
    judge();
  }

  /** What an event to this rater says in words; nothing for events that are only for programs. */
  function newsWords(event, payload) {
    if (payload.words) return payload.words;
    if (event === 'integrity_action') return payload.reason || null;
    if (event === 'integrity_reversed') return `Taken back: ${payload.reason || 'what was held against you no longer is'}.`;
    if (event !== 'escalation_answered') return null;
    const how = payload.agreed === true ? ' as you did' : payload.agreed === false ? ' otherwise than you' : '';
    return `An expert decided one of your tasks${how}${payload.note ? `: ${payload.note}` : '.'} See your judgments.`;
  }

  rater.newsWords = newsWords;
  rater.feel = Object.freeze({ play, soundSwitch, news, get, set });
})();
