//! Training pairs out of the tables: every judged task as a soft label, every preference and correction as a certain one.
//!
//! A task's pair weighs `min(judgments, 5) / 3` times the posterior of its decision, so that three judgments that agree count 1; a pair
//! from feedback, which is one person's word, counts 1/3.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::task::Choice;
use learning::judgment::Judgment;
use peers::tasks::CheckResult;
use serde::Serialize;
use serde_json::Value;
use storage::accounts;
use storage::error::StorageError;
use storage::feedback::Feedback;
use storage::store::Storage;
use storage::training_data::TrainingFilter;
use storage::training_data::judged::{self, JudgedTask, JudgmentRow};
use storage::training_data::said;
use web::access::hash_key;

use super::TrainingInput;
use super::newest::{Newest, Source};

/// Rows read at once.
const PAGE: i64 = 500;

/// Raters whose accounts are looked up at once.
const RATERS_AT_ONCE: usize = 500;

/// Pairs at most, the newest; older ones are left out and counted.
pub const MAX_PAIRS: usize = 100_000;

/// Labels of judgments, for agreement.
pub const LABELS: [Choice; 6] = [Choice::CandidateA, Choice::CandidateB, Choice::CandidateC, Choice::Tie, Choice::BothBad, Choice::Unsure];

/// Weight of a pair from one person's feedback.
const FEEDBACK_WEIGHT: f64 = 1.0 / 3.0;

/// One training row in canonical form.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// Task or feedback id.
    pub source: String,
    /// Which pair of the task's candidates: 0 is the first with the second.
    #[serde(skip)]
    pub place: i32,
    /// Pairs of one prompt stay together in cross-validation.
    pub prompt_key: String,
    /// Whose it is, where known.
    pub retailer: Option<String>,
    /// What the candidates answer.
    pub context: Value,
    /// First candidate.
    pub a: Value,
    /// Second candidate.
    pub b: Value,
    /// Automatic checks of the first.
    pub checks_a: Vec<CheckResult>,
    /// Automatic checks of the second.
    pub checks_b: Vec<CheckResult>,
    /// Probability that the first wins, of a tie, that the second wins.
    pub outcome: [f64; 3],
    /// How much the pair counts.
    pub weight: f64,
}

/// All that a model is trained on.
#[derive(Debug, Default)]
pub struct Material {
    /// The pairs.
    pub rows: Vec<Pair>,
    /// Judgments behind the tasks, as dense indices.
    pub judgments: Vec<Judgment>,
    /// Tasks that the judgments name.
    pub n_judged_tasks: usize,
    /// Judgments that entered pairs.
    pub judgments_used: usize,
    /// Feedback that entered pairs.
    pub feedback_used: usize,
    /// Judgments by simulated raters.
    pub simulated_judgments: usize,
    /// Judgments by people.
    pub people_judgments: usize,
    /// Whose judgments or feedback entered pairs: accounts, and raters who have none. A simulated rater is one of them, as the card says.
    pub people: BTreeSet<String>,
    /// What was left out, by reason.
    pub left_out: BTreeMap<&'static str, usize>,
}

/// Reads the newest `most` pairs of a task type (and retailer), in pages: tasks in the order of their creation, then feedback.
///
/// # Errors
/// As any query.
pub async fn collect(storage: &Storage, input: &TrainingInput, most: usize) -> Result<Material, StorageError> {
    let filter =
        TrainingFilter { task_type: Some(input.task_type.clone()), retailer_id: input.retailer_id.clone(), ..TrainingFilter::default() };
    let mut material = Material::default();
    let (mut tasks, mut feedback) = (Newest::of(most), Newest::of(most));
    read_tasks(storage, &filter, &mut material, &mut tasks).await?;
    read_feedback(storage, &filter, &mut material, &mut feedback).await?;
    tasks.share(&mut feedback);
    let heard = read_judgments(storage, &filter, &mut material, &tasks).await?;
    read_people(storage, &mut material, heard).await?;
    for (reason, older) in [("pairs_of_older_tasks", tasks.older), ("pairs_of_older_feedback", feedback.older)] {
        if older > 0 {
            material.left_out.insert(reason, older);
        }
    }
    for task in tasks.into_sources() {
        material.judgments_used += task.judgments;
        material.rows.extend(task.pairs);
    }
    for piece in feedback.into_sources() {
        material.feedback_used += 1;
        material.people.extend(piece.person);
        material.rows.extend(piece.pairs);
    }
    Ok(material)
}

fn system() -> domain::scope::Scope {
    domain::scope::Scope::system("training")
}

async fn read_tasks(storage: &Storage, filter: &TrainingFilter, material: &mut Material, kept: &mut Newest) -> Result<(), StorageError> {
    let mut after = 0;
    loop {
        let filter = filter.clone();
        let tasks = storage.read(move |conn| judged::tasks(conn, &system(), &filter, after, PAGE)).await?;
        let Some(last) = tasks.last() else { return Ok(()) };
        after = last.id;
        for task in &tasks {
            match pairs_of_task(task) {
                pairs if pairs.is_empty() => material.leave_out("judged_without_a_preference_or_tie"),
                pairs => {
                    let judgments = usize::try_from(task.judgments_count).unwrap_or(0);
                    kept.add(Source { pairs, at: task.created_at.0, judgments, person: None });
                }
            }
        }
    }
}

/// Judgments, but for those of tasks that are too old to be trained on; the raters who said of a task with pairs more than that they are unsure.
async fn read_judgments(
    storage: &Storage,
    filter: &TrainingFilter,
    material: &mut Material,
    trained_on: &Newest,
) -> Result<BTreeSet<String>, StorageError> {
    let (mut tasks, mut raters, mut heard) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    let with_pairs = trained_on.ids();
    let mut after = 0;
    loop {
        let filter = filter.clone();
        let rows: Vec<JudgmentRow> = storage.read(move |conn| judged::judgments(conn, &system(), &filter, after, PAGE)).await?;
        let Some(last) = rows.last() else { break };
        after = last.id;
        for row in rows.into_iter().filter(|row| !trained_on.gone.contains(&row.task_id)) {
            if row.is_simulated {
                material.simulated_judgments += 1;
            } else {
                material.people_judgments += 1;
            }
            let Some(label) = row.choice.parse::<Choice>().ok().and_then(|choice| LABELS.iter().position(|label| *label == choice)) else {
                continue;
            };
            if LABELS[label] != Choice::Unsure && with_pairs.contains(&row.task_id) {
                heard.insert(row.rater_id.clone());
            }
            let task = index(&mut tasks, row.task_id);
            let rater = index(&mut raters, row.rater_id);
            material.judgments.push(Judgment { task, rater, label: u32::try_from(label).unwrap_or(0) });
        }
    }
    material.n_judged_tasks = tasks.len();
    Ok(heard)
}

/// Who judges and gives feedback from one account is one person, so raters are known by their accounts.
async fn read_people(storage: &Storage, material: &mut Material, raters: BTreeSet<String>) -> Result<(), StorageError> {
    let raters: Vec<String> = raters.into_iter().collect();
    for some in raters.chunks(RATERS_AT_ONCE) {
        let asked = some.to_vec();
        let known: HashMap<String, String> = storage.read(move |conn| accounts::of_raters(conn, &asked)).await?;
        material.people.extend(some.iter().map(|rater| known.get(rater).unwrap_or(rater).clone()));
    }
    Ok(())
}

fn index(known: &mut BTreeMap<String, u32>, id: String) -> u32 {
    let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
    *known.entry(id).or_insert(next)
}

/// Who says the same twice says it once, the last time: a person's word must not grow by repeating it, nor stay old.
async fn read_feedback(storage: &Storage, filter: &TrainingFilter, material: &mut Material, kept: &mut Newest) -> Result<(), StorageError> {
    let (mut after, mut said_before) = (0, HashMap::new());
    loop {
        let filter = filter.clone();
        let rows = storage.read(move |conn| said::feedback(conn, &system(), &filter, after, PAGE)).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.id;
        for row in &rows {
            match pair_of_feedback(row) {
                Some(pair) => {
                    let word = hash_key(&format!("{}\n{}\n{}\n{}", row.user_id, pair.prompt_key, pair.a, pair.b));
                    let source = Source { pairs: vec![pair], at: row.created_at.0, judgments: 0, person: Some(row.user_id.clone()) };
                    if let Some(earlier) = said_before.get(&word) {
                        kept.take_back(*earlier);
                        material.leave_out("feedback_said_before_by_the_same_person");
                    }
                    said_before.insert(word, kept.add(source));
                }
                None => material.leave_out("feedback_without_a_pair"),
            }
        }
    }
}

impl Material {
    fn leave_out(&mut self, reason: &'static str) {
        *self.left_out.entry(reason).or_default() += 1;
    }
}

/// The pairs of a judged task: a with b, and with a third candidate a with c and b with c. "Both bad" counts as a tie, "unsure" as
/// nothing.
pub(crate) fn pairs_of_task(task: &JudgedTask) -> Vec<Pair> {
    let share = |choice: Choice| task.posteriors.get(choice.as_ref()).and_then(Value::as_f64).filter(|p| p.is_finite() && *p >= 0.0);
    let tie = share(Choice::Tie).unwrap_or(0.0) + share(Choice::BothBad).unwrap_or(0.0);
    let candidates = [Some(&task.candidate_a), Some(&task.candidate_b), task.candidate_c.as_ref()];
    let checks: Vec<CheckResult> = serde_json::from_value(task.auto_checks.0.clone()).unwrap_or_default();
    let weight = f64::from(task.judgments_count.clamp(1, 5)) / 3.0 * task.posterior.unwrap_or(0.5).clamp(0.0, 1.0);
    let mut pairs = Vec::new();
    for (first, second) in [(0, 1), (0, 2), (1, 2)] {
        let (Some(a), Some(b)) = (candidates[first], candidates[second]) else { continue };
        let of = |place: usize| Choice::of_candidate(place).and_then(share).unwrap_or(0.0);
        let total = of(first) + tie + of(second);
        if total <= 1e-9 {
            continue;
        }
        let checks_of = |place: usize| checks.iter().filter(|check| check.candidate == place).cloned().collect();
        pairs.push(Pair {
            source: task.task_id.clone(),
            place: i32::try_from(first + second - 1).unwrap_or(0),
            prompt_key: hash_key(&format!("{}\n{}", task.prompt, task.context_snippets.0)),
            retailer: task.retailer_id.clone(),
            context: context_of(&task.context_snippets.0),
            a: a.0.clone(),
            b: b.0.clone(),
            checks_a: checks_of(first),
            checks_b: checks_of(second),
            outcome: [of(first) / total, tie / total, of(second) / total],
            weight,
        });
    }
    pairs
}

/// What scoring is asked with: the one snippet, or all fields of several objects together.
pub(crate) fn context_of(snippets: &Value) -> Value {
    match snippets.as_array().map(Vec::as_slice) {
        Some([one]) => one.clone(),
        Some(many) if many.iter().all(Value::is_object) => {
            many.iter().rev().filter_map(Value::as_object).flat_map(Clone::clone).collect::<serde_json::Map<_, _>>().into()
        }
        _ => snippets.clone(),
    }
}

fn pair_of_feedback(row: &Feedback) -> Option<Pair> {
    let (better, worse) = match row.feedback_type.as_str() {
        "preference" => (row.preferred_output.as_ref()?, row.rejected_output.as_ref()?),
        "correction" => (row.preferred_output.as_ref()?, &row.model_output),
        _ => return None,
    };
    Some(Pair {
        source: row.feedback_id.clone(),
        place: 0,
        prompt_key: hash_key(&row.prompt),
        retailer: None,
        context: parse(&row.prompt),
        a: parse(better),
        b: parse(worse),
        checks_a: Vec::new(),
        checks_b: Vec::new(),
        outcome: [1.0, 0.0, 0.0],
        weight: FEEDBACK_WEIGHT,
    })
}

/// A text that is JSON becomes a structured candidate, any other stays a text.
fn parse(text: &str) -> Value {
    match serde_json::from_str::<Value>(text) {
        Ok(value) if value.is_object() || value.is_array() => value,
        _ => Value::String(text.to_owned()),
    }
}
