//! Models that were trained here, as files: the model in the form that `endcap reward eval` reads, and its card.

use domain::artifact::{Bucket, PLATFORM};
use domain::scope::Scope;
use futures_util::stream;
use serde_json::{Value, json};
use storage::artifacts::Place;
use storage::reward_models::RewardModel;
use web::problem::Problem;

use super::upload::{self, Wanted};
use crate::reward_models::Card;
use crate::state::State;

/// The file of the model.
pub const MODEL_FILE: &str = "reward-model.json";

/// The file of its card.
pub const CARD_FILE: &str = "card.json";

/// Where the files of trained models lie, in the platform's `model-artifacts`: written when a model is trained, and by nobody else.
pub const FOLDER: &str = "reward-models/";

/// The folder of a model's files.
#[must_use]
pub fn folder(model_id: &str) -> String {
    format!("{FOLDER}{model_id}")
}

/// Stores a model's files. The model itself is in the database already: without its files it works all the same, so a store in trouble
/// is told to the log and does not fail the training.
pub async fn keep(state: &State, model: RewardModel, parameters: &Value) {
    let model_id = model.model_id.clone();
    let whole = json!({ "by": null, "models": { "": parameters } });
    let files = [(MODEL_FILE, whole), (CARD_FILE, json!(Card::from(model)))];
    for (name, content) in files {
        if let Err(problem) = put(state, &format!("{}/{name}", folder(&model_id)), content.to_string().into_bytes()).await {
            let cause = problem.chain().unwrap_or_default();
            tracing::warn!(%problem, cause, model_id, name, "a file of a trained model was not stored as an artifact");
        }
    }
}

async fn put(state: &State, path: &str, bytes: Vec<u8>) -> Result<(), Problem> {
    let wanted = Wanted {
        place: Place { tenant: PLATFORM.to_owned(), bucket: Bucket::ModelArtifacts, path: path.to_owned() },
        content_type: "application/json".to_owned(),
        overwrite: true,
        sha256: None,
        size: u64::try_from(bytes.len()).ok(),
        max_bytes: state.artifacts.max_bytes(Bucket::ModelArtifacts),
    };
    let body = stream::iter([Ok::<_, std::convert::Infallible>(actix_web::web::Bytes::from(bytes))]);
    upload::receive(state, &Scope::system("training"), &wanted, body).await.map(drop)
}
