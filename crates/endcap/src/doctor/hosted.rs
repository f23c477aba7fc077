//! `endcap doctor supabase`: each phase of moving to a Supabase project, whether it is configured, whether it works, and what to do if not.

use std::time::Duration;

use domain::checks;
use domain::task::TaskType;
use realtime::bridge::{BridgeSettings, Listen, probe};
use serde_json::{Value, json};
use storage::connection::{Access, Connection};
use storage::hosted_policies::{self, State};
use storage::url::DatabaseUrl;
use supabase::objects::{BUCKETS, Hosted};
use supabase::project::Project;
use web::settings::{ArtifactStore, Settings};

use super::Report;

/// Longest wait for a socket or a function. A person looks on.
const WITHIN: Duration = Duration::from_secs(5);

/// Asks every service that is used.
pub(super) async fn check(settings: &Settings, report: &mut Report) {
    let hosted = &settings.supabase;
    let (Some(url), Some(key)) = (&hosted.url, &hosted.key) else {
        let missing = match (&hosted.url, &hosted.key) {
            (None, None) => "SUPABASE_URL and SUPABASE_KEY are",
            (None, Some(_)) => "SUPABASE_URL is",
            _ => "SUPABASE_KEY, with which this check asks what a visitor may do, is",
        };
        let advice = "not set: copy it from Project Settings (phase 1 in docs/supabase.md)";
        return report.bad("supabase", &format!("{missing} {advice}"));
    };
    let project = match Project::from_settings(url, key.clone(), hosted.service_key.clone(), hosted.jwt_secret.clone()) {
        Ok(project) => project,
        Err(invalid) => return report.bad("supabase", &invalid.to_string()),
    };
    report.findings(project.check().await);
    check_realtime(settings, &project, report).await;
    check_sign_in(settings, &project, report).await;
    check_buckets(settings, &project, report).await;
    check_function(settings, &project, report).await;
    #[cfg(feature = "postgrest")]
    check_visitors(&project, report).await;
}

async fn check_realtime(settings: &Settings, project: &Project, report: &mut Report) {
    let part = "realtime";
    let Some(key) = &settings.supabase.service_key else {
        return report.note(part, "not used: private channels are joined with SUPABASE_SERVICE_KEY, which is not set");
    };
    let channel = Listen { remote: "endcap-doctor".to_owned(), local: "endcap-doctor".to_owned() };
    let mut bridge = BridgeSettings::new(project.socket_url(), key.clone(), vec![channel], "endcap-doctor".to_owned());
    bridge.answer_within = WITHIN;
    let used = if settings.supabase.is_bridged() { "" } else { "; not used yet (ENDCAP_SUPABASE_PUBLISH, ENDCAP_SUPABASE_LISTEN)" };
    match probe(&bridge).await {
        Ok(()) => report.good(part, &format!("a private channel was joined{used}")),
        Err(why) => report.bad(
            part,
            &format!("{why} (see that Realtime is on in Project Settings, that SUPABASE_SERVICE_KEY is of this project, and that this machine may open WebSockets to it)"),
        ),
    }
}

async fn check_sign_in(settings: &Settings, project: &Project, report: &mut Report) {
    let part = "sign-in keys";
    let (is_used, has_secret) = (settings.supabase.signs_in, settings.supabase.jwt_secret.is_some());
    match project.key_set().await {
        Ok(set) => {
            let kinds: Vec<&str> =
                set["keys"].as_array().into_iter().flatten().filter_map(|key| key["alg"].as_str().or(key["kty"].as_str())).collect();
            let usable = kinds.iter().any(|kind| matches!(*kind, "ES256" | "RS256" | "EC" | "RSA"));
            match (usable, has_secret, is_used) {
                (true, ..) => report.good(part, &format!("{} public key(s) served: {}", kinds.len(), kinds.join(", "))),
                (false, true, _) => report.good(part, "no public keys; tokens are verified with SUPABASE_JWT_SECRET"),
                (false, false, true) => report.bad(
                    part,
                    "the project serves no ES256 or RS256 key and SUPABASE_JWT_SECRET is not set, so no token can be verified (move to signing keys in Project Settings, JWT Keys, or set the legacy secret)",
                ),
                (false, false, false) => report.note(part, "no public keys are served; needed when ENDCAP_SIGN_IN is supabase"),
            }
        }
        Err(error) if is_used => {
            report.bad(part, &format!("{error} (nobody can sign in meanwhile; accounts of this installation and open sessions work)"))
        }
        Err(error) => report.note(part, &format!("{error}; needed when ENDCAP_SIGN_IN is supabase")),
    }
    match (is_used, settings.supabase.service_key.is_some()) {
        (true, true) => report.good("sign-in", "people sign in at the project"),
        (true, false) => report
            .bad("sign-in", "ENDCAP_SIGN_IN is supabase and SUPABASE_SERVICE_KEY is not set (the rater app writes roles of users with it)"),
        (false, _) => report.note("sign-in", "not used: people sign in here (ENDCAP_SIGN_IN)"),
    }
}

async fn check_buckets(settings: &Settings, project: &Project, report: &mut Report) {
    let part = "storage buckets";
    let is_used = settings.artifacts.store == ArtifactStore::Supabase;
    let Some(store) = Hosted::of(project) else {
        return report.note(part, "not used: Storage is written with SUPABASE_SERVICE_KEY, which is not set");
    };
    let buckets = match store.buckets().await {
        Ok(buckets) => buckets,
        Err(error) => return report.bad(part, &format!("{error} (see SUPABASE_SERVICE_KEY and the project's Storage)")),
    };
    let open: Vec<&str> = BUCKETS.into_iter().filter(|name| buckets.iter().any(|(id, is_public)| id == name && *is_public)).collect();
    let missing: Vec<&str> = BUCKETS.into_iter().filter(|name| !buckets.iter().any(|(id, _)| id == name)).collect();
    if !open.is_empty() {
        report.bad(
            part,
            &format!("{} can be read by anybody (run deploy/supabase/buckets.sql in the project's SQL editor)", open.join(", ")),
        );
    } else if missing.is_empty() {
        report.good(part, &format!("{} are there and private", BUCKETS.join(", ")));
    } else if is_used {
        report.bad(
            part,
            &format!("{} missing (the RLHF backend makes them at its start, or run deploy/supabase/buckets.sql)", missing.join(", ")),
        );
    } else {
        report
            .note(part, &format!("{} are not there yet; made at the first start with ENDCAP_ARTIFACT_STORE=supabase", missing.join(", ")));
    }
}

/// Has the function check a tag, and compares.
async fn check_function(settings: &Settings, project: &Project, report: &mut Report) {
    let part = "checks function";
    let Some(name) = &settings.supabase.checks_function else {
        return report.note(part, "not used: candidates are checked in process (ENDCAP_CHECKS_FUNCTION)");
    };
    let candidate = json!({ "tag": "Frozen Ice" });
    let task = json!({ "task_type": "tagging_normalization", "context_snippets": [], "prompt": "", "candidates": [candidate] });
    let advice = "deploy deploy/supabase/functions/auto-checks of this release and set its secret ENDCAP_CHECKS_KEY; meanwhile candidates are checked in process";
    match project.call_function(name, &json!({ "version": checks::VERSION, "tasks": [task] }), WITHIN).await {
        Ok(answer) => {
            let expected: Vec<Value> = checks::run(TaskType::TaggingNormalization, &[], "", &[&candidate])
                .iter()
                .map(|one| json!({ "check": one.check, "candidate": one.candidate, "passed": one.passed, "message": one.message, "place": one.place }))
                .collect();
            if answer["version"] == checks::VERSION && answer["findings"] == json!([expected]) {
                report.good(part, &format!("{name} finds what the program finds"));
            } else {
                report.bad(part, &format!("{name} finds something else than the program, or by another version ({advice})"));
            }
        }
        Err(error) => report.bad(part, &format!("{name}: {error} ({advice})")),
    }
}

/// Whether somebody who is not signed in reads a table over the project's HTTP.
#[cfg(feature = "postgrest")]
async fn check_visitors(project: &Project, report: &mut Report) {
    use supabase::rest::{RestError, Table};
    let part = "visitors";
    match Table::of(project, "judgments").as_visitor().select("judgment_id").limit(1).rows::<Value>().await {
        Ok(rows) if rows.is_empty() => report.good(part, "who is not signed in reads no judgment"),
        Ok(_) => report.bad(part, "who is not signed in reads judgments (run deploy/supabase/policies.sql)"),
        // In PostgREST's own words: a stranger at the address, or a proxy in between, refuses as well, and says nothing of policies.
        Err(RestError::Refused { status: 401 | 403 | 404, code, .. }) if is_of_postgrest(&code) => {
            report.good(part, &format!("who is not signed in is refused ({code})"));
        }
        Err(RestError::Refused { status, code, .. }) => report.bad(
            part,
            &format!("the answer {status} {code} is not PostgREST's, so nothing is known of what visitors may read (see that SUPABASE_URL is the Project URL)"),
        ),
        Err(error) => report.note(part, &format!("what visitors may read could not be found out: {error}")),
    }
}

/// PostgREST names what is wrong by its own codes and those of PostgreSQL: `42501` (no grant), `42P01` and `PGRST205` (no such table there).
#[cfg(feature = "postgrest")]
fn is_of_postgrest(code: &str) -> bool {
    code.starts_with("PGRST") || (code.len() == 5 && code.chars().all(|sign| sign.is_ascii_digit() || sign.is_ascii_uppercase()))
}

/// Whether the policies are there, when the database is the project's own.
pub(super) fn check_policies(url: &str, report: &mut Report) {
    let part = "policies";
    let opened = DatabaseUrl::parse(url).map_err(|error| error.to_string());
    let state = opened.and_then(|url| Connection::open(&url, Access::Read).map_err(|error| error.to_string()));
    let state = state.and_then(|mut conn| hosted_policies::state(&mut conn).map_err(|error| error.to_string()));
    match state {
        Ok(State::NotHosted) => report.note(part, "not needed: the database is not the project's own (DATABASE_URL)"),
        Ok(State::Guarded { tables }) => {
            report.good(part, &format!("row-level security is on for all {tables} tables and visitors have no grant"))
        }
        Ok(State::Open { unguarded, granted }) => {
            let named = |tables: &[String]| tables.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
            report.bad(
                part,
                &format!(
                    "{} table(s) without row-level security ({}), {} that visitors may use ({}) (run: psql \"$DATABASE_URL\" -f deploy/supabase/policies.sql)",
                    unguarded.len(),
                    named(&unguarded),
                    granted.len(),
                    named(&granted)
                ),
            );
        }
        Err(error) => report.bad(part, &error),
    }
}
