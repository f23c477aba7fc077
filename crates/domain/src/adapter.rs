//! LoRA adapters as PEFT saves them: a configuration and weights that must fit each other before anybody may load them.

pub mod lora;
pub mod safetensors;

use serde::Serialize;
use serde_json::Value;

use crate::invalid::Invalid;
use lora::Config;

/// The file of the configuration.
pub const CONFIG_FILE: &str = "adapter_config.json";

/// The file of the weights.
pub const WEIGHTS_FILE: &str = "adapter_model.safetensors";

/// Longest configuration, in bytes.
pub const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Files of weights that run code when they are loaded.
const PICKLES: [&str; 7] = ["bin", "pt", "pth", "ckpt", "pkl", "pickle", "joblib"];

/// What a consistent adapter is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Adapter {
    /// The model that it changes, by the name in its configuration; empty when it names none.
    pub base_model: String,
    /// Rank of its matrices, unless a pattern gives a module another.
    pub rank: u32,
    /// By what their product is scaled, over the rank.
    pub alpha: f64,
    /// What PEFT calls the task, such as `CAUSAL_LM`.
    pub task_type: Option<String>,
    /// The modules that it changes, as the configuration names them: a list, or a pattern.
    pub target_modules: Value,
    /// Modules of the base model that it changes.
    pub modules_count: usize,
    /// Numbers in it.
    pub parameters_count: u64,
    /// What its numbers are, each kind once.
    pub dtypes: Vec<String>,
    /// What could not be compared, in words; empty when everything was.
    pub not_checked: Vec<String>,
}

/// Whether a file of this name is a pickle by its ending.
#[must_use]
pub fn is_pickle(file: &str) -> bool {
    file.rsplit_once('.').is_some_and(|(_, ending)| PICKLES.contains(&ending.to_ascii_lowercase().as_str()))
}

/// Checks a configuration against the header of the weights beside it, whose file has `weights_bytes` in all.
///
/// # Errors
/// [`Invalid`] on the file that is wrong, with everything that is wrong in it.
pub fn check(config: &[u8], header: &[u8], weights_bytes: u64) -> Result<Adapter, Invalid> {
    let mut invalid = Invalid::default();
    let config = invalid.merge(Config::parse(config));
    let tensors = safetensors::parse(header, weights_bytes).map_err(|why| Invalid::one(WEIGHTS_FILE, why));
    let tensors = invalid.merge(tensors);
    match (config, tensors) {
        (Some(config), Some(tensors)) => lora::check(&config, &tensors),
        _ => Err(invalid),
    }
}
