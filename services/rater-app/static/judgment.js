// The decision pane: choice, then reasons that fit it, then confidence as a word, then criteria and words of one's own.
'use strict';
(() => {
  const rater = window.rater;
  const { LETTERS, CHOICES, element, choiceWords } = rater;
  const MOST_REASONS = 3;
  const SCORES = [[1, 'yes'], [0.5, 'partly'], [0, 'no']];
  const CRITERION_KEYS = ['A', 'S', 'D', 'F'];

  const kbd = (text) => element('kbd', { 'aria-hidden': 'true' }, text);

  /** An empty decision. */
  const blank = () => ({ choice: null, reasons: [], confidence: null, rubric_scores: {}, free_text_feedback: '' });

  /**
   * The form of one task: `judgmentForm({ task, confidenceWords, draft, hasCriteria, onChange })`.
   * Gives { root, state, choose(choice), focusReasons(), focusConfidence(), cycleCriterion(index), digit(n), problem() }.
   */
  function judgmentForm({ task, confidenceWords, draft = null, hasCriteria = true, onChange = () => {} }) {
    const state = { ...blank(), ...(draft || {}) };
    const count = task.candidates.length;
    const root = element('div', { class: 'judgment-form' });
    const offered = () => (state.choice ? task.rubric.reasons.filter((one) => one.side === (CHOICES.includes(state.choice) ? 'better' : 'undecided')) : []);
    const changed = () => onChange(state);

    // Choice
    const options = [...CHOICES.slice(0, count).map((choice, i) => [choice, `${LETTERS[i]} is better`, i < 2 ? String(i + 1) : '6']), ['tie', 'Tie', '3'], ['both_bad', count > 2 ? 'All bad' : 'Both bad', '4'], ['unsure', 'Unsure', '5']];
    const buttons = options.map(([choice, text, key]) => element('button', { type: 'button', class: `button button-quiet choice-button ${CHOICES.includes(choice) ? 'is-candidate' : ''}`, 'data-choice': choice, 'aria-pressed': 'false', 'aria-keyshortcuts': key, onclick: () => choose(choice) }, kbd(key), text));
    const choiceGroup = element('div', { class: 'choice-grid', role: 'group', 'aria-labelledby': 'choice-title' }, buttons);

    // Reasons
    const reasonList = element('div', { class: 'chips' });
    const reasonNote = element('p', { class: 'field-hint', 'aria-live': 'polite' });
    const reasons = element('fieldset', { class: 'field', 'aria-describedby': 'reason-note' }, element('legend', {}, 'Reasons ', kbd('R'), element('span', { class: 'muted small' }, ` up to ${MOST_REASONS}`)), reasonList, reasonNote);
    reasonNote.id = 'reason-note';

    // Confidence
    const confidenceInputs = confidenceWords.map(([word, value]) => element('input', { type: 'radio', name: 'confidence', value: String(value), onchange: () => setConfidence(value), 'aria-label': word }));
    const confidence = element('fieldset', { class: 'field' }, element('legend', {}, 'Confidence ', kbd('C')),
      element('div', { class: 'chips confidence-chips' }, confidenceWords.map(([word], i) => element('label', { class: 'chip' }, confidenceInputs[i], element('span', {}, kbd(String(i + 1)), word)))));

    // Criteria
    const criterionButtons = task.rubric.criteria.map((criterion, i) => {
      const answer = element('span', { class: 'criterion-answer' });
      const button = element('button', { type: 'button', class: 'criterion', 'aria-keyshortcuts': CRITERION_KEYS[i] || null, onclick: () => cycleCriterion(i) },
        CRITERION_KEYS[i] ? kbd(CRITERION_KEYS[i]) : null, element('span', { class: 'criterion-question' }, criterion.question, criterion.required ? element('span', { class: 'required' }, ' required') : null), answer);
      return { criterion, button, answer };
    });
    const criteria = element('div', { class: 'field', role: 'group', 'aria-labelledby': 'criteria-title' },
      element('p', { class: 'field-title', id: 'criteria-title' }, 'Criteria ', element('span', { class: 'muted small' }, 'optional')), criterionButtons.map((one) => one.button));

    // Words
    const text = element('textarea', { id: 'free-text', rows: '1', maxlength: '4000', oninput: () => { state.free_text_feedback = text.value; changed(); } });
    text.value = state.free_text_feedback || '';
    const wordsField = element('div', { class: 'field' }, element('label', { for: 'free-text' }, 'In your words ', element('span', { class: 'muted small' }, 'optional')), text);

    const title = element('p', { class: 'field-title', id: 'choice-title' }, 'Which is better?');
    root.append(title, choiceGroup, reasons, confidence, hasCriteria ? criteria : '', wordsField);

    function choose(choice) {
      if (!options.some(([one]) => one === choice)) return;
      state.choice = choice;
      const codes = offered().map((one) => one.code);
      state.reasons = state.reasons.filter((code) => codes.includes(code));
      draw();
      rater.announce(`${choiceWords(choice)}. ${codes.length} reasons offered.`);
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

    function cycleCriterion(i) {
      const one = criterionButtons[i];
      if (!one || !hasCriteria) return;
      const now = SCORES.findIndex(([score]) => score === state.rubric_scores[one.criterion.key]);
      const next = SCORES[now + 1];
      if (next) state.rubric_scores = { ...state.rubric_scores, [one.criterion.key]: next[0] };
      else { state.rubric_scores = { ...state.rubric_scores }; delete state.rubric_scores[one.criterion.key]; }
      drawCriteria();
      rater.announce(`${one.criterion.question} ${next ? next[1] : 'no answer'}`);
      changed();
    }

    function drawCriteria() {
      for (const { criterion, button, answer } of criterionButtons) {
        const found = SCORES.find(([score]) => score === state.rubric_scores[criterion.key]);
        const symbol = found ? { yes: '✓ ', partly: '◐ ', no: '✗ ' }[found[1]] : '–';
        answer.replaceChildren(element('span', { 'aria-hidden': 'true' }, symbol), found ? found[1] : element('span', { class: 'visually-hidden' }, ' no answer'));
        button.dataset.answer = found ? found[1] : '';
      }
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
      if (!state.choice) return { text: 'Choose first: 1 for A, 2 for B, 3 tie, 4 both bad, 5 unsure.', at: buttons[0] };
      if (state.reasons.length === 0 && state.choice !== 'unsure') return { text: 'Give at least one reason (R).', at: reasonList.querySelector('input') };
      if (state.confidence === null) return { text: 'Say how sure you are (C).', at: confidenceInputs[0] };
      return null;
    }

    draw();
    return {
      root, title, choices: choiceGroup, state, choose, cycleCriterion, digit, problem,
      focusReasons: () => (reasonList.querySelector('input') || buttons[0]).focus(),
      focusConfidence: () => (confidenceInputs.find((one) => one.checked) || confidenceInputs[0]).focus(),
    };
  }

  Object.assign(rater, { judgmentForm, blankJudgment: blank, CRITERION_KEYS });
})();
