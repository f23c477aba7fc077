//! One thing after the other, predicted: a model of slots, leases and drafts says what every answer must be. Which task comes next is the
//! queue's affair; that it may come, and that nothing comes only when nothing may, is checked.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::role::Role;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use testkit::database;

use crate::actor::{Answer, Door};
use crate::house::{House, Person};
use crate::ledger::{self, Acknowledged};
use crate::together::named;

const RATERS: usize = 5;
const TASKS: usize = 6;
const STEPS: usize = 220;
const LEASE: TimeDelta = TimeDelta::seconds(60);
const UNDO: TimeDelta = TimeDelta::seconds(45);

/// What became of an assignment.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Leased { until: DateTime<Utc> },
    Released,
    Skipped,
    Submitted { at: DateTime<Utc> },
}

/// One rater's assignment of one task.
#[derive(Debug, Clone)]
struct Own {
    assignment_id: String,
    state: State,
    draft: Value,
    judgment_id: String,
    n_candidates: usize,
}

/// What a rater does.
#[derive(Debug, Clone, Copy)]
enum Act {
    Heartbeat,
    Draft,
    Submit,
    Release,
    Skip,
    Undo,
    AsAnother,
}

struct World<'a, D> {
    door: &'a D,
    house: &'a House,
    people: Vec<Person>,
    /// Judgments that each task asks for.
    required: BTreeMap<String, usize>,
    own: BTreeMap<(usize, String), Own>,
    rng: StdRng,
    diary: Vec<String>,
}

impl<D: Door> World<'_, D> {
    fn is_open(&self, own: &Own) -> bool {
        matches!(own.state, State::Leased { until } if until > self.house.now())
    }

    fn count(&self, task: &str) -> usize {
        self.own.iter().filter(|((_, of), own)| of == task && matches!(own.state, State::Submitted { .. })).count()
    }

    /// Whether the rater could have a slot of the task.
    fn is_free(&self, rater: usize, task: &str) -> bool {
        let held = self.own.iter().filter(|((by, of), own)| *by != rater && of == task && self.is_open(own)).count();
        self.count(task) + held < self.required[task]
    }

    fn is_done(&self, rater: usize, task: &str) -> bool {
        let own = self.own.get(&(rater, task.to_owned()));
        own.is_some_and(|own| matches!(own.state, State::Submitted { .. } | State::Skipped))
    }

    fn open_of(&self, rater: usize) -> Option<&str> {
        self.own.iter().find(|((by, _), own)| *by == rater && self.is_open(own)).map(|((_, task), _)| task.as_str())
    }

    async fn ask(&mut self, rater: usize, method: &str, path: &str, body: Value) -> Answer {
        let answer = self.door.send(method, path, &self.people[rater].token, body.clone()).await;
        let at = self.house.now().format("%H:%M:%S");
        self.diary.push(format!("{at} rater {rater} {method} {path} {body}: {} {}{}", answer.status, answer.reason, answer.body["code"]));
        answer
    }

    fn check(&self, what: &str, answer: &Answer, status: u16, code: &str) {
        let code_given = answer.body["code"].as_str().unwrap_or("");
        assert!(
            answer.status == status && code_given == code,
            "{what} should answer {status} {code}, and answered {} {}\n{}",
            answer.status,
            answer.body,
            self.diary.iter().rev().take(40).rev().cloned().collect::<Vec<_>>().join("\n")
        );
    }

    async fn step(&mut self) {
        let rater = self.rng.random_range(0..self.people.len());
        let assigned: Vec<String> = self.own.keys().filter(|(by, _)| *by == rater).map(|(_, task)| task.clone()).collect();
        match self.rng.random_range(0..100_u32) {
            0..20 => self.house.hand.advance(TimeDelta::seconds(self.rng.random_range(1..=50))),
            20..50 => self.next(rater).await,
            _ if assigned.is_empty() => self.next(rater).await,
            chance => {
                let acts = [Act::Heartbeat, Act::Draft, Act::Release, Act::Skip, Act::Undo, Act::AsAnother];
                let act = if chance < 75 { Act::Submit } else { acts[self.rng.random_range(0..acts.len())] };
                // Mostly the task in hand, else any that was ever given.
                let any = assigned[self.rng.random_range(0..assigned.len())].clone();
                let task = self.open_of(rater).filter(|_| chance % 3 > 0).map_or(any, str::to_owned);
                self.act(rater, task, act).await;
            }
        }
    }

    async fn next(&mut self, rater: usize) {
        let may: Vec<String> =
            self.required.keys().filter(|task| !self.is_done(rater, task) && self.is_free(rater, task)).cloned().collect();
        let is_open = |task: &String| self.count(task) < self.required[task];
        let open: Vec<&String> = self.required.keys().filter(|task| is_open(task)).collect();
        let reason = if open.is_empty() {
            "no_tasks"
        } else if open.iter().all(|task| self.is_done(rater, task)) {
            "all_done_by_you"
        } else {
            "all_held"
        };
        let held = self.open_of(rater).map(str::to_owned);
        let answer = self.ask(rater, "POST", "/v1/assignments/next", json!({})).await;
        if held.is_none() && may.is_empty() {
            self.check("next", &answer, 204, "");
            assert_eq!(answer.reason, reason, "{:?}", self.diary);
            return;
        }
        self.check("next", &answer, 200, "");
        let (task, until) = (answer.body["task"]["title"].as_str().unwrap().to_owned(), self.house.now() + LEASE);
        match held {
            Some(held) => assert_eq!(task, held, "whoever holds a task gets that one: {:?}", self.diary),
            None => assert!(may.contains(&task), "{task} is not to be had, {may:?} are: {:?}", self.diary),
        }
        assert_eq!(answer.body["lease_expires_at"].as_str().unwrap().parse(), Ok(until));
        let own = Own {
            assignment_id: answer.body["assignment_id"].as_str().unwrap().to_owned(),
            state: State::Leased { until },
            draft: Value::Null,
            judgment_id: String::new(),
            n_candidates: usize::try_from(answer.body["task"]["candidate_count"].as_u64().unwrap()).unwrap(),
        };
        let own = self.own.entry((rater, task)).and_modify(|own| own.state = State::Leased { until }).or_insert(own);
        assert_eq!(answer.body["assignment_id"], own.assignment_id, "a task comes back under its old assignment");
        for key in ["choice", "confidence"] {
            assert_eq!(answer.body["draft"][key], own.draft[key], "drafts stay");
        }
    }

    async fn act(&mut self, rater: usize, task: String, act: Act) {
        let own = self.own[&(rater, task.clone())].clone();
        let (is_open, now) = (self.is_open(&own), self.house.now());
        let path = format!("/v1/assignments/{}", own.assignment_id);
        let judged = matches!(own.state, State::Submitted { .. });
        let mut after = own.clone();
        match act {
            Act::Heartbeat => {
                let answer = self.ask(rater, "POST", &format!("{path}/heartbeat"), json!({})).await;
                self.check_held("heartbeat", &answer, is_open);
                if is_open {
                    after.state = State::Leased { until: now + LEASE };
                }
            }
            Act::Draft => {
                let draft = json!({"choice": "unsure", "confidence": f64::from(self.rng.random_range(0..100_u32)) / 100.0});
                let answer = self.ask(rater, "PUT", &format!("{path}/draft"), draft.clone()).await;
                if judged {
                    self.check("draft", &answer, 409, "judgment_exists");
                } else {
                    self.check("draft", &answer, 200, "");
                    after.draft = draft;
                }
            }
            Act::Release => {
                let answer = self.ask(rater, "POST", &format!("{path}/release"), json!({})).await;
                if judged {
                    self.check("release", &answer, 409, "judgment_exists");
                } else {
                    self.check("release", &answer, 200, "");
                    if own.state != State::Skipped {
                        after.state = State::Released;
                    }
                }
            }
            Act::Skip => {
                let answer = self.ask(rater, "POST", &format!("{path}/skip"), json!({"reason": "not my field"})).await;
                self.check_held("skip", &answer, is_open);
                if is_open {
                    after.state = State::Skipped;
                }
            }
            Act::Submit => after = self.submit(rater, &task, own).await,
            Act::Undo => after = self.undo(rater, own).await,
            Act::AsAnother => {
                let answer = self.ask((rater + 1) % RATERS, "POST", &format!("{path}/heartbeat"), json!({})).await;
                self.check("another's heartbeat", &answer, 404, "not_found");
            }
        }
        self.own.insert((rater, task), after);
    }

    fn check_held(&self, what: &str, answer: &Answer, is_open: bool) {
        if is_open { self.check(what, answer, 200, "") } else { self.check(what, answer, 409, "lease_expired") }
    }

    async fn submit(&mut self, rater: usize, task: &str, own: Own) -> Own {
        const CHOICES: [&str; 6] = ["tie", "both_bad", "unsure", "candidate_a", "candidate_b", "candidate_c"];
        let choice = CHOICES[self.rng.random_range(0..3 + own.n_candidates)];
        let mut body = json!({"choice": choice, "confidence": f64::from(self.rng.random_range(0..100_u32)) / 100.0});
        let is_repeat = self.rng.random_bool(0.5) && matches!(own.state, State::Submitted { .. });
        if is_repeat {
            body = own.draft.clone();
        }
        let accepted = match own.state {
            State::Submitted { .. } | State::Skipped => false,
            State::Leased { .. } if self.is_open(&own) => true,
            State::Leased { .. } | State::Released => self.is_free(rater, task),
        };
        let answer = self.ask(rater, "POST", &format!("/v1/assignments/{}/judgment", own.assignment_id), body.clone()).await;
        match own.state {
            State::Submitted { .. } if body == own.draft => {
                self.check("the same again", &answer, 200, "");
                assert_eq!(answer.body["judgment_id"], own.judgment_id);
                own
            }
            State::Submitted { .. } => {
                self.check("another answer", &answer, 409, "judgment_exists");
                own
            }
            State::Skipped => {
                self.check("judging what was passed over", &answer, 409, "lease_expired");
                own
            }
            _ if accepted => {
                self.check("a judgment whose slot is free", &answer, 201, "");
                let judgment_id = answer.body["judgment_id"].as_str().unwrap().to_owned();
                // The answer stays in the model as the draft that taking it back leaves.
                Own { state: State::Submitted { at: self.house.now() }, draft: body, judgment_id, ..own }
            }
            _ => {
                self.check("a judgment whose slot is taken", &answer, 409, "lease_expired");
                Own { draft: body, ..own }
            }
        }
    }

    async fn undo(&mut self, rater: usize, own: Own) -> Own {
        // Taking back while another task is in hand would put two there.
        if own.judgment_id.is_empty() || self.open_of(rater).is_some() {
            return own;
        }
        let answer = self.ask(rater, "POST", &format!("/v1/judgments/{}/undo", own.judgment_id), json!({})).await;
        let now = self.house.now();
        match own.state {
            State::Submitted { at } if now - at <= UNDO => {
                self.check("taking back in time", &answer, 200, "");
                Own { state: State::Leased { until: now + LEASE }, ..own }
            }
            State::Submitted { .. } => {
                self.check("taking back too late", &answer, 409, "undo_expired");
                own
            }
            _ => {
                self.check("taking back twice", &answer, 404, "not_found");
                own
            }
        }
    }

    fn acknowledged(&self) -> Vec<Acknowledged> {
        let judged = self.own.iter().filter(|(_, own)| matches!(own.state, State::Submitted { .. }));
        let promise = judged.map(|((rater, _), own)| Acknowledged {
            judgment_id: own.judgment_id.clone(),
            assignment_id: own.assignment_id.clone(),
            rater_id: self.people[*rater].rater_id.clone(),
            choice: own.draft["choice"].as_str().unwrap().to_owned(),
        });
        promise.collect()
    }
}

async fn every_answer_is_as_predicted(kind: &str) {
    let mut judged = 0;
    for seed in crate::seeds(&[1, 2, 3]) {
        let Some(db) = database::of_kind(kind) else { return };
        println!("{kind}: RACE_SEED={seed}");
        let (lease, undo) = (LEASE.num_seconds().to_string(), UNDO.num_seconds().to_string());
        let variables = [
            ("ENDCAP_LEASE_SECONDS", lease.as_str()),
            ("ENDCAP_UNDO_SECONDS", &undo),
            ("ENDCAP_GOLDEN_RATE", "0"),
            // Else a task that many pass over waits for an expert.
            ("ENDCAP_MAX_SKIPS_PER_TASK", "100"),
            ("ENDCAP_INTEGRITY_ACTIONS", "by_hand"),
        ];
        let house = House::on(db, "2096-01-15T12:00:00Z", &variables);
        let app = app!(house);
        let door = inside!(app);
        let mut rng = StdRng::seed_from_u64(seed);
        let tasks: Vec<Value> = (0..TASKS).map(|n| named(&format!("task-{n}"), &mut rng)).collect();
        assert_eq!(door.send("POST", "/v1/tasks", &house.admin().token, json!(tasks)).await.status, 201);
        let required = |task: &Value| (task["task_id"].as_str().unwrap().to_owned(), task["required_judgments"].as_u64().unwrap() as usize);
        let mut people = Vec::new();
        for n in 0..RATERS {
            people.push(house.person(&format!("rater {n}"), Role::Rater, true).await);
        }
        let (own, diary) = (BTreeMap::new(), Vec::new());
        let mut world = World { door: &door, house: &house, people, required: tasks.iter().map(required).collect(), own, rng, diary };
        for _ in 0..STEPS {
            world.step().await;
        }
        let promised = world.acknowledged();
        let mut conn = house.db.connect();
        let mut breaches = ledger::slots(&mut conn, || house.now());
        breaches.extend(ledger::promises(&mut conn, &promised, true));
        breaches.extend(ledger::books(&mut conn));
        assert!(breaches.is_empty(), "{kind}, RACE_SEED={seed}:\n{}", breaches.join("\n"));
        judged += promised.len();
    }
    assert!(judged > 10, "{judged} judgments show nothing");
}

#[actix_web::test]
async fn every_answer_is_as_predicted_on_sqlite() {
    every_answer_is_as_predicted("sqlite").await;
}

#[actix_web::test]
async fn every_answer_is_as_predicted_on_postgres() {
    every_answer_is_as_predicted("postgres").await;
}

#[actix_web::test]
async fn every_answer_is_as_predicted_on_mariadb() {
    every_answer_is_as_predicted("mysql").await;
}
