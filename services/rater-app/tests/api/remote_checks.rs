//! Checks by an Edge Function: its findings when it answers, those of the process whenever it does not, and the function itself beside the process.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use domain::checks;
use domain::task::TaskType;
use peers::tasks::{EDGE_FUNCTION, IN_PROCESS};
use serde_json::{Value, json};
use testkit::supabase::{Fault, Part, Project, SERVICE_KEY};

use crate::house::{House, plan_task, post};

fn house(hosted: &str) -> House {
    House::new(&[
        ("SUPABASE_URL", hosted),
        ("SUPABASE_KEY", "sb_publishable_x"),
        ("SUPABASE_SERVICE_KEY", SERVICE_KEY),
        ("ENDCAP_CHECKS_FUNCTION", "auto-checks"),
    ])
}

fn tag_task(task_id: &str) -> Value {
    json!({"task_id": task_id, "task_type": "tagging_normalization", "title": "Tag", "prompt": "Which tag for \"Frozen Ice\"?",
        "context_snippets": [{"kind": "taxonomy", "tags": ["frozen_ice"], "variants": {"frozen ice": "frozen_ice"}}],
        "candidate_a": {"tag": "frozen_ice"}, "candidate_b": {"tag": "Frozen Ice"}})
}

/// What the program finds about a task, in the function's shape.
fn found(task: &Value) -> Value {
    let task_type: TaskType = serde_json::from_value(task["task_type"].clone()).unwrap();
    let candidates: Vec<&Value> = task["candidates"].as_array().unwrap().iter().collect();
    let context: Vec<Value> = task["context_snippets"].as_array().unwrap().clone();
    let findings = checks::run(task_type, &context, task["prompt"].as_str().unwrap(), &candidates);
    let view = |one: &checks::Finding| json!({"check": one.check, "candidate": one.candidate, "passed": one.passed, "message": one.message, "place": one.place});
    findings.iter().map(view).collect()
}

fn whole(body: &Value) -> Value {
    json!({"version": checks::VERSION, "findings": body["tasks"].as_array().unwrap().iter().map(found).collect::<Vec<_>>()})
}

fn checked_by(reply: &Value) -> Vec<String> {
    reply["auto_checks"].as_array().unwrap().iter().map(|one| one["checked_by"].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn the_function_checks_and_the_process_whenever_it_does_not() {
    let hosted = Project::start();
    let house = house(&hosted.url);
    let app = app!(house);
    let admin = house.admin();
    hosted.deploy("auto-checks", |body| (200, whole(body)));
    let good = ask!(app, post("/v1/tasks", &admin, tag_task("t1"))).body;
    assert!(!checked_by(&good).is_empty() && checked_by(&good).iter().all(|by| by == EDGE_FUNCTION), "{good}");
    let other = ask!(app, post("/v1/tasks", &admin, plan_task("t2", 1))).body;
    assert!(checked_by(&other).iter().all(|by| by == IN_PROCESS), "the function does not know plans: {other}");
    let without = |list: &Value| {
        let mut list = list["auto_checks"].clone();
        list.as_array_mut().unwrap().iter_mut().for_each(|one| drop(one.as_object_mut().unwrap().remove("checked_by")));
        list
    };
    type Wrong = fn(&Value) -> (u16, Value);
    let wrong: [Wrong; 6] = [
        |_| (500, json!({"error": "boom"})),
        |_| (200, json!({"findings": []})),
        |body| (200, json!({"version": checks::VERSION - 1, "findings": whole(body)["findings"]})),
        |_| (200, json!({"version": checks::VERSION, "findings": []})),
        |_| (200, json!({"version": checks::VERSION, "findings": [[]]})),
        |_| {
            (200, json!({"version": checks::VERSION, "findings": [[{"check": "made_up", "candidate": 0, "passed": true, "message": "x"}]]}))
        },
    ];
    for (n, wrong) in wrong.into_iter().enumerate() {
        hosted.deploy("auto-checks", wrong);
        // Each by a process that has had no failures.
        let fresh = self::house(&hosted.url);
        let app = app!(fresh);
        let reply = ask!(app, post("/v1/tasks", &fresh.admin(), tag_task("t1"))).body;
        assert!(checked_by(&reply).iter().all(|by| by == IN_PROCESS), "{n}: {reply}");
        assert_eq!(without(&reply), without(&good), "{n}: the findings are the same");
    }
    for fault in [Fault::Drop, Fault::Status(503), Fault::Malformed, Fault::ExpiredKey, Fault::Slow(Duration::from_secs(30))] {
        hosted.break_down(Part::Functions, fault);
        let fresh = self::house(&hosted.url);
        let app = app!(fresh);
        let begun = Instant::now();
        let reply = ask!(app, post("/v1/tasks", &fresh.admin(), json!([tag_task("t1"), tag_task("t2")]))).body;
        assert_eq!(reply["created"], 2, "{fault:?}: {reply}");
        assert!(checked_by(&reply["data"][0]).iter().all(|by| by == IN_PROCESS), "{fault:?}: {reply}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{fault:?}: nobody waits for it");
    }
}

#[actix_web::test]
async fn a_function_that_fails_is_left_alone() {
    let hosted = Project::start();
    let house = house(&hosted.url);
    let app = app!(house);
    hosted.deploy("auto-checks", |_| (500, json!({})));
    for n in 0..10 {
        ask!(app, post("/v1/tasks", &house.admin(), tag_task(&format!("t{n}"))));
    }
    let calls = hosted.held().requests.iter().filter(|request| request.path.contains("/functions/v1/")).count();
    assert_eq!(calls, 3);
}

/// The function of deploy/supabase as it is deployed, served by Node; ends when dropped.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    fn start() -> Self {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");
        let mut child = Command::new("node")
            .arg("edge_function.mjs")
            .current_dir(folder)
            .env("ENDCAP_CHECKS_KEY", SERVICE_KEY)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is installed, and `npm ci` was run in tests/browser");
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { child, url: format!("http://127.0.0.1:{}", port.trim()) }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Tags, prompts and taxonomies of every turn that the rules take.
fn cases() -> Vec<Value> {
    let long = "a".repeat(101);
    let huge = "a".repeat(70_000);
    let tags = [
        "frozen_ice",
        "Frozen_Ice",
        "frozen ice",
        "",
        "_a",
        "a_",
        "a__b",
        "2_percent",
        "22",
        "größe",
        "frоzen",
        "a\u{200b}b",
        "tag\n",
        "e\u{301}",
        "日本",
        "a'b",
        "a\"b",
        "a\\b",
        "\u{1f600}",
        "a-b",
        &long,
        &huge,
        "ǅ",
        "ª",
        "٣",
    ];
    let contexts = [
        json!([]),
        json!([{"kind": "taxonomy"}]),
        json!([{"kind": "taxonomy", "tags": ["frozen_ice", "a_b", 5]}]),
        json!([{"kind": "other"}, {"kind": "taxonomy", "tags": ["x"], "variants": {"frozen ice": "frozen_ice", "frozen  Ice!": "a_b", "ice": "2_percent", "no": 4}}]),
        json!([{"kind": "taxonomy", "variants": {"1,200.50 g": "a_b", "免费": "frozen_ice", "50% off": "22", "straße": "a"}, "noisy_tag": "1,200.50 G"}]),
        json!([{"kind": "taxonomy", "variants": {"a": "b"}, "big": huge.repeat(3)}]),
        json!(["no object", null, {"kind": "taxonomy", "variants": ["a"], "noisy_tag": 5}]),
    ];
    let prompts = [
        "Which tag?",
        "Which tag for \"Frozen Ice\"?",
        "What of “frozen ice” and `ice`?",
        "ICE, frozen ice or 全场免费送?",
        "50 % OFF the STRASSE straße",
    ];
    let mut cases = Vec::new();
    for (n, context) in contexts.iter().enumerate() {
        for (m, prompt) in prompts.iter().enumerate() {
            for (at, tag) in tags.iter().enumerate() {
                let other = [json!({"tag": 5}), json!("text"), json!({"tag": tag, "more": [1, [2, {"x": null}]]}), json!({})]
                    [(n + m + at) % 4]
                    .clone();
                let candidates = json!([{"tag": tag}, other, {"a/b~c": vec![0; if at == 0 { 6_000 } else { 1 }], "tag": "x"}]);
                cases.push(
                    json!({"task_type": "tagging_normalization", "context_snippets": context, "prompt": prompt, "candidates": candidates}),
                );
            }
        }
    }
    cases
}

#[actix_web::test]
async fn the_deployed_function_finds_what_the_process_finds() {
    let served = Served::start();
    let project = supabase::project::Project::for_service(&served.url, SERVICE_KEY.into()).unwrap();
    let cases = cases();
    let mut compared = 0;
    for some in cases.chunks(50) {
        let answer = project.call_function("auto-checks", &json!({"tasks": some}), Duration::from_secs(60)).await.unwrap();
        assert_eq!(answer["version"], checks::VERSION);
        for (task, findings) in some.iter().zip(answer["findings"].as_array().unwrap()) {
            let expected = found(task);
            assert_eq!(*findings, expected, "{}", task.to_string().chars().take(600).collect::<String>());
            compared += expected.as_array().unwrap().len();
        }
    }
    assert!(compared > 5_000, "{compared} findings");
    let stranger = supabase::project::Project::for_service(&served.url, "sb_secret_other".into()).unwrap();
    let refused = stranger.call_function("auto-checks", &json!({"tasks": []}), Duration::from_secs(60)).await.unwrap_err().to_string();
    assert!(refused.contains("401"), "{refused}");
    let unknown = project
        .call_function("auto-checks", &json!({"tasks": [{"task_type": "plan_quality", "candidates": []}]}), Duration::from_secs(60))
        .await;
    assert!(unknown.unwrap_err().to_string().contains("422"));
}
