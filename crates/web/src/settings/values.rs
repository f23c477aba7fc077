//! From texts to typed settings: every value is checked against its key, and all mistakes are collected.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use crate::sealing::{SEALED_PREFIX, SealKeys};

use super::key::{DefaultValue, Key, Kind};
use super::keys::KEYS;
use super::rates::{self, RateLimits, RateRule};
use super::{
    Calibration, Environment, KeyFigures, Limits, LogFormat, Mistake, Overlap, PiiRule, Pool, QueueWeights, Rating, ServiceAddress,
    Settings, SettingsError, UnitCosts,
};

/// Why a secret is none: everybody can read or guess it. Length is looked at by its key.
fn guessable(secret: &SecretString) -> Option<&'static str> {
    use secrecy::ExposeSecret as _;
    let text = secret.expose_secret();
    let different: std::collections::BTreeSet<char> = text.chars().collect();
    match text {
        DEVELOPMENT_JWT_SECRET | DEVELOPMENT_SERVICE_SECRET => {
            Some("is the built-in development secret, which everybody knows; give random bytes")
        }
        _ if different.len() < 8 => Some("has hardly any different characters and can be guessed; give random bytes"),
        _ => None,
    }
}

/// Known to everybody who reads the source: only good for development.
const DEVELOPMENT_JWT_SECRET: &str = "endcap-development-jwt-secret-not-for-production";
const DEVELOPMENT_SERVICE_SECRET: &str = "endcap-development-service-secret-not-for-production";

pub(super) struct Values {
    pub(super) texts: BTreeMap<&'static str, String>,
    mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<String>,
    seal_keys: SealKeys,
}

const SEAL_KEYS: &str = "ENDCAP_SEAL_KEYS";

impl Values {
    /// Checks each text against its key; texts that fail are dropped, so that later steps see good values only.
    pub(super) fn new(texts: BTreeMap<&'static str, String>, mistakes: Vec<Mistake>) -> Self {
        let mut values = Self { texts, mistakes, warnings: Vec::new(), seal_keys: SealKeys::default() };
        values.open_sealed();
        for key in KEYS {
            if let Some(problem) = values.texts.get(key.name).and_then(|text| check(key, text)) {
                values.mistake(key.name, problem);
                values.texts.remove(key.name);
            }
        }
        values
    }

    /// Puts what is sealed into the place of the sealed text, so that everything after sees plain values.
    fn open_sealed(&mut self) {
        let keys = match SealKeys::parse(self.texts.get(SEAL_KEYS).map_or("", String::as_str)) {
            Ok(keys) => keys,
            Err(problem) => {
                self.mistake(SEAL_KEYS, problem);
                self.texts.remove(SEAL_KEYS);
                SealKeys::default()
            }
        };
        for key in KEYS.iter().filter(|key| key.secret && key.name != SEAL_KEYS) {
            let Some(text) = self.texts.get(key.name).filter(|text| text.starts_with(SEALED_PREFIX)).cloned() else { continue };
            match keys.open_setting(key.name, &text) {
                Ok(opened) => drop(self.texts.insert(key.name, opened.expose_secret().to_owned())),
                Err(error) => {
                    self.mistake(key.name, format!("is sealed and cannot be used: {error}"));
                    self.texts.remove(key.name);
                }
            }
        }
        self.seal_keys = keys;
    }

    pub(super) fn into_settings(mut self) -> Result<Settings, SettingsError> {
        let environment = if self.text("ENDCAP_ENVIRONMENT") == "production" { Environment::Production } else { Environment::Development };
        let settings = Settings {
            environment,
            database_url: self.text("DATABASE_URL").into(),
            pool: self.pool(),
            supabase: self.supabase(),
            jwt_secret: self.own_secret(environment, "ENDCAP_JWT_SECRET", DEVELOPMENT_JWT_SECRET),
            service_secret: self.own_secret(environment, "ENDCAP_SERVICE_SECRET", DEVELOPMENT_SERVICE_SECRET),
            seal_keys: self.seal_keys.clone(),
            pii: match self.text("ENDCAP_PII").as_str() {
                "refuse" => PiiRule::Refuse,
                "off" => PiiRule::Off,
                _ => PiiRule::Redact,
            },
            bind_address: self.address("ENDCAP_BIND_ADDRESS"),
            private_bind_address: self.address("ENDCAP_PRIVATE_BIND_ADDRESS"),
            campaign_runtime: self.service("CAMPAIGN_RUNTIME"),
            rlhf_backend: self.service("RLHF_BACKEND"),
            rater_app: self.service("RATER_APP"),
            limits: self.limits(),
            rate_limits: self.rate_limits(),
            log_format: if self.text("ENDCAP_LOG_FORMAT") == "json" { LogFormat::Json } else { LogFormat::Text },
            log_filter: self.text("RUST_LOG"),
            telemetry: self.telemetry(),
            sign_in: self.sign_in(),
            trusted_proxies: self.trusted_proxies(),
            rating: self.rating(),
            peer_timeout: self.millis("ENDCAP_PEER_TIMEOUT_MS"),
            realtime_poll: self.millis("ENDCAP_REALTIME_POLL_MS"),
            realtime_rooms: self.rooms("ENDCAP_REALTIME_ROOMS"),
            realtime_visitor_rooms: self.visitor_rooms(),
            performance_retention_months: self.texts.get("ENDCAP_PERFORMANCE_RETENTION_MONTHS").and_then(|text| text.parse().ok()),
            reflection_retention_days: Some(self.whole("ENDCAP_REFLECTION_RETENTION_DAYS")).filter(|days| *days > 0),
            artifacts: self.artifacts(),
            imports: super::Imports {
                directory: Some(self.text("ENDCAP_IMPORT_DIRECTORY")).filter(|text| !text.is_empty()),
                max_bytes: self.whole("ENDCAP_IMPORT_MAX_BYTES"),
                max_unpacked_bytes: self.whole("ENDCAP_IMPORT_MAX_UNPACKED_BYTES"),
                workers: self.whole("ENDCAP_IMPORT_WORKERS"),
            },
            key_figures: self.key_figures(),
            webhooks: self.webhooks(),
            warnings: std::mem::take(&mut self.warnings),
        };
        if self.mistakes.is_empty() { Ok(settings) } else { Err(SettingsError { mistakes: self.mistakes }) }
    }

    fn key_figures(&mut self) -> KeyFigures {
        let minutes: u64 = self.whole("ENDCAP_KEY_FIGURES_MINUTES");
        let currency = self.text("ENDCAP_COST_CURRENCY");
        if let Err(invalid) = domain::money::check_currency("ENDCAP_COST_CURRENCY", &currency) {
            invalid.fields.into_iter().for_each(|error| self.mistake("ENDCAP_COST_CURRENCY", error.message));
        }
        let mut is_priced = false;
        let mut micros = |key: &'static str| {
            let Some(text) = self.texts.get(key).cloned() else { return 0 };
            is_priced = true;
            domain::money::parse_micros(key, &text).unwrap_or_else(|invalid| {
                invalid.fields.into_iter().for_each(|error| self.mistake(key, error.message));
                0
            })
        };
        let costs = UnitCosts {
            per_judgment_micros: micros("ENDCAP_COST_PER_JUDGMENT"),
            per_rater_hour_micros: micros("ENDCAP_COST_PER_RATER_HOUR"),
            per_expert_hour_micros: micros("ENDCAP_COST_PER_EXPERT_HOUR"),
            currency,
        };
        KeyFigures {
            every: (minutes > 0).then(|| Duration::from_secs(60 * minutes)),
            catch_up_days: self.whole("ENDCAP_KEY_FIGURES_CATCH_UP_DAYS"),
            costs: is_priced.then_some(costs),
        }
    }

    fn pool(&mut self) -> Pool {
        let pool = Pool {
            min: self.whole("ENDCAP_DATABASE_POOL_MIN"),
            max: self.whole("ENDCAP_DATABASE_POOL_MAX"),
            sqlite_readers: self.whole("ENDCAP_SQLITE_READERS"),
            acquire_timeout: self.millis("ENDCAP_DATABASE_ACQUIRE_TIMEOUT_MS"),
        };
        if pool.min > pool.max {
            self.mistake("ENDCAP_DATABASE_POOL_MAX", format!("is {}, under ENDCAP_DATABASE_POOL_MIN, which is {}", pool.max, pool.min));
        }
        pool
    }

    fn service(&self, name: &str) -> ServiceAddress {
        let port: u16 = self.whole(&format!("ENDCAP_{name}_PORT"));
        let private_port: u16 = self.whole(&format!("ENDCAP_{name}_PRIVATE_PORT"));
        let url = |key: String, default: String| self.texts.get(key.as_str()).map_or(default, |url| url.trim_end_matches('/').to_owned());
        ServiceAddress {
            port,
            private_port,
            public_url: url(format!("ENDCAP_{name}_URL"), format!("http://localhost:{port}")),
            private_url: url(format!("ENDCAP_{name}_PRIVATE_URL"), format!("http://127.0.0.1:{private_port}")),
            private_url_is_given: self.texts.contains_key(format!("ENDCAP_{name}_PRIVATE_URL").as_str()),
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            workers: self.whole("ENDCAP_WORKERS"),
            max_body_bytes: self.whole("ENDCAP_MAX_BODY_BYTES"),
            request_timeout: self.millis("ENDCAP_REQUEST_TIMEOUT_MS"),
            drain: self.millis("ENDCAP_DRAIN_MS"),
            shutdown_timeout: self.millis("ENDCAP_SHUTDOWN_TIMEOUT_MS"),
        }
    }

    fn rate_limits(&mut self) -> RateLimits {
        let mut rule = |key: &'static str| match rates::rule(&self.text(key)) {
            Ok(rule) => rule,
            Err(problem) => {
                self.mistake(key, problem);
                RateRule { burst: 1, per_second: 1.0 }
            }
        };
        let (caller, tenant) = (rule("ENDCAP_RATE_LIMIT_CALLER"), rule("ENDCAP_RATE_LIMIT_TENANT"));
        let exceptions =
            self.texts.get("ENDCAP_RATE_LIMIT_EXCEPTIONS").map_or_else(|| Ok(Default::default()), |text| rates::exceptions(text));
        let (roles, tenants) = exceptions.unwrap_or_else(|problem| {
            self.mistake("ENDCAP_RATE_LIMIT_EXCEPTIONS", problem);
            Default::default()
        });
        RateLimits { is_on: self.text("ENDCAP_RATE_LIMITS") == "on", caller, tenant, roles, tenants }
    }

    fn rating(&mut self) -> Rating {
        let calibration = Calibration {
            p0: self.number("ENDCAP_CALIBRATION_P0"),
            p1: self.number("ENDCAP_CALIBRATION_P1"),
            alpha: self.number("ENDCAP_CALIBRATION_ALPHA"),
            beta: self.number("ENDCAP_CALIBRATION_BETA"),
            cap: self.whole("ENDCAP_CALIBRATION_CAP"),
            retry: Duration::from_secs(3_600 * self.whole::<u64>("ENDCAP_CALIBRATION_RETRY_HOURS")),
            attempts: self.whole("ENDCAP_CALIBRATION_ATTEMPTS"),
        };
        let (first, most): (u32, u32) = (self.whole("ENDCAP_JUDGMENTS_PER_TASK"), self.whole("ENDCAP_MAX_JUDGMENTS_PER_TASK"));
        if first > most && self.texts.contains_key("ENDCAP_MAX_JUDGMENTS_PER_TASK") {
            self.mistake("ENDCAP_MAX_JUDGMENTS_PER_TASK", format!("is {most}, under ENDCAP_JUDGMENTS_PER_TASK, which is {first}"));
        }
        let both_given = self.texts.contains_key("ENDCAP_CALIBRATION_P0") && self.texts.contains_key("ENDCAP_CALIBRATION_P1");
        if both_given && calibration.p0 >= calibration.p1 {
            let problem = format!("is {}, which must be over ENDCAP_CALIBRATION_P0, which is {}", calibration.p1, calibration.p0);
            self.mistake("ENDCAP_CALIBRATION_P1", problem);
        }
        Rating {
            lease: Duration::from_secs(self.whole("ENDCAP_LEASE_SECONDS")),
            judgments_per_task: self.whole("ENDCAP_JUDGMENTS_PER_TASK"),
            undo: Duration::from_secs(self.whole("ENDCAP_UNDO_SECONDS")),
            review_sla: Duration::from_secs(3600 * self.whole::<u64>("ENDCAP_REVIEW_SLA_HOURS")),
            golden_rate: self.number("ENDCAP_GOLDEN_RATE"),
            consensus_posterior: self.number("ENDCAP_CONSENSUS_POSTERIOR"),
            close_call_margin: self.number("ENDCAP_CLOSE_CALL_MARGIN"),
            calibration,
            overlap: Overlap {
                max_judgments: self.whole("ENDCAP_MAX_JUDGMENTS_PER_TASK"),
                posterior: self.number("ENDCAP_ADAPTIVE_POSTERIOR"),
            },
            queue: QueueWeights {
                priority: self.number("ENDCAP_QUEUE_WEIGHT_PRIORITY"),
                age: self.number("ENDCAP_QUEUE_WEIGHT_AGE"),
                uncertainty: self.number("ENDCAP_QUEUE_WEIGHT_UNCERTAINTY"),
                selection: self.number("ENDCAP_QUEUE_WEIGHT_SELECTION"),
                skill: self.number("ENDCAP_QUEUE_WEIGHT_SKILL"),
                quota: self.number("ENDCAP_QUEUE_WEIGHT_QUOTA"),
            },
            selection: super::Selection {
                batch: self.whole("ENDCAP_SELECTION_BATCH"),
                random_share: self.number("ENDCAP_SELECTION_RANDOM_SHARE"),
                every: Some(self.whole::<u64>("ENDCAP_SELECTION_SECONDS")).filter(|seconds| *seconds > 0).map(Duration::from_secs),
            },
            daily_judgments: self.whole("ENDCAP_DAILY_JUDGMENTS_PER_RATER"),
            max_skips: self.whole("ENDCAP_MAX_SKIPS_PER_TASK"),
            integrity: super::Integrity {
                is_automatic: self.text("ENDCAP_INTEGRITY_ACTIONS") == "automatic",
                pause: Duration::from_secs(self.whole::<u64>("ENDCAP_INTEGRITY_PAUSE_HOURS").saturating_mul(3_600)),
                void_window: Duration::from_secs(self.whole::<u64>("ENDCAP_INTEGRITY_VOID_DAYS").saturating_mul(86_400)),
            },
        }
    }

    fn own_secret(&mut self, environment: Environment, name: &'static str, development: &str) -> SecretString {
        if let Some(secret) = self.secret(name) {
            if environment == Environment::Production
                && let Some(problem) = guessable(&secret)
            {
                self.mistake(name, problem.to_owned());
            }
            return secret;
        }
        let is_refused_already = self.mistakes.iter().any(|m| m.key == name || m.key.strip_suffix("_FILE") == Some(name));
        match environment {
            Environment::Production if !is_refused_already => {
                self.mistake(
                    name,
                    "is required in production (ENDCAP_ENVIRONMENT=production): give at least 32 random bytes, or a file with them"
                        .to_owned(),
                );
            }
            Environment::Production => {}
            Environment::Development => {
                self.warnings.push(format!("{name} is not set: using the built-in development secret, which everybody knows"))
            }
        }
        development.to_owned().into()
    }

    pub(super) fn mistake(&mut self, name: &str, problem: String) {
        let example = KEYS.iter().find(|key| key.name == name).map_or("", |key| key.example);
        self.mistakes.push(Mistake { key: name.to_owned(), problem, example: example.to_owned() });
    }

    /// The parts of a list with commas.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let text = self.texts.get(name).map(String::as_str).unwrap_or_default();
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    /// The text given, else the default of the table (a bad text was reported and dropped before).
    pub(super) fn text(&self, name: &str) -> String {
        let default = || KEYS.iter().find(|key| key.name == name).map(|key| key.default);
        match (self.texts.get(name), default()) {
            (Some(text), _) => text.clone(),
            (None, Some(DefaultValue::Value(value))) => value.to_owned(),
            (None, _) => String::new(),
        }
    }

    pub(super) fn secret(&self, name: &str) -> Option<SecretString> {
        self.texts.get(name).map(|text| text.clone().into())
    }

    pub(super) fn whole<T: std::str::FromStr + Default>(&self, name: &str) -> T {
        self.text(name).parse().unwrap_or_default()
    }

    pub(super) fn number(&self, name: &str) -> f64 {
        self.text(name).parse().unwrap_or_default()
    }

    fn millis(&self, name: &str) -> Duration {
        Duration::from_millis(self.whole(name))
    }

    fn address(&self, name: &str) -> IpAddr {
        self.text(name).parse().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }
}

/// What is wrong with a value; `None` when nothing is.
fn check(key: &Key, text: &str) -> Option<String> {
    match key.kind {
        Kind::Text => None,
        Kind::Url => (!is_http_url(text)).then(|| format!("{text:?} is not an http:// or https:// address without query")),
        Kind::Address => text.parse::<IpAddr>().is_err().then(|| format!("{text:?} is not an IP address")),
        Kind::Whole { .. } if text.starts_with("tcp://") => {
            Some(format!("{text:?} was put there by Kubernetes service links; set enableServiceLinks: false in the pod"))
        }
        Kind::Whole { min, max } => match text.parse::<u64>() {
            Ok(value) if (min..=max).contains(&value) => None,
            _ => Some(format!("{text:?} is not a whole number from {min} to {max}")),
        },
        Kind::Number { min, max } => match text.parse::<f64>() {
            Ok(value) if (min..=max).contains(&value) => None,
            _ => Some(format!("{text:?} is not a number from {min} to {max}")),
        },
        Kind::OneOf(words) => (!words.contains(&text)).then(|| format!("{text:?} is not one of: {}", words.join(", "))),
        Kind::Secret { min_bytes } => (text.len() < min_bytes).then(|| format!("has {} bytes, needs at least {min_bytes}", text.len())),
    }
}

fn is_http_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let host = rest.split('/').next().unwrap_or("");
        !host.is_empty() && !rest.contains(|c: char| c.is_whitespace() || matches!(c, '?' | '#' | '"' | '\'' | ';' | ','))
    })
}
