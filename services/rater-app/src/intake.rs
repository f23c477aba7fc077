//! From what a creator sends to a task that can be judged: personal data taken out, rules, machine checks, rubric. No I/O.

use domain::checks;
use domain::invalid::Invalid;
use domain::rubric;
use peers::tasks::{CheckResult, IN_PROCESS, NewTask};
use serde_json::{Value, json};
use storage::queue::Weights;
use web::privacy::{screen_document, screen_text};
use web::settings::{PiiRule, Settings};

/// Most judgments a task may ask for.
pub const MAX_REQUIRED_JUDGMENTS: i32 = 100;

const MAX_TITLE_CHARS: usize = 300;
const MAX_PROMPT_CHARS: usize = 20_000;
const MAX_SOURCE_CHARS: usize = 100;

/// How tasks that come in are asked about and treated.
#[derive(Debug, Clone, Copy)]
pub struct Intake {
    /// Judgments asked for at first for a task that names no number.
    pub judgments: i32,
    /// Judgments at most for such a task.
    pub max_judgments: i32,
    /// How the queue weighs tasks.
    pub weights: Weights,
    /// What happens to personal data.
    pub pii: PiiRule,
}

impl Intake {
    /// As this installation is set.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let rating = &settings.rating;
        Self {
            judgments: i32::try_from(rating.judgments_per_task).unwrap_or(2),
            max_judgments: i32::try_from(rating.overlap.max_judgments).unwrap_or(5),
            weights: crate::assignments::weights(settings),
            pii: settings.pii,
        }
    }
}

/// Checks a task, runs the machine checks on its candidates and makes it ready to be stored.
///
/// # Errors
/// [`Invalid`] naming each field that is wrong.
pub fn prepare(new: &NewTask, intake: &Intake) -> Result<storage::tasks::NewTask, Invalid> {
    let new = &screened(new, intake.pii)?;
    let mut invalid = Invalid::default();
    invalid.merge(new.check());
    for (field, text, most) in [("title", &new.title, MAX_TITLE_CHARS), ("prompt", &new.prompt, MAX_PROMPT_CHARS)] {
        if text.chars().count() > most {
            invalid.add(field, format!("must be at most {most} characters"));
        }
    }
    if new.source.as_ref().is_some_and(|source| source.chars().count() > MAX_SOURCE_CHARS) {
        invalid.add("source", format!("must be at most {MAX_SOURCE_CHARS} characters"));
    }
    if new.context_snippets.len() > checks::MAX_SNIPPETS {
        invalid.add("context_snippets", format!("must be at most {} snippets", checks::MAX_SNIPPETS));
    }
    if new.candidate_c.as_ref().is_some_and(Value::is_null) {
        invalid.add("candidate_c", "must not be null; leave it out for two candidates");
    }
    if new.required_judgments.is_some_and(|n| n > MAX_REQUIRED_JUDGMENTS) {
        invalid.add("required_judgments", format!("must be at most {MAX_REQUIRED_JUDGMENTS}"));
    }
    if new.max_judgments.is_some_and(|n| n > MAX_REQUIRED_JUDGMENTS) {
        invalid.add("max_judgments", format!("must be at most {MAX_REQUIRED_JUDGMENTS}"));
    }
    let candidates: Vec<Value> =
        [Some(&new.candidate_a), Some(&new.candidate_b), new.candidate_c.as_ref()].into_iter().flatten().cloned().collect();
    for (place, candidate) in candidates.iter().enumerate() {
        if candidates.iter().take(place).any(|earlier| earlier == candidate) {
            invalid.add(crate::presentation::key_of_place(place), "is the same as another candidate; there is nothing to compare");
        }
    }
    invalid.into_result()?;
    let rubric = rubric::rubric(new.task_type);
    let (required, most) = match (new.required_judgments, new.max_judgments) {
        (Some(required), most) => (required, most.unwrap_or(required)),
        (None, Some(most)) => (intake.judgments.min(most), most),
        (None, None) => (intake.judgments, intake.max_judgments),
    };
    Ok(storage::tasks::NewTask {
        task_id: new.task_id.clone(),
        tenant_id: new.tenant_id.clone(),
        task_type: new.task_type.as_ref().to_owned(),
        status: "pending".to_owned(),
        retailer_id: new.retailer_id.clone(),
        adapter_id: new.adapter_id.clone(),
        title: new.title.clone(),
        prompt: new.prompt.clone(),
        context_snippets: json!(new.context_snippets),
        auto_checks: json!(run_checks(new, &candidates)),
        candidates,
        rubric_checklist: json!(rubric.criteria),
        reason_codes: json!(rubric.reasons),
        priority: new.priority,
        uncertainty_score: new.uncertainty_score,
        required_judgments: required,
        max_judgments: most.max(required),
        source: new.source.clone(),
        weights: intake.weights,
    })
}

/// The task without personal data, or a refusal: everything that raters see is looked through before it is stored.
fn screened(new: &NewTask, pii: PiiRule) -> Result<NewTask, Invalid> {
    let mut new = new.clone();
    let mut invalid = Invalid::default();
    invalid.merge(screen_text(pii, "title", &mut new.title));
    invalid.merge(screen_text(pii, "prompt", &mut new.prompt));
    for (at, snippet) in new.context_snippets.iter_mut().enumerate() {
        invalid.merge(screen_document(pii, &format!("context_snippets[{at}]"), snippet));
    }
    let candidates = [
        ("candidate_a", Some(&mut new.candidate_a)),
        ("candidate_b", Some(&mut new.candidate_b)),
        ("candidate_c", new.candidate_c.as_mut()),
    ];
    for (field, candidate) in candidates {
        if let Some(candidate) = candidate {
            invalid.merge(screen_document(pii, field, candidate));
        }
    }
    invalid.into_result()?;
    Ok(new)
}

fn run_checks(new: &NewTask, candidates: &[Value]) -> Vec<CheckResult> {
    let candidates: Vec<&Value> = candidates.iter().collect();
    let findings = checks::run(new.task_type, &new.context_snippets, &new.prompt, &candidates);
    findings
        .into_iter()
        .map(|finding| CheckResult {
            check: finding.check.to_owned(),
            candidate: finding.candidate,
            passed: finding.passed,
            message: finding.message,
            place: finding.place,
            version: checks::VERSION,
            checked_by: IN_PROCESS.to_owned(),
        })
        .collect()
}
