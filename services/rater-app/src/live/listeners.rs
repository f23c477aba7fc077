//! Who may hear what, and who may speak: the answers to the questions that the hub asks of every socket, room, row and message.

use domain::role::Role;
use realtime::authority::{Authority, Grant, Identity, Refusal, VISITOR};
use serde_json::Value;
use storage::changes;
use web::access::Access;
use web::settings::{Settings, is_of_system};
use web::token::TokenError;

use super::KnownKeys;
use super::ended::Ended;

/// Who may hear what. A rater's identity carries the rater id as its subject.
pub struct Listeners {
    access: Access,
    known_keys: KnownKeys,
    ended: Ended,
    rooms: Vec<String>,
    visitor_rooms: Vec<String>,
}

impl Listeners {
    /// Over the access of this service, with the rooms in which people may talk.
    #[must_use]
    pub fn new(access: Access, known_keys: KnownKeys, ended: Ended, settings: &Settings) -> Self {
        let (rooms, visitor_rooms) = (settings.realtime_rooms.clone(), settings.realtime_visitor_rooms.clone());
        Self { access, known_keys, ended, rooms, visitor_rooms }
    }

    /// Whether visitors may talk in this room, and so everybody.
    fn is_visitors(&self, topic: &str) -> bool {
        self.visitor_rooms.iter().any(|room| is_named(room, topic, None)) && !is_of_system(topic)
    }

    /// Whether this is a room in which the identity may talk. The private one is for people who have signed in, not for keys.
    fn is_open(&self, identity: &Identity, topic: &str, private: bool) -> bool {
        if identity.role == VISITOR {
            return !private && self.is_visitors(topic);
        }
        (!private || identity.expires_at.is_some())
            && (self.is_visitors(topic) || self.rooms.iter().any(|room| is_named(room, topic, identity.tenant.as_deref())))
    }
}

impl Authority for Listeners {
    fn authenticate(&self, token: &str) -> Result<Identity, Refusal> {
        if self.access.is_publishable(token) {
            return Ok(visitor());
        }
        if token.split('.').count() != 3 {
            let identity = self.known_keys.find(token).ok_or(Refusal::Malformed)?;
            return if self.ended.is_over(&identity.grant) { Err(Refusal::Ended) } else { Ok(identity) };
        }
        let claims = self.access.tokens().verify_access(token).map_err(|error| match error {
            TokenError::Missing => Refusal::KeyMissing,
            TokenError::Malformed => Refusal::Malformed,
            TokenError::Expired => Refusal::Expired { seconds_ago: 0 },
            TokenError::WrongSignature | TokenError::KeysUnavailable => Refusal::Signature,
        })?;
        let grant = Grant { account: claims.account_id().to_owned(), session: claims.session_id.clone(), issued_at: Some(claims.iat) };
        if self.ended.is_over(&grant) {
            return Err(Refusal::Ended);
        }
        let known = claims.app_metadata;
        Ok(identity_of(grant, known.rater_id, known.role.unwrap_or(Role::Rater), known.tenant_id, Some(claims.exp)))
    }

    /// `leaderboard` is everybody's; `tasks` belong to those without a tenant, who judge them all; `rater:ID` that rater's; `jobs`, `feedback`, `campaigns` and `imports` belong to those who see
    /// all tenants, and `jobs:TENANT` and so on to those who plan for that tenant; open rooms to whoever may talk there. Visitors hear nothing of
    /// the system's.
    fn may_join(&self, identity: &Identity, topic: &str, private: bool) -> Result<(), Refusal> {
        // Whoever came in while the end was on its way joins nothing more.
        if self.ended.is_over(&identity.grant) || identity.role == VISITOR && !self.is_open(identity, topic, private) {
            return Err(Refusal::NotPermitted { topic: topic.to_owned() });
        }
        let role = identity.role.parse::<Role>().unwrap_or(Role::Rater);
        let may = match topic.split_once(':') {
            None => match topic {
                "leaderboard" => true,
                // Tasks of all tenants: for those who judge or see them all.
                "tasks" => identity.tenant.is_none(),
                "jobs" | "feedback" | "campaigns" | "imports" => sees_all(role, identity.tenant.as_deref()),
                _ => self.is_open(identity, topic, private),
            },
            Some(("rater", rater_id)) => identity.subject == rater_id,
            Some(("jobs" | "feedback" | "campaigns" | "imports", tenant)) => {
                sees_all(role, identity.tenant.as_deref())
                    || (role.may_plan() || role.may_review()) && identity.tenant.as_deref() == Some(tenant)
            }
            Some(_) => self.is_open(identity, topic, private),
        };
        if may { Ok(()) } else { Err(Refusal::NotPermitted { topic: topic.to_owned() }) }
    }

    /// Raters their own rows; reviewers without a tenant the judgments of all; planners their tenant's rows, and nobody a row that HTTP would not show.
    fn may_see(&self, identity: &Identity, table: &str, tenant: Option<&str>, record: &Value) -> bool {
        if identity.role == VISITOR {
            return false;
        }
        let role = identity.role.parse::<Role>().unwrap_or(Role::Rater);
        if role == Role::Rater {
            return record.get("rater_id").and_then(Value::as_str) == Some(identity.subject.as_str());
        }
        let reviews = table == "judgments" && role.may_review() && identity.tenant.is_none();
        reviews || sees_all(role, identity.tenant.as_deref()) || (tenant.is_some() && identity.tenant.as_deref() == tenant)
    }

    fn has_table(&self, schema: &str, table: &str) -> bool {
        matches!(schema, "public" | "*") && changes::columns(table).is_some()
    }

    /// Of a table of which nothing is told, no column is known.
    fn has_column(&self, schema: &str, table: &str, column: &str) -> bool {
        matches!(schema, "public" | "*") && changes::columns(table).is_some_and(|columns| columns.contains(&column))
    }

    /// Pages of the three services share the session cookie and listen here.
    fn trusts_page(&self, origin: &str) -> bool {
        !origin.starts_with('/') && self.access.return_address(origin) == origin
    }

    /// In our own rooms only programs of ours speak: people's actions reach them through the database. In open rooms whoever may join does.
    fn may_send(&self, identity: &Identity, topic: &str, private: bool) -> bool {
        (matches!(identity.role.parse(), Ok(Role::Service | Role::PlatformAdmin)) && identity.tenant.is_none())
            || self.is_open(identity, topic, private) && !is_of_system(topic)
    }
}

/// Whether a setting such as `desk:{tenant}:*` names this room for somebody of this tenant.
fn is_named(room: &str, topic: &str, tenant: Option<&str>) -> bool {
    let (room, goes_on) = match room.strip_suffix('*') {
        Some(beginning) => (beginning, true),
        None => (room, false),
    };
    let is_of_tenant = room.contains("{tenant}");
    let name = match (is_of_tenant, tenant) {
        (true, Some(tenant)) => room.replace("{tenant}", tenant),
        (false, None) => room.to_owned(),
        _ => return false,
    };
    match topic.strip_prefix(&name) {
        // One part more: the id of another tenant may begin with this one's and a colon.
        Some(rest) if goes_on => !is_of_tenant || !rest.contains(':'),
        rest => rest == Some(""),
    }
}

/// Whoever has a key that everybody may know.
fn visitor() -> Identity {
    let subject = "visitor".to_owned();
    Identity { subject, role: VISITOR.to_owned(), tenant: None, expires_at: None, grant: Grant::default() }
}

pub(super) fn identity_of(grant: Grant, rater_id: Option<String>, role: Role, tenant: Option<String>, expires_at: Option<i64>) -> Identity {
    let subject = rater_id.unwrap_or_else(|| grant.account.clone());
    Identity { subject, role: role.as_ref().to_owned(), tenant, expires_at, grant }
}

fn sees_all(role: Role, tenant: Option<&str>) -> bool {
    tenant.is_none() && role.sees_all_tenants()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    struct NoKeys;

    impl web::access::KeyLookup for NoKeys {
        fn find<'a>(
            &'a self,
            _key_hash: &'a str,
        ) -> futures_util::future::BoxFuture<'a, Result<Option<web::access::KeyIdentity>, web::problem::Problem>> {
            Box::pin(async { Ok(None) })
        }
    }

    #[test]
    fn nobody_hears_what_http_would_not_show() {
        use serde_json::json;
        let key = "sb_publishable_a1b2c3d4e5f6a7b8c9d0";
        let settings = Settings::from_variables([
            ("ENDCAP_PUBLISHABLE_KEY", key),
            ("ENDCAP_REALTIME_ROOMS", "desk:*"),
            ("ENDCAP_REALTIME_VISITOR_ROOMS", "lobby"),
        ])
        .unwrap();
        let clock = domain::time::Clock::system();
        let access = Access::new(&settings, web::settings::ServiceName::RaterApp, clock.clone(), std::sync::Arc::new(NoKeys));
        let listeners = Listeners::new(access, KnownKeys::new(clock), Ended::default(), &settings);
        let of = |role: Role, tenant: Option<&str>| identity_of(Grant::default(), None, role, tenant.map(str::to_owned), None);
        for (who, sees_campaign, sees_judgment) in [
            (of(Role::PlatformAdmin, None), true, true),
            (of(Role::Expert, None), false, true),
            (of(Role::Analyst, Some("t1")), true, false),
            (of(Role::Analyst, Some("t2")), false, false),
            (of(Role::Rater, None), false, false),
        ] {
            assert_eq!(listeners.may_see(&who, "campaigns", Some("t1"), &json!({})), sees_campaign, "{who:?}");
            assert_eq!(listeners.may_see(&who, "judgments", None, &json!({"rater_id": "rtr_9"})), sees_judgment, "{who:?}");
            assert_eq!(listeners.may_join(&who, "campaigns:t1", false).is_ok(), sees_campaign, "{who:?}");
            assert_eq!(listeners.may_join(&who, "campaigns", false).is_ok(), who.role == "platform_admin", "{who:?}");
        }
        let stranger = listeners.authenticate(key).unwrap();
        for (topic, private, may) in [
            ("lobby", false, true),
            ("lobby", true, false),
            ("desk:1", false, false),
            ("leaderboard", false, false),
            ("tasks", false, false),
            ("rater:visitor", false, false),
            ("campaigns:t1", false, false),
        ] {
            assert_eq!(listeners.may_join(&stranger, topic, private).is_ok(), may, "a visitor in {topic}");
            assert_eq!(listeners.may_send(&stranger, topic, private), may, "a visitor in {topic}");
        }
        for row in [json!({}), json!({"rater_id": "visitor"})] {
            assert!(!listeners.may_see(&stranger, "judgments", None, &row) && !listeners.may_see(&stranger, "campaigns", Some("t1"), &row));
        }
        assert!(listeners.may_send(&of(Role::Analyst, Some("t1")), "lobby", false), "whoever is signed in talks to visitors");
    }

    #[test]
    fn open_rooms_are_for_those_whom_they_name() {
        for (room, topic, tenant, is) in [
            ("desk", "desk", None, true),
            ("desk", "desk:1", None, false),
            ("desk:*", "desk:1", None, true),
            ("desk:*", "desk:1", Some("t1"), false),
            ("desk:{tenant}:*", "desk:t1:x", Some("t1"), true),
            ("desk:{tenant}:*", "desk:t2:x", Some("t1"), false),
            ("desk:{tenant}:*", "desk:t11:x", Some("t1"), false),
            ("desk:{tenant}", "desk:t1", None, false),
            ("desk:{tenant}:*", "desk:t1:x:1", Some("t1"), false),
            ("desk:{tenant}:*", "desk:t1:x:1", Some("t1:x"), true),
            ("desk:*", "desk:1:2", None, true),
        ] {
            assert_eq!(is_named(room, topic, tenant), is, "{room} {topic} {tenant:?}");
        }
    }
}
