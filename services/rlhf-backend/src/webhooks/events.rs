//! What webhooks are told of: a small set out of what the outbox holds, each with the fields that are passed on. Ids and small facts only; no
//! texts that people wrote, no names, no addresses.

use domain::scope::Scope;
use serde::Serialize;
use serde_json::{Map, Value, json};
use storage::outbox::OutboxEvent;
use storage::webhooks::reading::{Audience, Told};

/// A type of event.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct EventType {
    /// Its name in `type`.
    pub name: &'static str,
    /// When it is sent.
    pub description: &'static str,
    /// The fields of `data`.
    pub fields: &'static [&'static str],
    /// Whether every tenant hears of it; else the tenant whose it is. The platform's own webhooks hear of all.
    pub is_for_all: bool,
    #[serde(skip)]
    source: (&'static str, &'static str),
    #[serde(skip)]
    counts: fn(&Value) -> bool,
}

/// Name of the event that somebody sends to try a webhook.
pub const TEST: &str = "webhook.test";

/// All types that may be subscribed to.
pub const TYPES: [EventType; 10] = [
    of_tenant(
        "campaign.moved",
        "A campaign went to another state.",
        &["campaign_id", "from", "to", "version"],
        ("campaigns", "campaign_moved"),
    ),
    of_tenant(
        "plan.decided",
        "Which of a campaign's plans is followed was decided.",
        &["campaign_id", "plan_set_id", "plan_id"],
        ("campaigns", "plan_decided"),
    ),
    of_tenant(
        "experiment.concluded",
        "An experiment has ended.",
        &["experiment_id", "has_result", "has_calibrated"],
        ("campaigns", "experiment_concluded"),
    ),
    of_tenant(
        "import.finished",
        "An import has ended, well or not.",
        &["import_id", "table", "state", "dry_run", "received", "inserted", "updated", "unchanged", "rejected"],
        ("imports", "import_finished"),
    ),
    of_tenant(
        "feedback.received",
        "Feedback on a brand's model outputs came in.",
        &["brand_id", "count"],
        ("feedback", "feedback_received"),
    ),
    of_tenant(
        "task.decided",
        "Raters have decided a rating task; its judgments are ready for training.",
        &["task_id", "task_type", "judgments"],
        ("jobs", "training_data_ready"),
    ),
    EventType {
        counts: |payload| matches!(payload["state"].as_str(), Some("succeeded" | "failed")),
        ..of_tenant(
            "job.finished",
            "A job of the background worker has ended, well or not.",
            &["job_id", "kind", "state", "model_id"],
            ("jobs", "job_progressed"),
        )
    },
    EventType {
        counts: |payload| payload["is_rollback"] != json!(true),
        ..of_all("model.activated", "A reward model was put to work.", MODEL, ("jobs", "model_activated"))
    },
    EventType {
        counts: |payload| payload["is_rollback"] == json!(true),
        ..of_all(
            "model.rolled_back",
            "A reward model was put back to work in the place of a newer one.",
            MODEL,
            ("jobs", "model_activated"),
        )
    },
    of_all(
        "model.drifted",
        "An active reward model predicts worse than its card says.",
        &["model_id", "task_type", "retailer_id"],
        ("jobs", "model_drifted"),
    ),
];

const MODEL: &[&str] = &["model_id", "task_type", "retailer_id", "version", "former_model_id"];

const fn of_tenant(
    name: &'static str,
    description: &'static str,
    fields: &'static [&'static str],
    source: (&'static str, &'static str),
) -> EventType {
    EventType { name, description, fields, is_for_all: false, source, counts: |_| true }
}

const fn of_all(
    name: &'static str,
    description: &'static str,
    fields: &'static [&'static str],
    source: (&'static str, &'static str),
) -> EventType {
    EventType { is_for_all: true, ..of_tenant(name, description, fields, source) }
}

/// An event in the words of webhooks; `None` for those that they are not told of.
#[must_use]
pub fn told(event: &OutboxEvent) -> Option<Told> {
    let source = (event.topic.as_str(), event.event.as_str());
    let found = TYPES.iter().find(|one| one.source == source && (one.counts)(&event.payload))?;
    let data: Map<String, Value> =
        found.fields.iter().filter_map(|field| Some(((*field).to_owned(), event.payload.get(*field)?.clone()))).collect();
    let tenant = event.tenant_id.as_deref();
    Some(Told {
        event_type: found.name,
        audience: if found.is_for_all { Audience::Everyone } else { Audience::Tenant },
        payload: body(&event.event_id, found.name, event.created_at.0, tenant, data),
    })
}

/// The body of a test.
#[must_use]
pub fn test(event_id: &str, scope: &Scope, tenant: Option<&str>, now: chrono::DateTime<chrono::Utc>) -> String {
    let said = json!({"message": "This is a test of your webhook.", "sent_by": scope.actor()});
    body(event_id, TEST, now, tenant, said.as_object().cloned().unwrap_or_default())
}

fn body(id: &str, event_type: &str, at: chrono::DateTime<chrono::Utc>, tenant: Option<&str>, data: Map<String, Value>) -> String {
    json!({"id": id, "type": event_type, "timestamp": at, "tenant_id": tenant, "data": data}).to_string()
}
