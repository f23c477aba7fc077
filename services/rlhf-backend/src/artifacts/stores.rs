//! The stores of this installation: the one that takes new artifacts, and others whose artifacts can still be read.

use domain::artifact::Bucket;
use storage::share::FairShare;
use supabase::objects::{Hosted, Local, ObjectError, Objects, S3, S3Settings};
use supabase::project::Project;
use tokio::sync::Notify;
use web::problem::Problem;
use web::settings::{ArtifactStore, Artifacts, Settings};

use super::links::Links;

/// Bodies that are received at once; half of them at most from one tenant.
const RECEIVED_AT_ONCE: usize = 32;

/// How long to send nothing when a store is in trouble, in seconds.
const RETRY_AFTER_S: u64 = 5;

/// Stores, limits and links.
pub struct Stores {
    settings: Artifacts,
    local: Objects,
    s3: Result<Objects, String>,
    hosted: Result<Objects, String>,
    /// Makes and checks links.
    pub links: Links,
    /// Who may send a body now.
    pub places: FairShare,
    /// Wakes the sweep when there are bytes to remove.
    pub doomed: Notify,
}

impl Stores {
    /// As configured. Nothing is sent.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.artifacts.clone(),
            local: Objects::Local(Local::new(&settings.artifacts.directory)),
            s3: open_s3(settings),
            hosted: open_hosted(settings),
            links: Links::new(&settings.jwt_secret),
            places: FairShare::new(RECEIVED_AT_ONCE),
            doomed: Notify::new(),
        }
    }

    /// The store that takes new artifacts.
    ///
    /// # Errors
    /// A sentence on the settings that are wrong.
    pub fn current(&self) -> Result<&Objects, &str> {
        match self.settings.store {
            ArtifactStore::Local => Ok(&self.local),
            ArtifactStore::S3 => self.s3.as_ref().map_err(String::as_str),
            ArtifactStore::Supabase => self.hosted.as_ref().map_err(String::as_str),
        }
    }

    /// The store of this name, in which an artifact lies.
    ///
    /// # Errors
    /// A sentence when it is not configured any more.
    pub fn named(&self, name: &str) -> Result<&Objects, &str> {
        match name {
            "local" => Ok(&self.local),
            "s3" => self.s3.as_ref().map_err(String::as_str),
            _ => self.hosted.as_ref().map_err(String::as_str),
        }
    }

    /// Largest file of a bucket, in bytes.
    #[must_use]
    pub fn max_bytes(&self, bucket: Bucket) -> u64 {
        match bucket {
            Bucket::ModelArtifacts => self.settings.model_artifacts_max_bytes,
            Bucket::TrainingData => self.settings.training_data_max_bytes,
            Bucket::Exports => self.settings.exports_max_bytes,
        }
    }
}

fn open_s3(settings: &Settings) -> Result<Objects, String> {
    let s3 = settings.artifacts.s3.clone().ok_or("the S3 store of some artifacts is not configured (ENDCAP_S3_BUCKET)")?;
    let web::settings::S3 { endpoint, bucket, region, access_key_id, secret_access_key } = s3;
    let settings = S3Settings { endpoint, bucket, region, access_key_id, secret_access_key };
    S3::new(&settings).map(Objects::S3).map_err(|error| error.to_string())
}

fn open_hosted(settings: &Settings) -> Result<Objects, String> {
    let missing = "Storage of a Supabase project is not configured (SUPABASE_URL, SUPABASE_SERVICE_KEY)";
    let project = &settings.supabase;
    let (Some(url), Some(service_key)) = (&project.url, &project.service_key) else { return Err(missing.to_owned()) };
    let project = Project::for_service(url, service_key.clone()).map_err(|invalid| invalid.to_string())?;
    Hosted::of(&project).map(Objects::Hosted).ok_or_else(|| missing.to_owned())
}

/// What a caller sees of a store in trouble: the cause goes to the log.
#[must_use]
pub fn problem_of(error: ObjectError) -> Problem {
    Problem::unavailable("store of artifacts", RETRY_AFTER_S).with_cause(error)
}

/// What a caller sees of a store that is not configured rightly.
#[must_use]
pub fn not_configured(why: &str) -> Problem {
    Problem::unavailable("store of artifacts", RETRY_AFTER_S).with_cause(why.to_owned())
}
