//! The essential loop of the product without a Supabase project, with one, and while each of its services fails: somebody signs in, judges, the
//! task is decided, listeners hear of it, and a file is kept. Real processes on every configured database; the project is a stand-in.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod running;

use std::time::{Duration, Instant};

use serde_json::json;
use testkit::database;
use testkit::supabase::{Fault, Part, Project};

use running::{LINKED, LOCAL, System};

#[tokio::test]
async fn without_a_project() {
    for db in database::all() {
        let mut system = System::start(&db, None).await;
        assert_eq!(system.sign_in(LOCAL).await.status, 200);
        let linked = system.sign_in(LINKED).await;
        assert_eq!(linked.status, 400, "{}: nobody signs in elsewhere", db.kind());
        system.judges("t1").await;
        assert_eq!(system.keeps("one").await, 201, "{}", db.kind());
    }
}

#[tokio::test]
async fn with_a_project_that_is_whole_and_while_each_of_its_services_fails() {
    for db in database::all() {
        let (project, kind) = (Project::start(), db.kind());
        let mut system = System::start(&db, Some(&project)).await;
        let signed_in = system.sign_in(LINKED).await;
        assert_eq!(signed_in.status, 200, "{kind}: {}", signed_in.json());
        system.judges("t1").await;
        assert_eq!(system.keeps("whole").await, 201, "{kind}");
        assert!(project.held().objects.keys().any(|key| key.contains("/exports/") && key.contains("whole")), "{kind}");
        carried(&project, 1).await;

        let mut n = 1;
        for part in Part::ALL {
            for fault in [Fault::Drop, Fault::Status(503), Fault::Malformed, Fault::ExpiredKey, Fault::Slow(Duration::from_secs(7))] {
                n += 1;
                let at = format!("{kind}: {part:?} {fault:?}");
                project.break_down(part, fault);
                if part == Part::Auth {
                    let refused = system.sign_in(LINKED).await;
                    assert_eq!(
                        (refused.status, refused.json()["error_code"].as_str()),
                        (503, Some("auth_unavailable")),
                        "{at}: {}",
                        refused.json()
                    );
                }
                assert_eq!(system.sign_in(LOCAL).await.status, 200, "{at}: accounts of this installation");
                // By whoever was signed in before.
                system.judges(&format!("t{n}")).await;
                let kept = system.keeps(&format!("file-{n}")).await;
                let expected = if part == Part::Storage && !matches!(fault, Fault::Slow(_)) { 503 } else { 201 };
                assert_eq!(kept, expected, "{at}");
                project.mend(part);
            }
            assert_eq!(system.sign_in(LINKED).await.status, 200, "{kind}: {part:?} works again");
            assert_eq!(system.keeps(&format!("after-{part:?}")).await, 201, "{kind}: {part:?} works again");
        }
        // Nothing of what was decided meanwhile is lost to those who listen at the project.
        carried(&project, n).await;
    }
}

/// Waits until so many judgments were told in the project's channels.
async fn carried(project: &Project, n: usize) {
    let begun = Instant::now();
    let judged = || {
        let messages = project.held().messages.clone();
        let judged = messages.iter().filter(|message| message["event"] == json!("judgment_recorded"));
        judged.map(|message| message["payload"]["judgment_id"].to_string()).collect::<std::collections::BTreeSet<_>>().len()
    };
    while judged() < n {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} of {n} were carried", judged());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
