//! What an API key may be narrowed to: a short list of words, and which of them each request needs.
//!
//! A key without scopes may do all that its role may. A key with scopes may do that part of it which its scopes name: the check by role
//! stays. Every request of a recognised caller comes by here once, before any handler, and what a request needs follows from its path and
//! method, so that no handler can forget it. A path that stands in no area needs `admin`: a new route is closed to narrowed keys until
//! it has its line here.

use std::collections::BTreeSet;

use actix_web::http::Method;
use domain::invalid::Invalid;

/// The scope that includes all others.
pub const ADMIN: &str = "admin";

/// Every scope with what it opens.
pub const SCOPES: &[(&str, &str)] = &[
    ("catalog:read", "Read retailers, brands, products and audience segments."),
    ("catalog:write", "Write them."),
    ("campaigns:read", "Read campaigns, their history and performance."),
    ("campaigns:write", "Write campaigns, move them through their life, record performance."),
    ("imports:read", "See imports and their errors."),
    ("imports:write", "Load files."),
    ("analytics:read", "Read analytics, pacing and reports."),
    ("analytics:write", "Keep reports and alerts."),
    ("plans:read", "Read plans, reflection logs and the audit log, solve budgets without keeping anything."),
    ("plans:write", "Ask for plans, choose them, write reflection logs."),
    ("experiments:read", "Read experiments and their results."),
    ("experiments:write", "Plan and run experiments."),
    ("feedback:read", "Read feedback and its statistics."),
    ("feedback:write", "Give feedback."),
    ("exports:read", "Read datasets."),
    ("artifacts:read", "List and fetch files in buckets; see adapters."),
    ("artifacts:write", "Store, remove and share files; register adapters."),
    ("models:read", "Read reward models, key figures, jobs and what to judge next; score candidates."),
    ("models:write", "Train, activate and roll back reward models; choose what to judge next."),
    ("tasks:read", "Read rating tasks, their quality and consensus."),
    ("tasks:write", "Make rating tasks; judge and review, where the role may."),
    ("events:read", "Listen to live events."),
    ("keys:read", "See API keys."),
    ("keys:write", "Make and revoke API keys, none of them wider than the own one."),
    ("webhooks:read", "See webhooks and what was sent to them."),
    ("webhooks:write", "Make and change webhooks; send again."),
    (ADMIN, "Everything that the role may."),
];

/// The first part of a path under `/v1/`, and its area.
const AREAS: &[(&str, &str)] = &[
    ("api-keys", "keys"),
    ("retailers", "catalog"),
    ("brands", "catalog"),
    ("skus", "catalog"),
    ("audience-segments", "catalog"),
    ("creatives", "campaigns"),
    ("governance", "campaigns"),
    ("compliance", "campaigns"),
    ("campaigns", "campaigns"),
    ("performance", "campaigns"),
    ("imports", "imports"),
    ("analytics", "analytics"),
    ("reports", "analytics"),
    ("anomalies", "analytics"),
    ("optimize", "plans"),
    ("plans", "plans"),
    ("response-curves", "plans"),
    ("reflection-logs", "plans"),
    ("audit-log", "plans"),
    ("experiments", "experiments"),
    ("power", "experiments"),
    ("calibrations", "experiments"),
    ("feedback", "feedback"),
    ("exports", "exports"),
    ("artifacts", "artifacts"),
    ("adapters", "artifacts"),
    ("reward-models", "models"),
    ("active-learning", "models"),
    ("score", "models"),
    ("rlhf-metrics", "models"),
    ("jobs", "models"),
    ("tasks", "tasks"),
    ("assignments", "tasks"),
    ("judgments", "tasks"),
    ("raters", "tasks"),
    ("leaderboard", "tasks"),
    ("reviews", "tasks"),
    ("golden", "tasks"),
    ("quality", "tasks"),
    ("webhooks", "webhooks"),
    ("webhook-deliveries", "webhooks"),
    ("webhook-event-types", "webhooks"),
];

/// What stands under `/v1/campaigns/{campaign_id}/` and belongs to another area.
const UNDER_CAMPAIGNS: &[(&str, &str)] = &[
    ("plans", "plans"),
    ("curves", "plans"),
    ("response-curves", "plans"),
    ("pacing", "analytics"),
    ("analytics", "analytics"),
    ("experiments", "experiments"),
];

/// Computations that are asked for by POST and keep nothing.
const READING_POSTS: &[&str] = &["optimize", "score", "power"];

/// The scope that a request needs, `None` for a path without an area.
#[must_use]
pub fn needed(method: &Method, path: &str) -> Option<&'static str> {
    let mut parts = path.strip_prefix("/v1/")?.split('/').filter(|part| !part.is_empty());
    let first = parts.next()?;
    let find =
        |table: &'static [(&'static str, &'static str)], part: &str| table.iter().find(|(name, _)| *name == part).map(|(_, area)| *area);
    let area = match (first, parts.nth(1)) {
        ("campaigns", Some(below)) => find(UNDER_CAMPAIGNS, below).or_else(|| find(AREAS, first))?,
        _ => find(AREAS, first)?,
    };
    let reads =
        matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) || (*method == Method::POST && READING_POSTS.contains(&first));
    let wanted = if reads { "read" } else { "write" };
    SCOPES.iter().map(|(name, _)| *name).find(|name| name.split_once(':') == Some((area, wanted)))
}

/// Whether these scopes include `wanted`: by its own name, by writing for reading, or by `admin`. No scopes at all include everything.
#[must_use]
pub fn include(scopes: &[String], wanted: &str) -> bool {
    scopes.is_empty()
        || scopes.iter().any(|own| {
            own == wanted || own == ADMIN || wanted.strip_suffix(":read").is_some_and(|area| own.strip_suffix(":write") == Some(area))
        })
}

/// Checks the scopes of a new key, which must be known and none wider than those of whoever makes it.
///
/// # Errors
/// [`Invalid`] on `scopes`, naming the first that is wrong.
pub fn check(wanted: &[String], own: &[String]) -> Result<Vec<String>, Invalid> {
    if let Some(unknown) = wanted.iter().find(|wanted| !SCOPES.iter().any(|(name, _)| name == wanted)) {
        let known: Vec<&str> = SCOPES.iter().map(|(name, _)| *name).collect();
        return Err(Invalid::one("scopes", format!("{unknown:?} is no scope; there are {}", known.join(", "))));
    }
    if wanted.is_empty() && !own.is_empty() && !own.iter().any(|scope| scope == ADMIN) {
        return Err(Invalid::one(
            "scopes",
            "must be named: your own key is narrowed, and a key without scopes may do all that its role may",
        ));
    }
    if let Some(wider) = wanted.iter().find(|wanted| !include(own, wanted)) {
        return Err(Invalid::one("scopes", format!("{wider:?} is wider than your own scopes ({})", own.join(", "))));
    }
    let once: BTreeSet<&String> = wanted.iter().collect();
    Ok(once.into_iter().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_request_needs_the_scope_of_its_path_and_method() {
        for (method, path, scope) in [
            (Method::GET, "/v1/campaigns", Some("campaigns:read")),
            (Method::POST, "/v1/campaigns/c1/transitions", Some("campaigns:write")),
            (Method::GET, "/v1/campaigns/c1/plans", Some("plans:read")),
            (Method::POST, "/v1/campaigns/c1/plans/p1/choose", Some("plans:write")),
            (Method::GET, "/v1/campaigns/plans", Some("campaigns:read")),
            (Method::GET, "/v1/campaigns/c1/pacing", Some("analytics:read")),
            (Method::POST, "/v1/optimize", Some("plans:read")),
            (Method::POST, "/v1/score", Some("models:read")),
            (Method::DELETE, "/v1/api-keys/key_1", Some("keys:write")),
            (Method::PUT, "/v1/exports/x", None),
            (Method::GET, "/v1/unheard-of", None),
            (Method::GET, "/dashboard", None),
        ] {
            assert_eq!(needed(&method, path), scope, "{method} {path}");
        }
    }

    #[test]
    fn writing_includes_reading_and_admin_everything() {
        assert!(include(&[], "campaigns:write"));
        assert!(include(&words(&["campaigns:write"]), "campaigns:read"));
        assert!(!include(&words(&["campaigns:read"]), "campaigns:write"));
        assert!(!include(&words(&["campaigns:write"]), "plans:read"));
        assert!(include(&words(&[ADMIN]), "keys:write"));
        assert!(!include(&words(&["keys:write"]), ADMIN));
    }

    #[test]
    fn nobody_gives_more_than_they_have() {
        assert_eq!(check(&words(&["plans:read", "plans:read"]), &[]), Ok(words(&["plans:read"])));
        assert!(check(&words(&["plans:raed"]), &[]).is_err());
        assert!(check(&[], &words(&["keys:write"])).is_err());
        assert!(check(&words(&["campaigns:read"]), &words(&["keys:write"])).is_err());
        assert!(check(&words(&["keys:read"]), &words(&["keys:write"])).is_ok());
        assert!(check(&[], &words(&[ADMIN])).is_ok());
    }
}
