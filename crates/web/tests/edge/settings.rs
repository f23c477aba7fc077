//! Each mistake in the configuration gets the sentence that mends it.

use std::time::Duration;

use web::settings::{ArtifactStore, Environment, Settings, Sources};

const NOTHING: [(&str, &str); 0] = [];

/// Variables, and what the refusal must say.
type Case = (&'static [(&'static str, &'static str)], &'static [&'static str]);

fn refusal(variables: &[(&str, &str)]) -> String {
    Settings::from_variables(variables.iter().copied()).unwrap_err().to_string()
}

#[test]
fn defaults_are_those_of_the_contract() {
    let settings = Settings::from_variables(NOTHING).unwrap();
    let ports = [&settings.campaign_runtime, &settings.rlhf_backend, &settings.rater_app].map(|s| (s.port, s.private_port));
    assert_eq!(ports, [(8000, 8100), (8001, 8101), (8002, 8102)]);
    assert_eq!(settings.rlhf_backend.private_url, "http://127.0.0.1:8101");
    assert_eq!((settings.pool.min, settings.pool.max), (10, 20));
    assert_eq!(settings.sign_in.access_token_ttl, Duration::from_secs(3600));
    assert_eq!(settings.environment, Environment::Development);
    assert_eq!(settings.warnings.len(), 2, "{:?}", settings.warnings);
}

#[test]
fn artifacts_go_to_what_is_configured() {
    let project = [("SUPABASE_URL", "https://x.supabase.co"), ("SUPABASE_SERVICE_KEY", "sb_secret_x")];
    let s3 = [("ENDCAP_S3_BUCKET", "endcap"), ("ENDCAP_S3_ACCESS_KEY_ID", "id"), ("ENDCAP_S3_SECRET_ACCESS_KEY", "key")];
    let both = [project.as_slice(), s3.as_slice()].concat();
    let named = |store| [both.as_slice(), &[("ENDCAP_ARTIFACT_STORE", store)]].concat();
    for (variables, store) in [
        (Vec::new(), ArtifactStore::Local),
        (s3.to_vec(), ArtifactStore::S3),
        (both.clone(), ArtifactStore::Supabase),
        (named("s3"), ArtifactStore::S3),
        (named("local"), ArtifactStore::Local),
    ] {
        assert_eq!(Settings::from_variables(variables.clone()).unwrap().artifacts.store, store, "{variables:?}");
    }
    let artifacts = Settings::from_variables(s3.to_vec()).unwrap().artifacts;
    assert_eq!(artifacts.s3.unwrap().endpoint, "https://s3.us-east-1.amazonaws.com");
}

#[test]
fn every_mistake_is_named_with_problem_and_example() {
    let cases: &[Case] = &[
        (
            &[("ENDCAP_RATER_APP_PORT", "eighty")],
            &["ENDCAP_RATER_APP_PORT", "\"eighty\" is not a whole number from 0 to 65535", "ENDCAP_RATER_APP_PORT=8002"],
        ),
        (&[("ENDCAP_RATER_APP_PORT", "70000")], &["from 0 to 65535"]),
        (&[("ENDCAP_RATER_APP_PORT", "tcp://10.0.0.1:8002")], &["enableServiceLinks: false"]),
        (&[("ENDCAP_SINGUP", "open")], &["ENDCAP_SINGUP: is not a key", "did you mean ENDCAP_SIGNUP"]),
        (&[("ENDCAP_COMPLETELY_UNRELATED_WORDS", "1")], &["docs/configuration.md"]),
        (&[("ENDCAP_SIGNUP", "maybe")], &["\"maybe\" is not one of: open, approval, closed"]),
        (&[("ENDCAP_GOLDEN_RATE", "10%")], &["\"10%\" is not a number from 0 to 1", "ENDCAP_GOLDEN_RATE=0.10"]),
        (&[("ENDCAP_GOLDEN_RATE", "NaN")], &["not a number from 0 to 1"]),
        (&[("ENDCAP_BIND_ADDRESS", "localhost")], &["not an IP address", "0.0.0.0"]),
        (&[("ENDCAP_RATER_APP_URL", "raters.example.com")], &["http:// or https://"]),
        (&[("ENDCAP_JWT_SECRET", "short")], &["ENDCAP_JWT_SECRET: has 5 bytes, needs at least 32"]),
        (&[("ENDCAP_DATABASE_POOL_MIN", "30")], &["ENDCAP_DATABASE_POOL_MAX: is 20, under ENDCAP_DATABASE_POOL_MIN, which is 30"]),
        (&[("ENDCAP_CALIBRATION_P0", "0.9")], &["ENDCAP_CALIBRATION_P1: is 0.85, which must be over"]),
        (&[("SUPABASE_URL", "https://x.supabase.co")], &["SUPABASE_URL", "SUPABASE_KEY"]),
        (&[("ENDCAP_ARTIFACT_STORE", "s3")], &["ENDCAP_S3_BUCKET: is required with ENDCAP_ARTIFACT_STORE=s3", "ENDCAP_S3_BUCKET=endcap"]),
        (
            &[("ENDCAP_ARTIFACT_STORE", "supabase")],
            &["ENDCAP_ARTIFACT_STORE: is `supabase`, which needs SUPABASE_URL and SUPABASE_SERVICE_KEY"],
        ),
        (&[("ENDCAP_S3_BUCKET", "endcap")], &["ENDCAP_S3_ACCESS_KEY_ID: is required", "ENDCAP_S3_SECRET_ACCESS_KEY: is required"]),
        (&[("ENDCAP_S3_BUCKET", "Not_a_bucket")], &["\"Not_a_bucket\" is no name of a bucket"]),
        (&[("ENDCAP_EXPORTS_MAX_BYTES", "10")], &["whole number from 1024"]),
        (
            &[("ENDCAP_ENVIRONMENT", "production")],
            &["ENDCAP_JWT_SECRET: is required in production", "ENDCAP_SERVICE_SECRET: is required in production"],
        ),
        (
            &[
                ("ENDCAP_ENVIRONMENT", "production"),
                ("ENDCAP_JWT_SECRET", "endcap-development-jwt-secret-not-for-production"),
                ("ENDCAP_SERVICE_SECRET", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
            ],
            &["ENDCAP_JWT_SECRET: is the built-in development secret", "ENDCAP_SERVICE_SECRET: has hardly any different characters"],
        ),
        (&[("ENDCAP_JWT_SECRET_FILE", "/does/not/exist")], &["ENDCAP_JWT_SECRET_FILE", "cannot be read", "/run/secrets/endcap_jwt_secret"]),
        (&[("ENDCAP_CONFIG_FILE", "/does/not/exist.toml")], &["ENDCAP_CONFIG_FILE", "cannot be read"]),
        (
            &[("ENDCAP_WEBHOOK_PORTS", "443,https"), ("ENDCAP_WEBHOOK_NETWORKS", "10.0.0.1")],
            &["\"https\" is no port", "is no network such as"],
        ),
        (
            &[("OTEL_EXPORTER_OTLP_HEADERS", "authorization")],
            &["OTEL_EXPORTER_OTLP_HEADERS: part 1 is not NAME=VALUE", "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20..."],
        ),
        (&[("ENDCAP_SIGNUP", "maybe"), ("ENDCAP_WORKERS", "0")], &["2 mistake(s)", "ENDCAP_SIGNUP", "ENDCAP_WORKERS"]),
    ];
    for (variables, sentences) in cases {
        let text = refusal(variables);
        for sentence in *sentences {
            assert!(text.contains(sentence), "{variables:?} must say {sentence:?}, said {text}");
        }
    }
}

#[test]
fn secrets_are_shown_neither_in_errors_nor_in_debug() {
    let short = "hunter2";
    assert!(!refusal(&[("ENDCAP_JWT_SECRET", short)]).contains(short));
    let long = "hunter2-hunter2-hunter2-hunter2-hunter2";
    let settings = Settings::from_variables([("ENDCAP_JWT_SECRET", long), ("DATABASE_URL", "postgres://u:hunter2@h/d")]).unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn environment_wins_over_dotenv_and_file_and_empty_is_unset() {
    let folder = std::env::temp_dir().join(format!("endcap-settings-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("endcap.toml");
    std::fs::write(&file, "endcap_signup = \"closed\"\nENDCAP_WORKERS = 7\nendcap_lease_seconds = 90\n").unwrap();
    let secret = folder.join("secret");
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef\n").unwrap();
    let path = |p: &std::path::Path| p.to_string_lossy().into_owned();
    let variables = [
        ("ENDCAP_CONFIG_FILE".to_owned(), path(&file)),
        ("ENDCAP_WORKERS".to_owned(), "3".to_owned()),
        ("ENDCAP_JWT_SECRET_FILE".to_owned(), path(&secret)),
        ("ENDCAP_UNDO_SECONDS".to_owned(), String::new()),
        ("PATH".to_owned(), "/bin".to_owned()),
    ];
    let dotenv = "# comment\nexport ENDCAP_LEASE_SECONDS=\"120\"\nENDCAP_WORKERS=9\n".to_owned();
    let settings = Settings::from_sources(&Sources { variables: variables.into(), dotenv: Some(dotenv) }).unwrap();
    assert_eq!(settings.limits.workers, 3);
    assert_eq!(settings.rating.lease, Duration::from_secs(120));
    assert_eq!(settings.rating.undo, Duration::from_secs(60));
    assert_eq!(settings.sign_in.signup, web::settings::Signup::Closed);
    std::fs::write(&file, "endcap_sigup = \"closed\"\n[table]\na = 1\n").unwrap();
    let text = refusal(&[("ENDCAP_CONFIG_FILE", &path(&file))]);
    assert!(text.contains("did you mean ENDCAP_SIGNUP"), "{text}");
    std::fs::write(&file, "endcap_signup = \n").unwrap();
    assert!(refusal(&[("ENDCAP_CONFIG_FILE", &path(&file))]).contains("not valid TOML"));
    std::fs::remove_dir_all(&folder).unwrap();
}
