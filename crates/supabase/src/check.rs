//! Whether a project's services answer, and what to do when one does not: for `endcap doctor` and hints of readiness.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};

use crate::key::KeyKind;
use crate::project::Project;

/// Longest wait for one service.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// What was found about one part of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `auth`, `postgrest`, `storage`, `keys`.
    pub part: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was seen.
    pub detail: String,
    /// What to do; `None` when there is nothing to do.
    pub advice: Option<String>,
}

impl Project {
    /// Asks Auth, PostgREST and Storage side by side, each for at most [`DEADLINE`], and looks at the keys. Never fails:
    /// what does not answer is a finding.
    pub async fn check(&self) -> Vec<Finding> {
        self.check_within(DEADLINE).await
    }

    pub(crate) async fn check_within(&self, deadline: Duration) -> Vec<Finding> {
        // The service key where there is one: publishable keys may not list tables and see no buckets.
        let (setting, key) = match &self.service_key {
            Some(key) => ("SUPABASE_SERVICE_KEY", key),
            None => ("SUPABASE_KEY", &self.anon_key),
        };
        let (auth, postgrest, storage) = tokio::join!(
            self.ask("auth", "/auth/v1/health", "SUPABASE_KEY", &self.anon_key, deadline),
            self.ask("postgrest", "/rest/v1/", setting, key, deadline),
            self.ask("storage", "/storage/v1/bucket", setting, key, deadline),
        );
        vec![auth, postgrest, storage, self.look_at_keys()]
    }

    async fn ask(&self, part: &'static str, path: &str, setting: &str, key: &SecretString, deadline: Duration) -> Finding {
        let mut request = self.client.get(format!("{}{path}", self.base_url)).header("apikey", key.expose_secret()).timeout(deadline);
        if KeyKind::of(key.expose_secret()).is_token() {
            request = request.bearer_auth(key.expose_secret());
        }
        match request.send().await {
            Ok(response) => judge(part, path, setting, response.status()),
            Err(reason) if reason.is_connect() => {
                let advice = "see that SUPABASE_URL is right, that the project is not paused, and that this machine may reach it";
                Finding { part, ok: false, detail: format!("cannot connect to {}", self.base_url), advice: Some(advice.to_owned()) }
            }
            Err(reason) if reason.is_timeout() => {
                let advice = "try again; when it persists, see the project's health in the Supabase dashboard";
                Finding {
                    part,
                    ok: false,
                    detail: format!("{path} gave no answer within {} ms", deadline.as_millis()),
                    advice: Some(advice.to_owned()),
                }
            }
            Err(reason) => {
                let advice = "see that SUPABASE_URL is the address of a Supabase project";
                Finding {
                    part,
                    ok: false,
                    detail: format!("{path} gave no HTTP answer: {}", reason.without_url()),
                    advice: Some(advice.to_owned()),
                }
            }
        }
    }

    fn look_at_keys(&self) -> Finding {
        let anon = KeyKind::of(self.anon_key.expose_secret());
        let service = self.service_key.as_ref().map(|key| KeyKind::of(key.expose_secret()));
        let detail = match service {
            Some(service) => format!("SUPABASE_KEY is {}, SUPABASE_SERVICE_KEY is {}", anon.title(), service.title()),
            None => format!("SUPABASE_KEY is {}, SUPABASE_SERVICE_KEY is not set", anon.title()),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        let is_over = |key: &SecretString| KeyKind::expiry_of(key.expose_secret()).is_some_and(|end| end <= now);
        let keys = [("SUPABASE_KEY", Some(&self.anon_key)), ("SUPABASE_SERVICE_KEY", self.service_key.as_ref())];
        if let Some((setting, _)) = keys.iter().find(|(_, key)| key.is_some_and(is_over)) {
            let advice = format!("{setting} has expired; make new keys in Project Settings, API Keys");
            return Finding { part: "keys", ok: false, detail, advice: Some(advice) };
        }
        let jwt_secret = if self.jwt_secret.is_some() { "; SUPABASE_JWT_SECRET is set" } else { "" };
        let legacy = anon == KeyKind::LegacyAnon || service == Some(KeyKind::LegacyService);
        let advice =
            legacy.then(|| "legacy keys are being retired; make publishable and secret keys in Project Settings, API Keys".to_owned());
        Finding { part: "keys", ok: true, detail: format!("{detail}{jwt_secret}"), advice }
    }
}

fn judge(part: &'static str, path: &str, setting: &str, status: StatusCode) -> Finding {
    let advice = match status.as_u16() {
        200..=299 => None,
        401 | 403 if setting == "SUPABASE_KEY" && part == "postgrest" => {
            Some("a publishable key may not list tables; set SUPABASE_SERVICE_KEY to check this part, or see that SUPABASE_KEY is of this project".to_owned())
        }
        401 | 403 => Some(format!("the key was refused; see that {setting} is of this project and not revoked")),
        404 => Some("see that SUPABASE_URL is the Project URL, without a path, and that this service is enabled".to_owned()),
        500..=599 => Some("the service is in trouble; see the project's health in the Supabase dashboard".to_owned()),
        _ => Some("this is not how Supabase answers; see that SUPABASE_URL is the Project URL".to_owned()),
    };
    Finding { part, ok: status.is_success(), detail: format!("{path} answered {}", status.as_u16()), advice }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use testkit::supabase::{Fault, Part, Project as StandIn};

    use super::*;

    fn project(url: &str, service_key: Option<&str>) -> Project {
        Project::from_settings(url, "sb_publishable_x".into(), service_key.map(SecretString::from), None).unwrap()
    }

    fn find<'a>(findings: &'a [Finding], part: &str) -> &'a Finding {
        findings.iter().find(|finding| finding.part == part).unwrap()
    }

    #[tokio::test]
    async fn a_healthy_project_needs_nothing() {
        let stand_in = StandIn::start();
        let findings = project(&stand_in.url, Some("sb_secret_x")).check().await;
        assert!(findings.iter().all(|finding| finding.ok && finding.advice.is_none()), "{findings:?}");
        let held = stand_in.held();
        for (path, key) in [("/auth/v1/health", "sb_publishable_x"), ("/rest/v1/", "sb_secret_x"), ("/storage/v1/bucket", "sb_secret_x")] {
            let request = held.requests.iter().find(|request| request.path == path).unwrap();
            assert_eq!((request.header("apikey"), request.header("authorization")), (key, ""), "opaque keys are no bearer tokens");
        }
    }

    #[tokio::test]
    async fn each_part_is_judged_by_itself() {
        let stand_in = StandIn::start();
        stand_in.break_down(Part::Auth, Fault::Status(503));
        stand_in.break_down(Part::Rest, Fault::ExpiredKey);
        stand_in.break_down(Part::Storage, Fault::Slow(Duration::from_secs(60)));
        let findings = project(&stand_in.url, Some("sb_secret_x")).check_within(Duration::from_millis(1_000)).await;
        for (part, detail, advice) in [
            ("auth", "answered 503", "in trouble"),
            ("postgrest", "answered 401", "SUPABASE_SERVICE_KEY is of this project"),
            ("storage", "no answer within 1000 ms", "try again"),
        ] {
            let finding = find(&findings, part);
            assert!(!finding.ok && finding.detail.contains(detail), "{finding:?}");
            assert!(finding.advice.as_ref().unwrap().contains(advice), "{finding:?}");
        }
    }

    #[test]
    fn an_expired_legacy_key_is_named() {
        let claims = serde_json::json!({"role": "service_role", "exp": 1_600_000_000_i64});
        let key =
            jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &jsonwebtoken::EncodingKey::from_secret(b"test")).unwrap();
        let finding = project("http://127.0.0.1:1", Some(&key)).look_at_keys();
        assert!(!finding.ok && finding.advice.as_ref().unwrap().starts_with("SUPABASE_SERVICE_KEY has expired"), "{finding:?}");
    }

    #[tokio::test]
    async fn a_project_that_is_not_there_is_a_finding() {
        // Bound but not listening: connections are refused, and nobody else can take the port.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let findings = project(&format!("http://{}", socket.local_addr().unwrap()), None).check().await;
        assert!(find(&findings, "auth").detail.starts_with("cannot connect to http://127.0.0.1:"));
        assert!(find(&findings, "keys").detail.contains("SUPABASE_SERVICE_KEY is not set"));
    }
}
