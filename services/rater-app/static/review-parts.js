// Parts of the experts' desk: rows of the queue, the form of the own view, the raters' judgments, the form of the decision. They draw and hold entries; what is sent when is review.js.
'use strict';
(() => {
  const rater = window.rater;
  const { element, LETTERS, CHOICES, choiceWords, words, percent, bar } = rater;
  const MOST_REASONS = 3;
  const kbd = (text) => element('kbd', { 'aria-hidden': 'true' }, text);

  /** "in 3 h", "2 days ago": whole units, the largest that fits. */
  function span(ms) {
    const minutes = Math.round(Math.abs(ms) / 60000);
    if (minutes < 1) return 'less than a minute';
    if (minutes < 60) return `${minutes} min`;
    if (minutes < 48 * 60) return `${Math.round(minutes / 60)} h`;
    return `${Math.round(minutes / 1440)} days`;
  }
  const dueWords = (due, isOverdue) => (due ? (isOverdue ? `overdue by ${span(Date.now() - Date.parse(due))}` : `due in ${span(Date.parse(due) - Date.now())}`) : 'no due time');

  /** One row of the queue, of the decisions, of the golden candidates or of the golden items that raters ask about. */
  function queueRow(one, list, titles, onOpen) {
    const meta = (text, name = '') => element('span', { class: name }, text);
    let lines;
    if (list === 'decided') {
      // Letters belong to the order in which a task is shown, and a row shows none.
      lines = [meta(titles[one.task_type] ?? words(one.task_type)), meta(CHOICES.includes(one.choice) ? 'One is better' : choiceWords(one.choice)), meta(`by ${one.expert.name ?? one.expert.account_id}`), one.was_late ? meta('late', 'is-late') : null];
    } else if (list === 'candidate') {
      lines = [meta(choiceWords(one.expert_choice)), meta(words(one.difficulty_level))];
    } else if (list === 'questioned') {
      lines = [meta(one.questions.length === 1 ? 'asked once' : `asked ${one.questions.length} times`), meta(`${one.times_used} answered`)];
    } else {
      const looked = one.looked_at_by_others;
      lines = [meta(dueWords(one.due_at, one.is_overdue), one.is_overdue ? 'is-late' : ''), meta(one.reason.kind === 'escalated' ? 'escalated' : one.judgments_count ? 'disputed' : 'passed over'), meta(titles[one.task_type] ?? words(one.task_type)), meta(`${one.judgments_count} judged`),
        looked ? meta(`${looked.count} other${looked.count === 1 ? '' : 's'} looking for ${span(Date.now() - Date.parse(looked.since))}`, 'is-looked-at') : null];
    }
    return element('li', {}, element('button', { type: 'button', class: 'queue-item', 'data-task': one.task_id, onclick: () => onOpen(one) },
      element('span', { class: 'queue-title' }, one.title ?? one.expert_rationale ?? one.task_id), element('span', { class: 'queue-meta' }, lines)));
  }

  const options = (count, hasUnsure) => [...CHOICES.slice(0, count).map((choice, i) => [choice, `${LETTERS[i]} is better`, i < 2 ? String(i + 1) : '6']), ['tie', 'Tie', '3'], ['both_bad', count > 2 ? 'All bad' : 'Both bad', '4'], ...(hasUnsure ? [['unsure', 'Unsure', '5']] : [])];

  /** Choice and the reasons that fit it: { nodes, state, choose(choice), focusReasons(), reasonDigit(n) }. */
  function choiceFields({ task, rubric, title, hasUnsure, choice = null, reasons = [] }) {
    const state = { choice: null, reasons: [] };
    const offered = () => (state.choice ? rubric.reasons.filter((one) => one.side === (CHOICES.includes(state.choice) ? 'better' : 'undecided') || (state.choice === 'both_bad' && one.side === 'both_bad')) : []);
    const buttons = options(task.candidates.length, hasUnsure).map(([value, text, key]) => element('button', { type: 'button', class: `button button-quiet choice-button ${CHOICES.includes(value) ? 'is-candidate' : ''}`, 'data-choice': value, 'aria-pressed': 'false', 'aria-keyshortcuts': key, onclick: () => choose(value) }, kbd(key), text));
    const list = element('div', { class: 'chips' });
    const note = element('span', { class: 'field-hint', 'aria-live': 'polite' });
    const fieldset = element('fieldset', { class: 'field' }, element('legend', {}, 'Reasons ', kbd('R'), element('span', { class: 'muted small' }, ` up to ${MOST_REASONS}`)), list, note);

    function choose(value, given = []) {
      if (!buttons.some((one) => one.dataset.choice === value)) return;
      state.choice = value;
      const codes = offered().map((one) => one.code);
      state.reasons = (given.length ? given : state.reasons).filter((code) => codes.includes(code));
      for (const button of buttons) button.setAttribute('aria-pressed', String(button.dataset.choice === value));
      list.replaceChildren(...offered().map((one, i) => {
        const input = element('input', { type: 'checkbox', value: one.code, onchange: () => toggle(one.code, input.checked) });
        input.checked = state.reasons.includes(one.code);
        return element('label', { class: 'chip' }, input, element('span', {}, kbd(String(i + 1)), one.label));
      }));
      note.textContent = '';
    }
    function toggle(code, isOn) {
      const without = state.reasons.filter((one) => one !== code);
      const isFull = isOn && without.length >= MOST_REASONS;
      note.textContent = isFull ? `At most ${MOST_REASONS} reasons: take one away first.` : '';
      if (!isFull) state.reasons = isOn ? [...without, code] : without;
      for (const input of list.querySelectorAll('input')) input.checked = state.reasons.includes(input.value);
    }
    note.textContent = 'Choose first; the reasons follow the choice.';
    if (choice) choose(choice, reasons);
    return {
      nodes: [element('div', { class: 'field' }, element('p', { class: 'field-title', id: 'choice-title' }, title), element('div', { class: 'choice-grid', role: 'group', 'aria-labelledby': 'choice-title' }, buttons)), fieldset],
      state, choose: (value) => { choose(value); rater.announce(choiceWords(value)); },
      focusChoice: () => buttons[0].focus(), focusReasons: () => (list.querySelector('input') || buttons[0]).focus(),
      reasonDigit: (n) => { if (!fieldset.contains(document.activeElement)) return false; list.querySelectorAll('input')[n - 1]?.click(); return true; },
    };
  }

  /** What the expert thinks before the judgments are shown. */
  function blindForm({ task, rubric, confidenceWords, count }) {
    const fields = choiceFields({ task, rubric, title: 'What do you think?', hasUnsure: true });
    let confidence = null;
    const inputs = confidenceWords.map(([word, value]) => element('input', { type: 'radio', name: 'confidence', value: String(value), 'aria-label': word, onchange: () => { confidence = value; } }));
    const sure = element('fieldset', { class: 'field' }, element('legend', {}, 'Confidence ', kbd('C')), element('div', { class: 'chips' }, confidenceWords.map(([word], i) => element('label', { class: 'chip' }, inputs[i], element('span', {}, kbd(String(i + 1)), word)))));
    const root = element('div', { class: 'review-form' }, element('p', { class: 'blind-note' }, `You see the ${count === 1 ? 'judgment' : `${count} judgments`} of raters after you have said what you think, so that theirs do not sway you.`), fields.nodes, sure);
    return {
      root, ...fields, focusConfidence: () => (inputs.find((one) => one.checked) ?? inputs[0]).focus(),
      digit: (n) => fields.reasonDigit(n) || (sure.contains(document.activeElement) && (inputs[n - 1]?.click(), true)),
      read() {
        if (!fields.state.choice) return { problem: 'Choose first: 1 for A, 2 for B, 3 tie, 4 both bad, 5 unsure.', at: fields.focusChoice };
        if (confidence === null) return { problem: 'Say how sure you are (C).', at: () => inputs[0].focus() };
        return { json: { choice: fields.state.choice, reasons: fields.state.reasons, confidence } };
      },
    };
  }

  const BANDS = { strong: 'strong on golden items', fair: 'fair on golden items', weak: 'weak on golden items', unknown: 'few golden items yet' };

  /** The raters' judgments without names, what they came to, and the expert's own view beside it. */
  function reveal({ judgments, consensus, review, rubric, confidenceWords }) {
    const counts = new Map();
    for (const one of judgments) counts.set(one.choice, (counts.get(one.choice) ?? 0) + 1);
    const tally = [...counts].sort((a, b) => b[1] - a[1]).map(([choice, n]) => element('li', {}, element('span', {}, choiceWords(choice)), bar(n / judgments.length), element('span', {}, `${n} of ${judgments.length}`)));
    const before = review?.blind;
    const majority = review?.majority_choice ?? (review?.state === 'decided' ? null : consensus?.choice);
    const sure = (value) => confidenceWords.find(([, number]) => number === value)?.[0] ?? percent(value);
    return element('section', { class: 'reveal', 'aria-labelledby': 'reveal-title' }, element('h3', { id: 'reveal-title', class: 'field-title', tabindex: '-1' }, 'What raters thought'),
      before ? element('p', { class: 'blind-note' }, `${review.state === 'decided' ? review.expert.name ?? review.expert.account_id : 'You'} thought before: ${choiceWords(before.choice)}, ${sure(before.confidence)}. ${majority ? (majority === before.choice ? 'The raters’ weighted vote says the same.' : `The raters’ weighted vote says: ${choiceWords(majority)}.`) : 'The raters’ votes have no clear winner.'}`)
        : element('p', { class: 'muted small' }, 'No view was recorded before the judgments were seen.'),
      judgments.length ? element('ul', { class: 'tally' }, tally) : element('p', { class: 'muted' }, 'Nobody has judged it.'),
      element('ul', { class: 'vote-list' }, judgments.map((one) => vote(one, rubric, sure))));
  }

  function vote(one, rubric, sure) {
    const labels = (one.reasons ?? []).map((code) => rubric.reasons.find((reason) => reason.code === code)?.label ?? words(code));
    return element('li', { class: 'vote' }, element('div', { class: 'vote-head' }, element('strong', {}, `${one.rater}: ${choiceWords(one.choice)}`), element('span', { class: 'muted' }, `${sure(one.confidence)}; ${BANDS[one.gold_band] ?? one.gold_band}`),
      one.is_simulated ? element('span', { class: 'badge' }, 'a program') : null, one.is_escalated ? element('span', { class: 'badge badge-warn' }, 'asked for an expert') : null),
    labels.length ? element('p', {}, labels.join('; ')) : null, one.escalation_reason ? element('p', { class: 'prose' }, `Asked: ${one.escalation_reason}`) : null, one.free_text_feedback ? element('p', { class: 'prose' }, one.free_text_feedback) : null);
  }

  /** The decision, begun with the expert's own view. */
  function decisionForm({ task, rubric, classes, blind }) {
    const fields = choiceFields({ task, rubric, title: 'Your decision', hasUnsure: false, choice: blind?.choice === 'unsure' ? null : blind?.choice, reasons: blind?.reasons ?? [] });
    const errorClass = element('select', { id: 'error-class', onchange: () => fit() }, element('option', { value: '' }, 'Choose…'), classes.map((one) => element('option', { value: one.code }, one.words)));
    const rationale = element('textarea', { id: 'rationale', rows: '3', maxlength: '5000', 'aria-describedby': 'rationale-hint' });
    const note = element('textarea', { id: 'note', rows: '2', maxlength: '2000' });
    const golden = element('input', { type: 'checkbox', onchange: () => fit() });
    const difficulty = element('select', { id: 'difficulty' }, [['easy', 'Easy: anybody who read the guideline'], ['medium', 'Medium: needs a second look'], ['hard', 'Hard: separates experts from the rest']].map(([value, text]) => element('option', { value, selected: value === 'medium' }, text)));
    const hard = element('div', { class: 'field', hidden: true }, element('label', { for: 'difficulty' }, 'How hard is it?'), difficulty);
    const goldenNote = element('span', { class: 'field-hint' });
    function fit() {
      const unfit = classes.find((one) => one.code === errorClass.value)?.unfit;
      golden.disabled = Boolean(unfit);
      if (unfit) golden.checked = false;
      goldenNote.textContent = unfit ? `Not as a golden item: ${unfit}.` : '';
      hard.hidden = !golden.checked;
    }
    const root = element('div', { class: 'review-form' }, fields.nodes,
      element('div', { class: 'field' }, element('label', { for: 'error-class' }, 'What went wrong? ', kbd('F')), errorClass),
      element('div', { class: 'field' }, element('label', { for: 'rationale' }, 'Rationale ', kbd('W')), rationale, element('span', { class: 'field-hint', id: 'rationale-hint' }, 'What settles it, in words that teach. The raters read it.')),
      element('div', { class: 'field' }, element('label', { for: 'note' }, 'Note to the raters ', element('span', { class: 'muted small' }, 'optional')), note),
      element('label', { class: 'choice' }, golden, 'Make it a golden item'), goldenNote, hard);
    return {
      root, ...fields, digit: fields.reasonDigit, focusConfidence: () => {}, focusClass: () => errorClass.focus(), focusRationale: () => rationale.focus(),
      read() {
        if (!fields.state.choice) return { problem: 'Choose first: 1 for A, 2 for B, 3 tie, 4 both bad.', at: fields.focusChoice };
        if (!errorClass.value) return { problem: 'Say what went wrong (F): it is counted, and tells whether raters, guideline or task need mending.', at: () => errorClass.focus() };
        if (!rationale.value.trim()) return { problem: 'Say why (W): the raters of this task read it.', at: () => rationale.focus() };
        const json = { choice: fields.state.choice, reasons: fields.state.reasons, error_class: errorClass.value, rationale: rationale.value.trim() };
        if (note.value.trim()) json.note_to_raters = note.value.trim();
        if (golden.checked) Object.assign(json, { make_golden: true, difficulty: difficulty.value });
        return { json };
      },
    };
  }

  /** A decision that was made, by whomever. */
  function verdict(review, rubric) {
    const labels = (review.reasons ?? []).map((code) => rubric.reasons.find((reason) => reason.code === code)?.label ?? words(code));
    const rows = [['Decision', choiceWords(review.choice)], ['By', review.expert.name ?? review.expert.account_id], ['At', new Date(review.decided_at).toLocaleString()], ['Reasons', labels.join('; ') || null], ['What went wrong', review.error_class?.words], ['Rationale', review.rationale], ['Note to raters', review.note_to_raters],
      ['Majority', review.changed_majority === null ? 'the raters had none' : review.changed_majority ? `changed from: ${choiceWords(review.majority_choice)}` : 'kept'], ['After the reveal', review.changed_after_reveal === null ? null : review.changed_after_reveal ? `changed from: ${choiceWords(review.blind.choice)}` : 'unchanged'], ['In time', review.was_late === null ? null : review.was_late ? 'no, late' : 'yes']];
    return element('dl', { class: 'verdict' }, rows.filter(([, value]) => value).map(([name, value]) => [element('dt', {}, name), element('dd', {}, value)]));
  }

  /** The expert's answer of a golden item, with how raters did on it. */
  function goldenAnswer(item, rubric, right) {
    const labels = (item.expert_reasons ?? []).map((code) => rubric.reasons.find((reason) => reason.code === code)?.label ?? words(code));
    const rows = [['Answer', choiceWords(item.expert_choice)], ['Reasons', labels.join('; ')], ['Rationale', item.expert_rationale], ['Difficulty', words(item.difficulty_level)], ['Answered rightly', right]];
    return element('dl', { class: 'verdict' }, rows.filter(([, value]) => value).map(([name, value]) => [element('dt', {}, name), element('dd', {}, value)]));
  }

  rater.review = { goldenAnswer, queueRow, blindForm, reveal, decisionForm, verdict, dueWords, span };
})();
