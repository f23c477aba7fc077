//! A simulated rater who does whatever a person may do, in an order drawn from a seed, checks every answer, and remembers what was promised.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::ledger::Acknowledged;

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// Why there is nothing: the `Endcap-Reason` header.
    pub reason: String,
    pub body: Value,
    /// Whether the request may have been carried out before: it was sent again after the service had died on it.
    pub repeated: bool,
}

impl Answer {
    fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("")
    }
}

/// The way to the service: in this process, or over the network.
pub trait Door {
    async fn send(&self, method: &str, path: &str, token: &str, body: Value) -> Answer;
}

/// A task in hand.
#[derive(Debug, Clone)]
struct Held {
    assignment_id: String,
    task: String,
    n_candidates: usize,
}

/// A judgment that the service said it has.
#[derive(Debug, Clone)]
struct Given {
    judgment_id: String,
    held: Held,
    body: Value,
}

/// One rater with all that it knows.
pub struct Actor {
    pub rater_id: String,
    token: String,
    pub rng: StdRng,
    held: Option<Held>,
    /// Left without a word; may be answered late.
    left: Vec<Held>,
    given: BTreeMap<String, Given>,
    /// What the service must still know of an assignment.
    drafts: BTreeMap<String, Value>,
    /// Tasks that must not come again.
    done: BTreeSet<String>,
    /// What it did, newest last: shown when something is wrong.
    diary: Vec<String>,
}

impl Actor {
    pub fn new(rater_id: String, token: String, seed: u64) -> Self {
        Self {
            rater_id,
            token,
            rng: StdRng::seed_from_u64(seed),
            held: None,
            left: Vec::new(),
            given: BTreeMap::new(),
            drafts: BTreeMap::new(),
            done: BTreeSet::new(),
            diary: Vec::new(),
        }
    }

    /// Judgments that the service must have.
    pub fn acknowledged(&self) -> Vec<Acknowledged> {
        let promise = |given: &Given| Acknowledged {
            judgment_id: given.judgment_id.clone(),
            assignment_id: given.held.assignment_id.clone(),
            rater_id: self.rater_id.clone(),
            choice: given.body["choice"].as_str().unwrap().to_owned(),
        };
        self.given.values().map(promise).collect()
    }

    /// How many judgments the service has acknowledged.
    pub fn count(&self) -> usize {
        self.given.len()
    }

    /// Does one thing.
    pub async fn step(&mut self, door: &impl Door) {
        let chance: u32 = self.rng.random_range(0..100);
        match self.held.clone() {
            None => match chance {
                0..75 => drop(self.next(door).await),
                75..83 => self.repeat(door).await,
                83..92 => self.answer_late(door).await,
                _ => self.take_back(door).await,
            },
            Some(held) => match chance {
                0..45 => self.submit(door, &held).await,
                45..55 => self.submit_twice(door, &held).await,
                55..63 => self.heartbeat(door, &held).await,
                63..73 => self.save_draft(door, &held).await,
                73..80 => self.release(door, held).await,
                80..83 => self.skip(door, held).await,
                83..95 => self.leave(),
                _ => drop(self.next(door).await),
            },
        }
    }

    /// Asks for a task and answers it; whether there was one.
    pub async fn work(&mut self, door: &impl Door) -> bool {
        if self.held.is_none() && !self.next(door).await {
            return false;
        }
        if let Some(held) = self.held.clone() {
            self.submit(door, &held).await;
        }
        true
    }

    /// Walks away from the task in hand.
    pub fn leave(&mut self) {
        self.left.extend(self.held.take());
    }

    /// Asks for a task; whether there was one.
    pub async fn next(&mut self, door: &impl Door) -> bool {
        let answer = self.ask(door, "POST", "/v1/assignments/next".to_owned(), json!({})).await;
        match answer.status {
            200 => self.take(&answer.body),
            204 => self.held = None,
            503 => {}
            _ => self.fail("next", &answer),
        }
        answer.status == 200
    }

    fn take(&mut self, body: &Value) {
        let held = held(body);
        assert!(!self.done.contains(&held.task), "{} came twice: {}", held.task, self.story());
        if let Some(draft) = self.drafts.get(&held.assignment_id) {
            let same = ["choice", "confidence"].iter().all(|key| draft[key] == body["draft"][key]);
            assert!(same, "the draft {draft} became {}: {}", body["draft"], self.story());
        }
        self.left.retain(|left| left.assignment_id != held.assignment_id);
        // A task in hand whose lease ended while another came.
        if self.held.as_ref().is_some_and(|before| before.assignment_id != held.assignment_id) {
            self.leave();
        }
        self.held = Some(held);
    }

    async fn submit(&mut self, door: &impl Door, held: &Held) {
        let body = self.judgment(held.n_candidates);
        let answer = self.ask(door, "POST", judgment_path(held), body.clone()).await;
        self.note_submitted(held, &body, &answer, answer.repeated);
    }

    /// The same answer twice at once, as by a double click.
    async fn submit_twice(&mut self, door: &impl Door, held: &Held) {
        let body = self.judgment(held.n_candidates);
        let path = judgment_path(held);
        let send = || door.send("POST", &path, &self.token, body.clone());
        let (first, second) = join(send(), send()).await;
        self.diary.push(format!("twice {path}: {} {}", first.status, second.status));
        let made = [&first, &second].iter().filter(|answer| answer.status == 201).count();
        assert!(made <= 1, "recorded twice: {}", self.story());
        // Refused first: a refusal after the judgment is one of a judgment that exists.
        let mut both = [first, second];
        both.sort_by_key(|answer| (answer.status < 300, answer.status == 200));
        for answer in both {
            self.note_submitted(held, &body, &answer, true);
        }
    }

    fn note_submitted(&mut self, held: &Held, body: &Value, answer: &Answer, may_exist: bool) {
        let id = &held.assignment_id;
        match (answer.status, answer.code()) {
            (200 | 201, _) => {
                let judgment_id = answer.body["judgment_id"].as_str().unwrap().to_owned();
                assert_eq!(answer.body["choice"], body["choice"], "{}", self.story());
                let before = self.given.get(id);
                let is_same = before.is_some_and(|given| given.judgment_id == judgment_id);
                let is_right = if answer.status == 201 { before.is_none() } else { is_same || (may_exist && before.is_none()) };
                assert!(is_right, "answered {} {judgment_id}, known {before:?}: {}", answer.status, self.story());
                self.given.insert(id.clone(), Given { judgment_id, held: held.clone(), body: body.clone() });
                self.done.insert(held.task.clone());
                self.drafts.remove(id);
                self.left.retain(|left| left.assignment_id != *id);
                self.held.take_if(|held| held.assignment_id == *id);
            }
            (409, "lease_expired") => {
                // Passed over is passed over: nothing is kept.
                if !self.done.contains(&held.task) {
                    self.drafts.insert(id.clone(), body.clone());
                    self.leave();
                }
            }
            (503, _) => {}
            _ => self.fail("submit", answer),
        }
    }

    /// Sends an old answer again, or another one in its place.
    async fn repeat(&mut self, door: &impl Door) {
        let Some(given) = self.any_given() else { return };
        let answer = self.ask(door, "POST", judgment_path(&given.held), given.body.clone()).await;
        if answer.status != 503 {
            assert_eq!((answer.status, &answer.body["judgment_id"]), (200, &json!(given.judgment_id)), "{}", self.story());
        }
        let mut other = given.body.clone();
        other["confidence"] = json!(0.123);
        let answer = self.ask(door, "POST", judgment_path(&given.held), other).await;
        if answer.status != 503 {
            assert_eq!((answer.status, answer.code()), (409, "judgment_exists"), "{}", self.story());
        }
    }

    /// Answers a task that was left: accepted if its slot is free, else refused with the answer kept.
    async fn answer_late(&mut self, door: &impl Door) {
        if self.left.is_empty() {
            return;
        }
        let at = self.rng.random_range(0..self.left.len());
        let held = self.left[at].clone();
        self.submit(door, &held).await;
    }

    async fn take_back(&mut self, door: &impl Door) {
        let Some(given) = self.any_given() else { return };
        let answer = self.ask(door, "POST", format!("/v1/judgments/{}/undo", given.judgment_id), json!({})).await;
        match (answer.status, answer.code()) {
            (200, _) => self.note_taken_back(&given, held(&answer.body)),
            (404, _) if answer.repeated => self.note_taken_back(&given, given.held.clone()),
            (409, "undo_expired") | (503, _) => {}
            _ => self.fail("undo", &answer),
        }
    }

    fn note_taken_back(&mut self, given: &Given, held: Held) {
        self.given.remove(&given.held.assignment_id);
        self.done.remove(&given.held.task);
        self.drafts.insert(given.held.assignment_id.clone(), given.body.clone());
        self.leave();
        self.held = Some(held);
    }

    async fn heartbeat(&mut self, door: &impl Door, held: &Held) {
        let answer = self.ask(door, "POST", format!("/v1/assignments/{}/heartbeat", held.assignment_id), json!({})).await;
        match (answer.status, answer.code()) {
            (200 | 503, _) => {}
            (409, "lease_expired") => self.leave(),
            _ => self.fail("heartbeat", &answer),
        }
    }

    async fn save_draft(&mut self, door: &impl Door, held: &Held) {
        let draft = json!({"choice": "tie", "confidence": self.confidence()});
        let answer = self.ask(door, "PUT", format!("/v1/assignments/{}/draft", held.assignment_id), draft.clone()).await;
        match answer.status {
            200 => drop(self.drafts.insert(held.assignment_id.clone(), draft)),
            503 => {}
            _ => self.fail("draft", &answer),
        }
    }

    async fn release(&mut self, door: &impl Door, held: Held) {
        let answer = self.ask(door, "POST", format!("/v1/assignments/{}/release", held.assignment_id), json!({})).await;
        match answer.status {
            200 => self.leave(),
            503 => {}
            _ => self.fail("release", &answer),
        }
    }

    async fn skip(&mut self, door: &impl Door, held: Held) {
        let path = format!("/v1/assignments/{}/skip", held.assignment_id);
        let answer = self.ask(door, "POST", path, json!({"reason": "not my field"})).await;
        match (answer.status, answer.code()) {
            (200, _) => {
                self.held = None;
                self.drafts.remove(&held.assignment_id);
                self.done.insert(held.task);
            }
            // It was passed over before the service died, or the lease had ended: it is not known which.
            (409, "lease_expired") if answer.repeated => {
                self.held = None;
                self.drafts.remove(&held.assignment_id);
            }
            (409, "lease_expired") => self.leave(),
            (503, _) => {}
            _ => self.fail("skip", &answer),
        }
    }

    async fn ask(&mut self, door: &impl Door, method: &str, path: String, body: Value) -> Answer {
        let answer = door.send(method, &path, &self.token, body).await;
        let again = if answer.repeated { " (again)" } else { "" };
        self.diary.push(format!("{method} {path}: {} {}{again}", answer.status, answer.code()));
        answer
    }

    fn any_given(&mut self) -> Option<Given> {
        if self.given.is_empty() {
            return None;
        }
        let at = self.rng.random_range(0..self.given.len());
        self.given.values().nth(at).cloned()
    }

    fn judgment(&mut self, n_candidates: usize) -> Value {
        const CHOICES: [&str; 6] = ["tie", "both_bad", "unsure", "candidate_a", "candidate_b", "candidate_c"];
        let choice = CHOICES[self.rng.random_range(0..3 + n_candidates)];
        let mut body = json!({"choice": choice, "confidence": self.confidence()});
        if self.rng.random_bool(0.02) {
            body["escalate"] = json!(true);
            body["escalation_reason"] = json!("the prompt contradicts itself");
        }
        body
    }

    fn confidence(&mut self) -> f64 {
        f64::from(self.rng.random_range(0..=100_u32)) / 100.0
    }

    fn fail(&self, what: &str, answer: &Answer) -> ! {
        panic!("{what} answered {} {}: {}", answer.status, answer.body, self.story())
    }

    /// The last things it did.
    fn story(&self) -> String {
        let newest = self.diary.iter().rev().take(15).rev().cloned().collect::<Vec<_>>();
        format!("{} did\n  {}", self.rater_id, newest.join("\n  "))
    }
}

fn judgment_path(held: &Held) -> String {
    format!("/v1/assignments/{}/judgment", held.assignment_id)
}

/// The task in an answer. Tasks of these tests have their id as title; raters learn of no other.
fn held(body: &Value) -> Held {
    Held {
        assignment_id: body["assignment_id"].as_str().unwrap().to_owned(),
        task: body["task"]["title"].as_str().unwrap().to_owned(),
        n_candidates: usize::try_from(body["task"]["candidate_count"].as_u64().unwrap()).unwrap(),
    }
}
