// The decision pane: choice, then reasons that fit it, then confidence as a word, then criteria and words of one's own.
'use strict';
(() => {
  const rater = window.rater;
  const { LETTERS, CHOICES, element, choiceWords } = rater;
  const MOST_REASONS = 3;
  /** Score, word, sign, short form. `na` is kept in the draft and left out of what is sent: it does not count. */
  const SCORES = [[1, 'yes', '✓'], [0.5, 'partly', '◐'], [0, 'no', '✗'], ['na', 'does not apply', 'N/A']];

  const DELIVERED = { candidate_a: '1', candidate_b: '2', tie: '3', both_bad: '4', unsure: '5', candidate_c: '6', reasons: 'R', confidence: 'C', text: 'T', criterion_1: 'A', criterion_2: 'S', criterion_3: 'D', criterion_4: 'F' };
  const kbd = (text) => element('kbd', { 'aria-hidden': 'true' }, text);
  /** The key of an action, as it is now; pages without the table of keys print the delivered one. */
  const keyOf = (action) => rater.keys?.of(action) ?? DELIVERED[action];
  const keyMark = (action) => rater.keys?.mark(action) ?? kbd(DELIVERED[action]);

  /** An empty decision. */
  const blank = () => ({ choice: null, reasons: [], confidence: null, rubric_scores: {}, free_text_feedback: '' });

  /**
   * The form of one task: `judgmentForm({ task, confidenceWords, draft, hasCriteria, onChange })`.
   * Gives { root, state, choose(choice), focusReasons(), focusConfidence(), focusText(), cycleCriterion(index), digit(n), problem(), scores() }.
   */
  function judgmentForm({ task, confidenceWords, draft = null, hasCriteria = true, onChange = () => {} }) {
    const state = { ...blank(), ...(draft || {}) };
    const count = task.candidates.length;
    const root = element('div', { class: 'judgment-form' });
    const offered = () => (state.choice ? task.rubric.reasons.filter((one) => one.side === (CHOICES.includes(state.choice) ? 'better' : 'undecided') || (state.choice === 'both_bad' && one.side === 'both_bad')) : []);
    const changed = () => onChange(state);

    // Choice
    const options = [...CHOICES.slice(0, count).map((choice, i) => [choice, `${LETTERS[i]} is ${count > 2 ? 'best' : 'better'}`]), ['tie', 'Tie'], ['both_bad', count > 2 ? 'All bad' : 'Both bad'], ['unsure', 'Unsure']];
    const buttons = options.map(([choice, text]) => element('button', { type: 'button', class: `button button-quiet choice-button ${CHOICES.includes(choice) ? 'is-candidate' : ''}`, 'data-choice': choice, 'data-action': choice, 'aria-pressed': 'false', 'aria-keyshortcuts': keyOf(choice), onclick: () => choose(choice) }, keyMark(choice), text));
    const choiceGroup = element('div', { class: 'choice-grid', role: 'group', 'aria-labelledby': 'choice-title' }, buttons);

    // Reasons
    const reasonList = element('div', { class: 'chips' });
    const reasonNote = element('p', { class: 'field-hint', 'aria-live': 'polite' });
    const reasons = element('fieldset', { class: 'field', 'aria-describedby': 'reason-note' }, element('legend', {}, 'Reasons ', keyMark('reasons'), element('span', { class: 'muted small' }, ` up to ${MOST_REASONS}`)), reasonList, reasonNote);
    reasonNote.id = 'reason-note';

    // Confidence
    const confidenceInputs = confidenceWords.map(([word, value]) => element('input', { type: 'radio', name: 'confidence', value: String(value), onchange: () => setConfidence(value), 'aria-label': word }));
    const confidence = element('fieldset', { class: 'field' }, element('legend', {}, 'Confidence ', keyMark('confidence')),
      element('div', { class: 'chips confidence-chips' }, confidenceWords.map(([word], i) => element('label', { class: 'chip' }, confidenceInputs[i], element('span', {}, kbd(String(i + 1)), word)))));

    // Criteria
    const criterionRows = task.rubric.criteria.map((criterion, i) => {
      const action = `criterion_${i + 1}`;
      const id = `criterion-${criterion.key}`;
      const answers = SCORES.map(([score, word, sign]) => element('button', { type: 'button', class: 'criterion-answer', 'data-score': String(score), 'aria-pressed': 'false', title: word, onclick: () => answerCriterion(i, state.rubric_scores[criterion.key] === score ? null : score) }, element('span', { 'aria-hidden': 'true' }, sign), element('span', { class: 'visually-hidden' }, word)));
      const row = element('div', { class: 'criterion', role: 'group', 'aria-labelledby': id }, i < 4 ? keyMark(action) : null,
        element('span', { class: 'criterion-question', id }, criterion.question, criterion.required ? element('span', { class: 'required' }, ' required') : null), element('span', { class: 'criterion-answers' }, answers));
      return { criterion, row, answers };
    });
    const rubricNote = element('p', { class: 'rubric-note', 'aria-live': 'polite' });
    const criteria = element('div', { class: 'field criteria', role: 'group', 'aria-labelledby': 'criteria-title' },
      element('p', { class: 'field-title', id: 'criteria-title' }, element('span', { class: 'criteria-subject' }, 'Criteria'), element('span', { class: 'muted small' }, ' optional')), criterionRows.map((one) => one.row), rubricNote);

    // Words
    const text = element('textarea', { id: 'free-text', rows: '1', maxlength: '4000', oninput: () => { state.free_text_feedback = text.value; changed(); } });
    text.value = state.free_text_feedback || '';
    const wordsField = element('div', { class: 'field' }, element('label', { for: 'free-text' }, 'In your words ', keyMark('text'), element('span', { class: 'muted small' }, ' optional')), text);

    const title = element('p', { class: 'field-title', id: 'choice-title' }, 'Which is better?');
    root.append(title, choiceGroup, reasons, confidence, hasCriteria ? criteria : '', wordsField);

    function choose(choice) {
      if (!options.some(([one]) => one === choice)) return;
      state.choice = choice;
      const codes = offered().map((one) => one.code);
      state.reasons = state.reasons.filter((code) => codes.includes(code));
      draw();
      rater.announce(`${choiceWords(choice)}. ${codes.length} reasons offered, ${keyOf('reasons')} goes there.`);
      changed();
    }

    function toggleReason(code, isOn) {
      const without = state.reasons.filter((one) => one !== code);
      if (isOn && without.length >= MOST_REASONS) {
        reasonNote.textContent = `At most ${MOST_REASONS} reasons: take one away first.`;
      } else {
        state.reasons = isOn ? [...without, code] : without;
        reasonNote.textContent = '';
        changed();
      }
      for (const input of reasonList.querySelectorAll('input')) input.checked = state.reasons.includes(input.value);
    }

    function setConfidence(value) {
      state.confidence = value;
      for (const input of confidenceInputs) input.checked = Number(input.value) === value;
      changed();
    }

    function answerCriterion(i, score) {
      const one = criterionRows[i];
      if (!one || !hasCriteria) return;
      const { [one.criterion.key]: _, ...others } = state.rubric_scores;
      state.rubric_scores = score === null ? others : { ...others, [one.criterion.key]: score };
      drawCriteria();
      rater.announce(`${one.criterion.question} ${SCORES.find(([known]) => known === score)?.[1] ?? 'no answer'}`);
      changed();
    }

    /** The next answer of a criterion: yes, partly, no, does not apply, none. */
    function cycleCriterion(i) {
      const key = criterionRows[i]?.criterion.key;
      if (!key) return;
      const now = SCORES.findIndex(([score]) => score === state.rubric_scores[key]);
      answerCriterion(i, SCORES[now + 1]?.[0] ?? null);
    }

    function drawCriteria() {
      for (const { criterion, row, answers } of criterionRows) {
        const score = state.rubric_scores[criterion.key];
        row.dataset.answer = SCORES.find(([known]) => known === score)?.[1] ?? '';
        for (const one of answers) one.setAttribute('aria-pressed', String(one.dataset.score === String(score)));
      }
      criteria.querySelector('.criteria-subject').textContent = CHOICES.includes(state.choice) ? `Criteria of ${LETTERS[CHOICES.indexOf(state.choice)]}` : 'Criteria';
      rubricNote.textContent = rubricWords();
    }

    /** What the answers add up to, and where they speak against the choice. A hint, not a rule. */
    function rubricWords() {
      const answered = criterionRows.map(({ criterion }) => [criterion, state.rubric_scores[criterion.key]]).filter(([, score]) => typeof score === 'number');
      if (!answered.length || !state.choice) return '';
      const failed = answered.find(([criterion, score]) => criterion.required && score === 0);
      if (failed && CHOICES.includes(state.choice)) return `A required criterion fails: if nobody could use ${LETTERS[CHOICES.indexOf(state.choice)]} either, choose “${count > 2 ? 'All bad' : 'Both bad'}”.`;
      const weight = answered.reduce((sum, [criterion]) => sum + criterion.weight, 0);
      const score = answered.reduce((sum, [criterion, value]) => sum + criterion.weight * value, 0) / weight;
      return `${Math.round(score * 100)} of 100 by weight, over ${answered.length} of ${criterionRows.length} criteria.`;
    }

    function draw() {
      for (const button of buttons) button.setAttribute('aria-pressed', String(button.dataset.choice === state.choice));
      const list = offered();
      reasonList.replaceChildren(...list.map((one, i) => {
        const input = element('input', { type: 'checkbox', value: one.code, onchange: () => toggleReason(one.code, input.checked) });
        input.checked = state.reasons.includes(one.code);
        return element('label', { class: 'chip' }, input, element('span', {}, kbd(String(i + 1)), one.label));
      }));
      reasonNote.textContent = list.length ? '' : 'Choose first; the reasons follow the choice.';
      for (const input of confidenceInputs) input.checked = Number(input.value) === state.confidence;
      drawCriteria();
    }

    /** A digit while the focus is among reasons or confidence; whether it was used. */
    function digit(n) {
      if (reasons.contains(document.activeElement)) {
        const input = reasonList.querySelectorAll('input')[n - 1];
        if (input) { toggleReason(input.value, !input.checked); input.focus(); }
        return true;
      }
      if (confidence.contains(document.activeElement)) {
        const input = confidenceInputs[n - 1];
        if (input) { setConfidence(Number(input.value)); input.focus(); }
        return true;
      }
      return false;
    }

    /** What is missing before it may be sent, and where; null when nothing is. */
    function problem() {
      if (!state.choice) return { text: `Choose first: ${options.map(([choice, text]) => `${keyOf(choice)} ${text}`).join(', ')}.`, at: buttons[0] };
      if (state.reasons.length === 0 && state.choice !== 'unsure') return { text: `Give at least one reason (${keyOf('reasons')}).`, at: reasonList.querySelector('input') };
      if (state.confidence === null) return { text: `Say how sure you are (${keyOf('confidence')}).`, at: confidenceInputs[0] };
      return null;
    }

    /** The scores that count, as they are sent. */
    const scores = () => Object.fromEntries(Object.entries(state.rubric_scores).filter(([, score]) => typeof score === 'number'));

    draw();
    return {
      root, title, choices: choiceGroup, state, choose, cycleCriterion, digit, problem, scores,
      focusReasons: () => (reasonList.querySelector('input') || buttons[0]).focus(),
      focusText: () => text.focus(),
      focusConfidence: () => (confidenceInputs.find((one) => one.checked) || confidenceInputs[0]).focus(),
    };
  }

  Object.assign(rater, { judgmentForm, blankJudgment: blank });
})();
