//! The next task for several raters at once: for the common case of work, with a few statements for all of them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use storage::assignments::{self, Claim, Purpose, Wish};
use storage::connection::Connection;
use storage::error::StorageError;
use storage::qualifications::Qualification;
use storage::queue::Waiting;
use storage::raters::Rater;

use super::why::of_work;
use super::{Given, Next, Request, Rules, is_exempt, plan};
use crate::queue;

/// Leases the next task of each request where that is work from the queue which the rater has not had before. `None` for every other case
/// (a golden item or calibration is due, a lease is held, nothing is there, others were faster), which [`super::next`] has to answer; on a
/// database that gives work to one rater at a time that is all of them. Judgments of a day must not be bounded: they are counted under the
/// rater's lock. Call it outside of a transaction.
///
/// # Errors
/// [`StorageError::Raced`], after which nobody was given anything; or as any query.
pub fn next_of_several(
    conn: &mut Connection,
    requests: &[Request],
    rules: &Rules,
    now: DateTime<Utc>,
) -> Result<Vec<Option<Next>>, StorageError> {
    let mut answers: Vec<Option<Next>> = requests.iter().map(|_| None).collect();
    let ids: Vec<&str> = requests.iter().map(|request| request.rater_id.as_str()).collect();
    let mut versions = HashMap::new();
    let mut raters: HashMap<String, Rater> = HashMap::new();
    for (rater, version) in assignments::raters_who_ask(conn, &ids)? {
        versions.insert(rater.rater_id.clone(), version);
        raters.insert(rater.rater_id.clone(), rater);
    }
    let tests = tests(conn, requests, &raters)?;
    let wishes = wishes(requests, &raters, &tests, rules, now);
    if wishes.is_empty() {
        return Ok(answers);
    }
    let mut best = best_first(assignments::look_for(conn, &wishes)?, requests, &raters, rules, now);
    best.sort_by_key(|(place, _)| *place);
    let (places, claims): (Vec<&(usize, Vec<Waiting>)>, Vec<Claim>) = best
        .iter()
        .filter_map(|one| {
            let (place, found) = one;
            let rater_id = requests.get(*place)?.rater_id.clone();
            let version = versions.get(&rater_id)?.clone();
            Some((one, Claim { rater_id, version, task_ids: found.iter().map(|waiting| waiting.task_id.clone()).collect() }))
        })
        .unzip();
    if claims.is_empty() {
        return Ok(answers);
    }
    let given = assignments::claim(conn, &claims, rules.lease, now)?;
    for ((place, found), given) in places.into_iter().zip(given) {
        let (Some((assignment, task)), Some(request), Some(answer)) = (given, requests.get(*place), answers.get_mut(*place)) else {
            continue;
        };
        let Some(rater) = raters.get(&request.rater_id) else { continue };
        let leading = found.iter().find(|waiting| waiting.task_id == task.task_id).and_then(|waiting| waiting.leading_posterior);
        let why = of_work(&assignment, &task, leading, (rater, request), rules, now);
        *answer = Some(Next::Given(Box::new(Given { assignment, task, why })));
    }
    Ok(answers)
}

/// The tests of those who may not work without.
fn tests(
    conn: &mut Connection,
    requests: &[Request],
    raters: &HashMap<String, Rater>,
) -> Result<HashMap<String, Vec<Qualification>>, StorageError> {
    let is_tested = |request: &&Request| raters.get(&request.rater_id).is_some_and(|rater| !is_exempt(rater, request.role));
    let tested: Vec<&str> = requests.iter().filter(is_tested).map(|request| request.rater_id.as_str()).collect();
    let mut all: HashMap<String, Vec<Qualification>> = HashMap::new();
    for test in assignments::tests_of(conn, &tested)? {
        all.entry(test.rater_id.clone()).or_default().push(test);
    }
    // As one rater's are read: by task type.
    all.values_mut().for_each(|tests| tests.sort_by(|left, right| left.task_type.cmp(&right.task_type)));
    Ok(all)
}

/// What is looked for: of each active rater for whom work comes first, once for each task type.
fn wishes(
    requests: &[Request],
    raters: &HashMap<String, Rater>,
    tests: &HashMap<String, Vec<Qualification>>,
    rules: &Rules,
    now: DateTime<Utc>,
) -> Vec<Wish> {
    let none = Vec::new();
    let mut wishes = Vec::new();
    for (place, request) in requests.iter().enumerate() {
        let Some(rater) = raters.get(&request.rater_id).filter(|rater| rater.is_active) else { continue };
        let tests = if is_exempt(rater, request.role) { &none } else { tests.get(&request.rater_id).unwrap_or(&none) };
        let Ok(plan) = plan(rater, tests, request, rules, now) else { continue };
        let Some((Purpose::Work, task_types)) = plan.into_iter().next() else { continue };
        let wish = |task_type| Wish { place, rater_id: request.rater_id.clone(), task_type };
        match task_types.as_slice() {
            [] => wishes.push(wish(None)),
            some => wishes.extend(some.iter().map(|task_type| wish(Some(task_type.clone())))),
        }
    }
    wishes
}

/// What was found for each request, the highest score first (of equal ones the first in the queue). A rater who would be given a task
/// again that was given back or lost is left out: that lease is renewed with its draft and its order.
fn best_first(
    found: Vec<(usize, Waiting, bool)>,
    requests: &[Request],
    raters: &HashMap<String, Rater>,
    rules: &Rules,
    now: DateTime<Utc>,
) -> Vec<(usize, Vec<Waiting>)> {
    let mut by_place: HashMap<usize, Vec<(f64, Waiting, bool)>> = HashMap::new();
    for (place, waiting, was_held) in found {
        let Some(request) = requests.get(place) else { continue };
        let Some(rater) = raters.get(&request.rater_id) else { continue };
        let score = queue::score(&queue::parts(&(&waiting).into(), rater, &request.shares, &rules.weights, now));
        by_place.entry(place).or_default().push((score, waiting, was_held));
    }
    by_place.retain(|_, found| found.iter().all(|(_, _, was_held)| !was_held));
    let in_order = |mut found: Vec<(f64, Waiting, bool)>| {
        found.sort_by(|(left, ..), (right, ..)| right.total_cmp(left));
        found.into_iter().map(|(_, waiting, _)| waiting).collect()
    };
    by_place.into_iter().map(|(place, found)| (place, in_order(found))).collect()
}
