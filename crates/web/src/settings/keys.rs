//! The table of all keys: what may be configured, with default, help and example. The single place to add one.

/// What applies when a key is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultValue {
    /// This value.
    Value(&'static str),
    /// Nothing: the feature is off.
    Absent,
    /// A value made from others, described in words.
    Derived(&'static str),
}

/// What a value must look like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Text,
    Url,
    Address,
    Whole {
        min: u64,
        max: u64,
    },
    /// A number from `min` to `max`, both included.
    Number {
        min: f64,
        max: f64,
    },
    OneOf(&'static [&'static str]),
    /// At least so many bytes.
    Secret {
        min_bytes: usize,
    },
}

/// One key of the configuration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    /// Name of the environment variable; the file uses the same name in any case.
    pub name: &'static str,
    /// What applies without it.
    pub default: DefaultValue,
    /// Whether the value must never be shown.
    pub secret: bool,
    /// What it does, in one or two sentences with units.
    pub help: &'static str,
    /// A value that is accepted.
    pub example: &'static str,
    pub(super) kind: Kind,
}

const fn key(name: &'static str, kind: Kind, default: DefaultValue, example: &'static str, help: &'static str) -> Key {
    Key { name, default, secret: matches!(kind, Kind::Secret { .. }), help, example, kind }
}

use DefaultValue::{Absent, Derived, Value};
use Kind::{Address, Number, OneOf, Secret, Text, Url, Whole};

const PORT: Kind = Whole { min: 0, max: 65_535 };
const SHARE: Kind = Number { min: 0.0, max: 1.0 };
const WEIGHT: Kind = Number { min: 0.0, max: 100.0 };
const COUNT: Kind = Whole { min: 1, max: 100 };

/// All keys, in the order of the documentation.
pub const KEYS: &[Key] = &[
    key(
        "ENDCAP_ENVIRONMENT",
        OneOf(&["development", "production"]),
        Value("development"),
        "production",
        "Where the process runs. In production the secrets must be given and `.env` is not read.",
    ),
    key("ENDCAP_CONFIG_FILE", Text, Absent, "/etc/endcap/endcap.toml", "A TOML file with any of these keys; the environment wins over it."),
    Key {
        secret: true,
        ..key(
            "DATABASE_URL",
            Text,
            Value("sqlite://./data/endcap.db"),
            "postgres://endcap:password@localhost/endcap",
            "The database: `sqlite://PATH`, `postgres://...` or `mysql://...`. Counts as a secret since it may hold a password.",
        )
    },
    key("ENDCAP_DATABASE_POOL_MIN", Whole { min: 1, max: 1000 }, Value("10"), "10", "Connections kept open to PostgreSQL or MySQL."),
    key(
        "ENDCAP_DATABASE_POOL_MAX",
        Whole { min: 1, max: 1000 },
        Value("20"),
        "20",
        "Most connections open at once to PostgreSQL or MySQL; not under the minimum.",
    ),
    key("ENDCAP_SQLITE_READERS", Whole { min: 1, max: 64 }, Value("4"), "4", "Reading connections beside the single writer of SQLite."),
    key(
        "ENDCAP_DATABASE_ACQUIRE_TIMEOUT_MS",
        Whole { min: 10, max: 60_000 },
        Value("2000"),
        "2000",
        "Longest wait for a free database connection, in milliseconds; then 503.",
    ),
    key("SUPABASE_URL", Url, Absent, "https://abcdefgh.supabase.co", "The hosted Supabase project. Without it everything runs locally."),
    key("SUPABASE_KEY", Secret { min_bytes: 1 }, Absent, "sb_publishable_...", "The project's publishable (anon) key."),
    key("SUPABASE_SERVICE_KEY", Secret { min_bytes: 1 }, Absent, "sb_secret_...", "The project's service-role key."),
    key(
        "SUPABASE_JWT_SECRET",
        Secret { min_bytes: 32 },
        Absent,
        "the-jwt-secret-of-the-supabase-project",
        "Secret with which the project signs tokens; with it those tokens are accepted too. At least 32 bytes.",
    ),
    key(
        "ENDCAP_JWT_SECRET",
        Secret { min_bytes: 32 },
        Derived("built in for development; required in production"),
        "the output of: openssl rand -hex 32",
        "Signs access tokens (HS256). At least 32 bytes, the same for all three services.",
    ),
    key(
        "ENDCAP_SERVICE_SECRET",
        Secret { min_bytes: 32 },
        Derived("built in for development; required in production"),
        "the output of: openssl rand -hex 32",
        "Signs the tokens of calls between the services. At least 32 bytes, the same for all three services.",
    ),
    key(
        "ENDCAP_SEAL_KEYS",
        Secret { min_bytes: 1 },
        Absent,
        "k2:NEW_KEY,k1:OLD_KEY",
        "Master keys under which secrets are sealed at rest, as `ID:KEY` with 32 bytes in base64 (`endcap keys generate-seal-key`). The first seals, the others only open. \
         With them any secret setting may be given as `sealed:...` (`endcap seal`), and retailers may have API keys.",
    ),
    key("ENDCAP_BIND_ADDRESS", Address, Value("127.0.0.1"), "0.0.0.0", "Interface on which the public listeners answer."),
    key(
        "ENDCAP_PRIVATE_BIND_ADDRESS",
        Address,
        Value("127.0.0.1"),
        "10.0.0.5",
        "Interface on which the private listeners (other services, metrics) answer.",
    ),
    key("ENDCAP_CAMPAIGN_RUNTIME_PORT", PORT, Value("8000"), "8000", "Public port of the campaign runtime; 0 lets the system choose."),
    key("ENDCAP_RLHF_BACKEND_PORT", PORT, Value("8001"), "8001", "Public port of the RLHF backend; 0 lets the system choose."),
    key("ENDCAP_RATER_APP_PORT", PORT, Value("8002"), "8002", "Public port of the rater app; 0 lets the system choose."),
    key("ENDCAP_CAMPAIGN_RUNTIME_PRIVATE_PORT", PORT, Value("8100"), "8100", "Private port of the campaign runtime."),
    key("ENDCAP_RLHF_BACKEND_PRIVATE_PORT", PORT, Value("8101"), "8101", "Private port of the RLHF backend."),
    key("ENDCAP_RATER_APP_PRIVATE_PORT", PORT, Value("8102"), "8102", "Private port of the rater app."),
    key(
        "ENDCAP_CAMPAIGN_RUNTIME_URL",
        Url,
        Derived("http://localhost:PORT"),
        "https://campaigns.example.com",
        "Where people reach the campaign runtime: for links and cookies.",
    ),
    key(
        "ENDCAP_RLHF_BACKEND_URL",
        Url,
        Derived("http://localhost:PORT"),
        "https://learning.example.com",
        "Where people reach the RLHF backend.",
    ),
    key(
        "ENDCAP_RATER_APP_URL",
        Url,
        Derived("http://localhost:PORT"),
        "https://raters.example.com",
        "Where people reach the rater app, which also signs them in.",
    ),
    key(
        "ENDCAP_CAMPAIGN_RUNTIME_PRIVATE_URL",
        Url,
        Derived("http://127.0.0.1:PRIVATE_PORT"),
        "http://campaign-runtime:8100",
        "Where the other services reach the campaign runtime.",
    ),
    key(
        "ENDCAP_RLHF_BACKEND_PRIVATE_URL",
        Url,
        Derived("http://127.0.0.1:PRIVATE_PORT"),
        "http://rlhf-backend:8101",
        "Where the other services reach the RLHF backend.",
    ),
    key(
        "ENDCAP_RATER_APP_PRIVATE_URL",
        Url,
        Derived("http://127.0.0.1:PRIVATE_PORT"),
        "http://rater-app:8102",
        "Where the other services reach the rater app.",
    ),
    key(
        "ENDCAP_PEER_TIMEOUT_MS",
        Whole { min: 50, max: 60_000 },
        Value("2000"),
        "2000",
        "Longest wait for another service, in milliseconds; then its stated fallback.",
    ),
    key("ENDCAP_WORKERS", Whole { min: 1, max: 256 }, Value("2"), "4", "Worker threads of the public listener."),
    key(
        "ENDCAP_RATE_LIMITS",
        OneOf(&["on", "off"]),
        Value("on"),
        "off",
        "Whether callers and tenants are limited. Off is for benchmarks and behind a gateway that limits already.",
    ),
    key(
        "ENDCAP_RATE_LIMIT_CALLER",
        Text,
        Value("500/5000"),
        "50/500",
        "Limit of each account and API key over all processes, as RATE/BURST: so many requests each second, and so many at once.",
    ),
    key(
        "ENDCAP_RATE_LIMIT_TENANT",
        Text,
        Value("1000/10000"),
        "200/2000",
        "Limit of all callers of a tenant together over all processes, as RATE/BURST.",
    ),
    key(
        "ENDCAP_RATE_LIMIT_EXCEPTIONS",
        Text,
        Absent,
        "role:analyst=50/500,tenant:tnt-a=2000/20000",
        "Other limits for callers of a role and for single tenants, separated by commas.",
    ),
    key(
        "ENDCAP_MAX_BODY_BYTES",
        Whole { min: 1024, max: 1_073_741_824 },
        Value("1048576"),
        "1048576",
        "Largest JSON body accepted, in bytes; more is 413. Streamed uploads have limits of their own.",
    ),
    key(
        "ENDCAP_REQUEST_TIMEOUT_MS",
        Whole { min: 50, max: 600_000 },
        Value("30000"),
        "30000",
        "Longest time until an answer begins, in milliseconds; then 503. Streamed imports are exempt.",
    ),
    key(
        "ENDCAP_DRAIN_MS",
        Whole { min: 0, max: 60_000 },
        Value("200"),
        "5000",
        "How long `/health/ready` answers 503 before the listeners close, in milliseconds.",
    ),
    key(
        "ENDCAP_SHUTDOWN_TIMEOUT_MS",
        Whole { min: 100, max: 600_000 },
        Value("10000"),
        "10000",
        "Longest time from the signal to the end of the process, in milliseconds.",
    ),
    key("ENDCAP_LOG_FORMAT", OneOf(&["text", "json"]), Value("text"), "json", "Shape of log lines."),
    key("RUST_LOG", Text, Value("info"), "info,storage=debug", "Which log lines are written: a level, or levels by module."),
    key("ENDCAP_ACCESS_TOKEN_TTL_SECONDS", Whole { min: 60, max: 86_400 }, Value("3600"), "3600", "Life of an access token, in seconds."),
    key("ENDCAP_REFRESH_TOKEN_TTL_DAYS", Whole { min: 1, max: 365 }, Value("30"), "30", "Life of a refresh token, in days."),
    key("ENDCAP_SIGNUP", OneOf(&["open", "closed"]), Value("open"), "closed", "Whether strangers may sign up as raters."),
    key("ENDCAP_COOKIE_DOMAIN", Text, Absent, "example.com", "Domain of the session cookie when the services have different host names."),
    key(
        "ENDCAP_PII",
        OneOf(&["redact", "refuse", "off"]),
        Value("redact"),
        "refuse",
        "What happens to personal data in texts that raters may see: masked before they are stored, refused with 422, or let through.",
    ),
    key(
        "ENDCAP_ARTIFACT_DIRECTORY",
        Text,
        Value("./data/artifacts"),
        "/var/lib/endcap/artifacts",
        "Folder for model artifacts, datasets and exports when no hosted storage is configured.",
    ),
    key(
        "ENDCAP_LEASE_SECONDS",
        Whole { min: 10, max: 86_400 },
        Value("300"),
        "300",
        "How long an assignment is held without a heartbeat, in seconds.",
    ),
    key("ENDCAP_JUDGMENTS_PER_TASK", COUNT, Value("2"), "2", "Judgments asked for at first for a task that names no number."),
    key(
        "ENDCAP_MAX_JUDGMENTS_PER_TASK",
        COUNT,
        Value("5"),
        "5",
        "Judgments at most for a task that names no number: one more is asked for until ENDCAP_ADAPTIVE_POSTERIOR is reached, then an expert.",
    ),
    key(
        "ENDCAP_ADAPTIVE_POSTERIOR",
        Number { min: 0.5, max: 1.0 },
        Value("0.90"),
        "0.90",
        "Posterior probability from which no further judgment is asked for, for a task that names no number.",
    ),
    key("ENDCAP_QUEUE_WEIGHT_PRIORITY", WEIGHT, Value("1"), "1", "How much a task's priority (0 to 1) counts in the queue."),
    key("ENDCAP_QUEUE_WEIGHT_AGE", WEIGHT, Value("0.25"), "0.25", "How much each day of waiting counts in the queue."),
    key("ENDCAP_QUEUE_WEIGHT_UNCERTAINTY", WEIGHT, Value("0.5"), "0.5", "How much uncertainty (0 to 1) counts in the queue."),
    key(
        "ENDCAP_QUEUE_WEIGHT_SKILL",
        WEIGHT,
        Value("0.25"),
        "0.25",
        "How much the bits that a rater is expected to add count in the queue.",
    ),
    key(
        "ENDCAP_QUEUE_WEIGHT_QUOTA",
        WEIGHT,
        Value("0.25"),
        "0.25",
        "How much it counts that a retailer was served less than others (-1 to 1).",
    ),
    key(
        "ENDCAP_DAILY_JUDGMENTS_PER_RATER",
        Whole { min: 0, max: 100_000 },
        Value("0"),
        "400",
        "Judgments a rater may give in 24 hours; 0 is no bound.",
    ),
    key("ENDCAP_MAX_SKIPS_PER_TASK", COUNT, Value("3"), "3", "Raters who may pass over a task before an expert looks at it."),
    key("ENDCAP_CALIBRATION_RETRY_HOURS", Whole { min: 0, max: 8_760 }, Value("24"), "24", "Hours until calibration may be tried again."),
    key("ENDCAP_CALIBRATION_ATTEMPTS", COUNT, Value("3"), "3", "How often a rater may try calibration for a task type."),
    key("ENDCAP_UNDO_SECONDS", Whole { min: 0, max: 3600 }, Value("60"), "60", "How long a judgment may be taken back, in seconds."),
    key(
        "ENDCAP_REVIEW_SLA_HOURS",
        Whole { min: 1, max: 2160 },
        Value("24"),
        "8",
        "Until when an expert should have decided a task that raters escalated or dispute, in hours; then it counts as overdue.",
    ),
    key("ENDCAP_CALIBRATION_P0", SHARE, Value("0.60"), "0.60", "Accuracy on golden items that is not enough."),
    key("ENDCAP_CALIBRATION_P1", SHARE, Value("0.85"), "0.85", "Accuracy on golden items that is enough; over ENDCAP_CALIBRATION_P0."),
    key(
        "ENDCAP_CALIBRATION_ALPHA",
        Number { min: 0.001, max: 0.5 },
        Value("0.10"),
        "0.10",
        "Accepted chance of passing a rater who is not good enough.",
    ),
    key(
        "ENDCAP_CALIBRATION_BETA",
        Number { min: 0.001, max: 0.5 },
        Value("0.10"),
        "0.10",
        "Accepted chance of failing a rater who is good enough.",
    ),
    key("ENDCAP_CALIBRATION_CAP", Whole { min: 1, max: 1000 }, Value("40"), "40", "Most golden items before calibration decides."),
    key("ENDCAP_GOLDEN_RATE", SHARE, Value("0.10"), "0.10", "Share of golden items among the tasks given to calibrated raters."),
    key(
        "ENDCAP_INTEGRITY_ACTIONS",
        OneOf(&["automatic", "by_hand"]),
        Value("automatic"),
        "automatic",
        "Whether raters whose judgments look dishonest are warned, tested, paused and voided automatically, or only listed.",
    ),
    key(
        "ENDCAP_INTEGRITY_PAUSE_HOURS",
        Whole { min: 0, max: 8_760 },
        Value("24"),
        "24",
        "How long a paused rater waits for somebody to look before recent judgments are voided, in hours.",
    ),
    key(
        "ENDCAP_INTEGRITY_VOID_DAYS",
        Whole { min: 1, max: 365 },
        Value("7"),
        "7",
        "How far back the judgments of a voided rater are taken out of the count, in days.",
    ),
    key(
        "ENDCAP_CONSENSUS_POSTERIOR",
        Number { min: 0.5, max: 1.0 },
        Value("0.66"),
        "0.66",
        "Posterior probability from which a task counts as decided.",
    ),
    key(
        "ENDCAP_CLOSE_CALL_MARGIN",
        Number { min: 0.0, max: 0.5 },
        Value("0.15"),
        "0.15",
        "Plans whose win probability lies nearer to one half than this are put to people.",
    ),
    key(
        "ENDCAP_PERFORMANCE_RETENTION_MONTHS",
        Whole { min: 1, max: 1_200 },
        Absent,
        "36",
        "Whole months of performance rows that are kept before the present one; older rows are dropped, their sums stay. Without it all are kept.",
    ),
    key(
        "ENDCAP_REALTIME_POLL_MS",
        Whole { min: 10, max: 60_000 },
        Value("200"),
        "200",
        "How often a database without notifications is asked for new events, in milliseconds.",
    ),
    key(
        "ENDCAP_IMPORT_DIRECTORY",
        Text,
        Absent,
        "/var/lib/endcap/imports",
        "Folder in which files to import wait, on a disk with room for them; absent means the system's temporary folder.",
    ),
    key(
        "ENDCAP_IMPORT_MAX_BYTES",
        Whole { min: 1_000, max: 1_000_000_000_000_000 },
        Value("17179869184"),
        "17179869184",
        "Largest file to import, in bytes as sent.",
    ),
    key(
        "ENDCAP_IMPORT_MAX_UNPACKED_BYTES",
        Whole { min: 1_000, max: 1_000_000_000_000_000 },
        Value("274877906944"),
        "274877906944",
        "Most bytes that a packed file to import may unpack to.",
    ),
    key(
        "ENDCAP_IMPORT_WORKERS",
        Whole { min: 1, max: 64 },
        Value("2"),
        "2",
        "Imports that run at once; one tenant runs at most half of them.",
    ),
];
