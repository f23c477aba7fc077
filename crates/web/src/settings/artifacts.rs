//! Where artifacts are kept and how large they may be: its keys, and what they make.

use secrecy::SecretString;

use super::key::DefaultValue::{Absent, Derived, Value};
use super::key::Kind::{self, OneOf, Secret, Text, Url, Whole};
use super::key::{Key, key};

/// From a kibibyte to what ten thousand parts of eight mebibytes hold.
const BYTES: Kind = Whole { min: 1024, max: 80_000_000_000 };

/// Five gibibytes.
const FIVE_GIB: &str = "5368709120";

pub(super) const STORE: Key = key(
    "ENDCAP_ARTIFACT_STORE",
    OneOf(&["local", "s3", "supabase"]),
    Derived("`supabase` with SUPABASE_URL and SUPABASE_SERVICE_KEY, else `s3` with ENDCAP_S3_BUCKET, else `local`"),
    "s3",
    "Which store new artifacts go to: a local folder, an S3-compatible store, or Storage of the Supabase project. What is in another one stays readable while that is configured.",
);

pub(super) const DIRECTORY: Key = key(
    "ENDCAP_ARTIFACT_DIRECTORY",
    Text,
    Value("./data/artifacts"),
    "/var/lib/endcap/artifacts",
    "Folder of the local store. Several processes of the RLHF backend must share it.",
);

pub(super) const S3_ENDPOINT: Key = key(
    "ENDCAP_S3_ENDPOINT",
    Url,
    Derived("the address of AWS in the region"),
    "https://minio.example.com",
    "Address of the S3-compatible store, without the bucket.",
);

pub(super) const S3_BUCKET: Key =
    key("ENDCAP_S3_BUCKET", Text, Absent, "endcap", "Bucket of the S3-compatible store, which must exist; ours are folders in it.");

pub(super) const S3_REGION: Key =
    key("ENDCAP_S3_REGION", Text, Value("us-east-1"), "eu-central-1", "Region that signatures name; stores that have none take any.");

pub(super) const S3_ACCESS_KEY_ID: Key =
    key("ENDCAP_S3_ACCESS_KEY_ID", Secret { min_bytes: 1 }, Absent, "AKIA...", "Id of the key to the S3-compatible store.");

pub(super) const S3_SECRET_ACCESS_KEY: Key =
    key("ENDCAP_S3_SECRET_ACCESS_KEY", Secret { min_bytes: 1 }, Absent, "the-secret-of-that-key", "The key itself.");

pub(super) const MODEL_ARTIFACTS_MAX_BYTES: Key =
    key("ENDCAP_MODEL_ARTIFACTS_MAX_BYTES", BYTES, Value(FIVE_GIB), FIVE_GIB, "Largest file in the bucket `model-artifacts`, in bytes.");

pub(super) const TRAINING_DATA_MAX_BYTES: Key =
    key("ENDCAP_TRAINING_DATA_MAX_BYTES", BYTES, Value(FIVE_GIB), FIVE_GIB, "Largest file in the bucket `training-data`, in bytes.");

pub(super) const EXPORTS_MAX_BYTES: Key =
    key("ENDCAP_EXPORTS_MAX_BYTES", BYTES, Value(FIVE_GIB), FIVE_GIB, "Largest file in the bucket `exports`, in bytes.");

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArtifactStore {
    /// A folder.
    Local,
    /// An S3-compatible store.
    S3,
    /// Storage of the Supabase project.
    Supabase,
}

/// Where artifacts are kept, and how large they may be.
#[derive(Debug, Clone)]
pub struct Artifacts {
    /// Where new ones go.
    pub store: ArtifactStore,
    /// Folder of the local store.
    pub directory: String,
    /// The S3-compatible store, when it is configured.
    pub s3: Option<S3>,
    /// Largest file in `model-artifacts`, in bytes.
    pub model_artifacts_max_bytes: u64,
    /// Largest file in `training-data`, in bytes.
    pub training_data_max_bytes: u64,
    /// Largest file in `exports`, in bytes.
    pub exports_max_bytes: u64,
}

/// An S3-compatible store and the key to it.
#[derive(Debug, Clone)]
pub struct S3 {
    /// Its address.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// The region that signatures name.
    pub region: String,
    /// Id of the key.
    pub access_key_id: SecretString,
    /// The key.
    pub secret_access_key: SecretString,
}

impl super::Values {
    pub(super) fn artifacts(&mut self) -> Artifacts {
        let has_project = self.texts.contains_key("SUPABASE_URL") && self.texts.contains_key("SUPABASE_SERVICE_KEY");
        let s3 = self.s3();
        let store = match self.texts.get("ENDCAP_ARTIFACT_STORE").map(String::as_str) {
            Some("local") => ArtifactStore::Local,
            Some("s3") => {
                if !self.texts.contains_key("ENDCAP_S3_BUCKET") {
                    self.mistake("ENDCAP_S3_BUCKET", "is required with ENDCAP_ARTIFACT_STORE=s3".to_owned());
                }
                ArtifactStore::S3
            }
            Some(_) => {
                if !has_project {
                    let problem = "is `supabase`, which needs SUPABASE_URL and SUPABASE_SERVICE_KEY".to_owned();
                    self.mistake("ENDCAP_ARTIFACT_STORE", problem);
                }
                ArtifactStore::Supabase
            }
            None if has_project => ArtifactStore::Supabase,
            None if s3.is_some() => ArtifactStore::S3,
            None => ArtifactStore::Local,
        };
        Artifacts {
            store,
            directory: self.text("ENDCAP_ARTIFACT_DIRECTORY"),
            s3,
            model_artifacts_max_bytes: self.whole("ENDCAP_MODEL_ARTIFACTS_MAX_BYTES"),
            training_data_max_bytes: self.whole("ENDCAP_TRAINING_DATA_MAX_BYTES"),
            exports_max_bytes: self.whole("ENDCAP_EXPORTS_MAX_BYTES"),
        }
    }

    fn s3(&mut self) -> Option<S3> {
        let bucket = self.texts.get("ENDCAP_S3_BUCKET")?.clone();
        let is_name = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'));
        if !is_name {
            let problem = format!("{bucket:?} is no name of a bucket: 3 to 63 lower-case letters, digits, '-' and '.'");
            self.mistake("ENDCAP_S3_BUCKET", problem);
        }
        let region = self.text("ENDCAP_S3_REGION");
        let endpoint = self.texts.get("ENDCAP_S3_ENDPOINT").cloned().unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let mut needed = |name: &'static str| {
            let key = self.secret(name);
            if key.is_none() {
                self.mistake(name, "is required with ENDCAP_S3_BUCKET".to_owned());
            }
            key.unwrap_or_default()
        };
        let (access_key_id, secret_access_key) = (needed("ENDCAP_S3_ACCESS_KEY_ID"), needed("ENDCAP_S3_SECRET_ACCESS_KEY"));
        Some(S3 { endpoint: endpoint.trim_end_matches('/').to_owned(), bucket, region, access_key_id, secret_access_key })
    }
}
