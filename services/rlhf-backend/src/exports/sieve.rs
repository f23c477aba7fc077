//! What becomes of a task, a judgment or a piece of feedback in each profile: rows, or the reason why there are none.

use std::borrow::Cow;

use domain::task::Choice;
use storage::training_data::judged::JudgmentRow;
use storage::training_data::pages::{FeedbackRow, Keys, TaskRow};
use web::problem::Problem;

use super::output::{Output, Source};
use super::pooled::{Dropped, Pool, Verdict, margin};
use super::profile::{Profile, Split};
use super::reader::Options;
use super::record::{Record, has_turn_mark};
use super::texts::{candidate_text, is_blank, prompt_of, prompt_text, read_the_same};

/// Decides row by row; what it has seen of repeated texts is its only memory.
#[derive(Debug)]
pub struct Sieve {
    options: Options,
    pool: Pool,
}

/// A text with the number that stands for it.
#[derive(Debug, Clone, Copy)]
struct Text<'a> {
    text: &'a str,
    key: Option<i64>,
}

/// The prompt of a row, and how certain its own decision is; users have no posterior.
struct Asked<'a> {
    prompt: Text<'a>,
    posterior: Option<f64>,
    source: Source<'a>,
}

impl Sieve {
    /// For an export, with what comes up more than once in it.
    #[must_use]
    pub fn new(options: Options, pool: Pool) -> Self {
        Self { options, pool }
    }

    /// How many pairs or texts come up more than once.
    #[must_use]
    pub fn repeated(&self) -> usize {
        self.pool.len()
    }

    /// Rows of a judged task.
    ///
    /// # Errors
    /// 500 when a row cannot be written.
    pub fn task(&mut self, row: &TaskRow, out: &mut Output) -> Result<(), Problem> {
        let choice = match self.decided(row) {
            Ok(choice) => choice,
            Err(reason) => return out.drop(reason),
        };
        let prompt = prompt_text(&row.prompt, &row.context_snippets);
        if let Err(reason) = self.check_prompt(&prompt) {
            return out.drop(reason);
        }
        let candidates: [Option<Cow<'_, str>>; 3] = row.candidates.each_ref().map(|json| json.as_deref().map(candidate_text));
        let texts: Vec<Text<'_>> =
            candidates.iter().zip(row.keys.texts).filter_map(|(text, key)| text.as_deref().map(|text| Text { text, key })).collect();
        let asked = Asked {
            prompt: Text { text: &prompt, key: key_of(&row.keys) },
            posterior: Some(posterior(row)),
            source: Source::of_task(row, &prompt),
        };
        let place = [Choice::CandidateA, Choice::CandidateB, Choice::CandidateC].iter().position(|candidate| *candidate == choice);
        let Some(place) = place else {
            // Both are bad: in a profile of single answers these are rows.
            return texts.iter().try_for_each(|text| self.answer(&asked, *text, Some(false), out));
        };
        let Some(chosen) = texts.get(place).copied() else { return out.drop("no_consensus") };
        let others = texts.iter().enumerate().filter(|(at, _)| *at != place).map(|(_, text)| *text);
        self.preferred(&asked, chosen, others, out)
    }

    /// Rows of a piece of feedback: a thumb or rating is a label, a preference is a pair, a correction is a pair and an example.
    ///
    /// # Errors
    /// 500 when a row cannot be written.
    pub fn feedback(&mut self, row: &FeedbackRow, out: &mut Output) -> Result<(), Problem> {
        let profile = self.options.profile;
        let [output_key, better_key, worse_key] = row.keys.texts;
        let output = Text { text: row.model_output.as_deref().unwrap_or_default(), key: output_key };
        let better = Text { text: row.preferred.as_deref().unwrap_or_default(), key: better_key };
        let worse = Text { text: row.rejected.as_deref().unwrap_or_default(), key: worse_key };
        let kind = row.feedback_type.as_str();
        let label = match (kind, profile) {
            ("preference", Profile::Sft) => return out.drop("feedback_without_an_example"),
            ("preference" | "correction", _) => None,
            (_, Profile::Sft) => return out.drop("feedback_without_an_example"),
            ("thumbs_up", Profile::Kto) => Some(true),
            ("thumbs_down", Profile::Kto) => Some(false),
            ("rating", Profile::Kto) => match row.rating {
                Some(4..=5) => Some(true),
                Some(1..=2) => Some(false),
                _ => return out.drop("rating_of_three"),
            },
            _ => return out.drop("feedback_without_a_pair"),
        };
        let prompt = row.prompt.as_deref().unwrap_or_default();
        if let Err(reason) = self.check_prompt(prompt) {
            return out.drop(reason);
        }
        let asked =
            Asked { prompt: Text { text: prompt, key: key_of(&row.keys) }, posterior: None, source: Source::of_feedback(row, prompt) };
        match (label, kind) {
            (Some(_), _) => self.answer(&asked, output, label, out),
            (None, "correction") => self.preferred(&asked, better, std::iter::once(output), out),
            _ => self.preferred(&asked, better, std::iter::once(worse), out),
        }
    }

    /// The row of one judgment. Consensus plays no part here, so `min_posterior` does not either.
    ///
    /// # Errors
    /// 500 when a row cannot be written.
    pub fn judgment(&mut self, row: &JudgmentRow, out: &mut Output) -> Result<(), Problem> {
        if row.is_simulated && !self.options.include_simulated {
            return out.drop("simulated_raters");
        }
        let prompt = prompt_of(&row.prompt, &row.context_snippets);
        match self.in_split(&prompt) {
            Ok(()) => out.keep(&Record::Judgment(row), &Source::of_judgment(row, &prompt)),
            Err(reason) => out.drop(reason),
        }
    }

    /// The decision of a task, unless it has none that this profile can use.
    fn decided(&self, row: &TaskRow) -> Result<Choice, Dropped> {
        if !matches!(row.status.as_str(), "completed" | "validated") {
            return Err("not_resolved_yet");
        }
        if row.simulated > 0 && !self.options.include_simulated {
            return Err("simulated_raters");
        }
        let choice = row.choice.as_deref().and_then(|word| word.parse::<Choice>().ok()).ok_or("no_consensus")?;
        match choice {
            Choice::Tie => Err("tie"),
            Choice::Unsure => Err("unsure"),
            Choice::BothBad if self.options.profile != Profile::Kto => Err("both_bad"),
            _ if self.options.profile == Profile::Sft && !is_by_expert(row) => Err("not_decided_by_an_expert"),
            _ => Ok(choice),
        }
    }

    fn check_prompt(&self, prompt: &str) -> Result<(), Dropped> {
        self.in_split(prompt)?;
        if is_blank(prompt) { Err("empty_text") } else { Ok(()) }
    }

    fn in_split(&self, prompt: &str) -> Result<(), Dropped> {
        match self.options.split {
            Some(split) if Split::of_prompt(prompt) != split => Err("other_split"),
            _ => Ok(()),
        }
    }

    /// One text was preferred to others.
    fn preferred<'a>(
        &mut self,
        asked: &Asked<'_>,
        chosen: Text<'a>,
        others: impl Iterator<Item = Text<'a>>,
        out: &mut Output,
    ) -> Result<(), Problem> {
        if self.options.profile == Profile::Sft {
            return self.answer(asked, chosen, None, out);
        }
        let mut is_better = false;
        for other in others {
            if is_blank(chosen.text) || is_blank(other.text) {
                out.drop("empty_text")?;
            } else if read_the_same(chosen.text, other.text) {
                out.drop("identical_texts")?;
            } else if self.options.profile == Profile::Kto {
                if !std::mem::replace(&mut is_better, true) {
                    self.answer(asked, chosen, Some(true), out)?;
                }
                self.answer(asked, other, Some(false), out)?;
            } else {
                self.pair(asked, chosen, other, out)?;
            }
        }
        Ok(())
    }

    fn pair(&mut self, asked: &Asked<'_>, chosen: Text<'_>, rejected: Text<'_>, out: &mut Output) -> Result<(), Problem> {
        let prompt = asked.prompt.text;
        if self.options.profile == Profile::HhRlhf && [prompt, chosen.text, rejected.text].into_iter().any(has_turn_mark) {
            return out.drop("turn_mark_in_text");
        }
        let keys = asked.prompt.key.zip(chosen.key).zip(rejected.key);
        let key = keys.map(|((prompt, chosen), rejected)| prompt ^ chosen ^ rejected);
        let (is_as_said, posterior, decisions) = match self.pool.ask(key, self.options.min_posterior) {
            Verdict::Alone if self.is_uncertain(asked) => return out.drop("posterior_below_minimum"),
            Verdict::Alone => (true, asked.posterior, 1),
            Verdict::Together { is_positive, posterior, decisions } => (is_positive == (chosen.key > rejected.key), posterior, decisions),
            Verdict::Repeated => return out.drop("repeated_pair"),
            Verdict::Contradicted => return out.drop("contradicted_pair"),
            Verdict::Uncertain => return out.drop("posterior_below_minimum"),
        };
        let (chosen, rejected) = if is_as_said { (chosen.text, rejected.text) } else { (rejected.text, chosen.text) };
        let record = Record::Pair { prompt, chosen, rejected, margin: margin(posterior) };
        out.keep(&record, &asked.source.pooled(posterior, decisions))
    }

    fn answer(&mut self, asked: &Asked<'_>, text: Text<'_>, label: Option<bool>, out: &mut Output) -> Result<(), Problem> {
        if is_blank(text.text) {
            return out.drop("empty_text");
        }
        let key = asked.prompt.key.zip(text.key).map(|(prompt, text)| prompt ^ text);
        let (label, posterior, decisions) = match self.pool.ask(key, self.options.min_posterior) {
            Verdict::Alone if self.is_uncertain(asked) => return out.drop("posterior_below_minimum"),
            Verdict::Alone => (label, asked.posterior, 1),
            Verdict::Together { is_positive, posterior, decisions } => (label.map(|_| is_positive), posterior, decisions),
            Verdict::Repeated => return out.drop("repeated_answer"),
            Verdict::Contradicted => return out.drop("contradicted_answer"),
            Verdict::Uncertain => return out.drop("posterior_below_minimum"),
        };
        out.keep(&Record::Answer { prompt: asked.prompt.text, text: text.text, label }, &asked.source.pooled(posterior, decisions))
    }

    fn is_uncertain(&self, asked: &Asked<'_>) -> bool {
        asked.posterior.is_some_and(|posterior| posterior < self.options.min_posterior)
    }
}

fn is_by_expert(row: &TaskRow) -> bool {
    row.decided_by.as_deref().is_some_and(|who| who != "raters")
}

fn posterior(row: &TaskRow) -> f64 {
    row.posterior.unwrap_or(if is_by_expert(row) { 1.0 } else { 0.0 })
}

/// The prompt's number, where numbers were read.
fn key_of(keys: &Keys) -> Option<i64> {
    keys.texts.iter().any(Option::is_some).then_some(keys.prompt)
}
