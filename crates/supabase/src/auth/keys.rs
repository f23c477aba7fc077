//! The public keys of a project's tokens, as whoever verifies tokens asks for them.

use std::sync::Arc;

use domain::invalid::Invalid;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use secrecy::SecretString;
use serde_json::Value;

use crate::project::Project;

/// Fetches a key set, or says why not.
pub type Fetcher = Arc<dyn Fn() -> BoxFuture<'static, Result<Value, String>> + Send + Sync>;

/// Fetches the project's.
#[must_use]
pub fn fetcher(project: Project) -> Fetcher {
    Arc::new(move || {
        let project = project.clone();
        async move { project.key_set().await.map_err(|error| error.to_string()) }.boxed()
    })
}

/// As [`fetcher`], for a service that needs nothing else of the project.
///
/// # Errors
/// [`Invalid`] when the address or the key is wrong.
pub fn fetcher_of(url: &str, key: SecretString) -> Result<Fetcher, Invalid> {
    Project::from_settings(url, key, None, None).map(fetcher)
}
