//! What makes weights fit a PEFT configuration: names, ranks and shapes of the matrices A and B of every module.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::safetensors::Tensor;
use super::{Adapter, CONFIG_FILE, WEIGHTS_FILE};
use crate::invalid::Invalid;

/// Largest rank: no model is wider.
const MAX_RANK: u32 = 65_536;

/// Most findings told about one file.
const MAX_FINDINGS: usize = 20;

/// What PEFT puts before the names of modules.
const PREFIX: &str = "base_model.model.";

/// The part of a PEFT configuration that says what the weights must look like; other fields are kept in the file and not looked at.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    peft_type: String,
    base_model_name_or_path: Option<String>,
    r: u32,
    lora_alpha: f64,
    target_modules: Option<Value>,
    #[serde(default)]
    task_type: Option<String>,
    #[serde(default)]
    modules_to_save: Option<Vec<String>>,
    #[serde(default)]
    rank_pattern: Option<BTreeMap<String, u32>>,
    #[serde(default)]
    bias: Option<String>,
    #[serde(default)]
    lora_bias: Option<bool>,
    #[serde(default)]
    use_dora: Option<bool>,
}

/// The parts of an adapter at one module.
#[derive(Default)]
struct Module<'a> {
    a: Option<&'a Tensor>,
    b: Option<&'a Tensor>,
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`Invalid`] on `adapter_config.json` or a field of it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Invalid> {
        let document: Value = serde_json::from_slice(bytes)
            .map_err(|error| Invalid::one(CONFIG_FILE, format!("is no JSON: line {}, column {}", error.line(), error.column())))?;
        kinds(&document)?;
        let config: Self = serde_json::from_value(document).map_err(|_| Invalid::one(CONFIG_FILE, REMEDY))?;
        let mut invalid = Invalid::default();
        let mut wrong = |field: &str, message: String| invalid.add(format!("{CONFIG_FILE}:{field}"), message);
        if config.peft_type != "LORA" {
            wrong("peft_type", format!("is {:?}; only LORA adapters are taken", short(&config.peft_type)));
        }
        if config.base_model_name_or_path.as_ref().is_some_and(|name| name.chars().count() > 300 || name.contains('\0')) {
            wrong("base_model_name_or_path", "must be at most 300 characters".to_owned());
        }
        if !(1..=MAX_RANK).contains(&config.r) {
            wrong("r", format!("is {}; must be from 1 to {MAX_RANK}", config.r));
        }
        if !(config.lora_alpha.is_finite() && config.lora_alpha > 0.0) {
            wrong("lora_alpha", format!("is {}; must be over 0", config.lora_alpha));
        }
        let ranks = config.rank_pattern.iter().flatten();
        for (pattern, rank) in ranks.filter(|(_, rank)| !(1..=MAX_RANK).contains(*rank)) {
            wrong("rank_pattern", format!("gives {:?} the rank {rank}; must be from 1 to {MAX_RANK}", short(pattern)));
        }
        match &config.target_modules {
            None | Some(Value::Null) => wrong("target_modules", "must name the modules that the adapter changes".to_owned()),
            Some(Value::String(pattern)) if !pattern.is_empty() => {}
            Some(Value::Array(names)) if !names.is_empty() && names.iter().all(|name| name.as_str().is_some_and(|n| !n.is_empty())) => {}
            Some(_) => wrong("target_modules", "must be a list of names, or a pattern".to_owned()),
        }
        invalid.into_result()?;
        Ok(config)
    }

    /// Names of target modules; none when the configuration has a pattern.
    fn targets(&self) -> Option<Vec<&str>> {
        Some(self.target_modules.as_ref()?.as_array()?.iter().filter_map(Value::as_str).collect())
    }

    /// The rank that a module must have; `None` when a pattern that is no plain name may give it another.
    fn rank_of(&self, module: &str) -> Option<u32> {
        let patterns = self.rank_pattern.iter().flatten();
        let mut rank = Some(self.r);
        for (pattern, other) in patterns {
            if !is_plain(pattern) {
                rank = None;
            } else if is_named(module, pattern) {
                return Some(*other);
            }
        }
        rank
    }
}

/// What helps against a configuration that PEFT would not write.
const REMEDY: &str = "is not what PEFT writes for a LoRA adapter; save the adapter with `save_pretrained` and upload the file as it is";

/// A field, whether it must be there, whether a value is of its kind, and the kind in words.
type Kind<'a> = (&'static str, bool, &'a dyn Fn(&Value) -> bool, &'static str);

/// Says of every field that is looked at whether it is of the right kind, in words for whoever wrote the file.
fn kinds(document: &Value) -> Result<(), Invalid> {
    let Some(fields) = document.as_object() else {
        let found = match document {
            Value::Array(_) => "a list",
            Value::String(_) => "a text",
            Value::Null => "null",
            _ => "a single value",
        };
        return Err(Invalid::one(CONFIG_FILE, format!("is {found}, not an object: it {REMEDY}")));
    };
    let is_rank = |value: &Value| value.as_u64().is_some_and(|rank| u32::try_from(rank).is_ok());
    let are_texts = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
    let are_ranks = |value: &Value| value.as_object().is_some_and(|ranks| ranks.values().all(is_rank));
    let rules: [Kind<'_>; 10] = [
        ("peft_type", true, &Value::is_string, "a text such as \"LORA\""),
        ("r", true, &is_rank, "a whole number such as 16"),
        ("lora_alpha", true, &Value::is_number, "a number such as 32"),
        ("base_model_name_or_path", false, &Value::is_string, "a text"),
        ("task_type", false, &Value::is_string, "a text such as \"CAUSAL_LM\""),
        ("modules_to_save", false, &are_texts, "a list of names"),
        ("rank_pattern", false, &are_ranks, "an object of whole numbers by name"),
        ("bias", false, &Value::is_string, "a text such as \"none\""),
        ("lora_bias", false, &Value::is_boolean, "true or false"),
        ("use_dora", false, &Value::is_boolean, "true or false"),
    ];
    let mut invalid = Invalid::default();
    for (field, is_needed, is_right, wanted) in rules {
        match fields.get(field).filter(|value| !value.is_null()) {
            None if is_needed => invalid.add(format!("{CONFIG_FILE}:{field}"), format!("is missing; it must be {wanted}")),
            Some(value) if !is_right(value) => {
                invalid.add(format!("{CONFIG_FILE}:{field}"), format!("is {}; it must be {wanted}", short(&value.to_string())));
            }
            _ => {}
        }
    }
    invalid.into_result()
}

/// Whether a pattern is a name: a dot in it stands for itself.
fn is_plain(pattern: &str) -> bool {
    pattern.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// PEFT takes a name for the module itself and for all whose path ends in it.
fn is_named(module: &str, name: &str) -> bool {
    module.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn short(text: &str) -> String {
    text.chars().take(100).collect()
}

/// Checks the tensors of an adapter against its configuration.
///
/// # Errors
/// [`Invalid`] on `adapter_model.safetensors` with the first twenty things that are wrong.
pub fn check(config: &Config, tensors: &[Tensor]) -> Result<Adapter, Invalid> {
    let mut wrong = Vec::new();
    let mut modules: BTreeMap<&str, Module<'_>> = BTreeMap::new();
    for tensor in tensors {
        let Some(name) = tensor.name.strip_prefix(PREFIX) else {
            wrong.push(format!("has the tensor {:?}, whose name does not begin with {PREFIX}", short(&tensor.name)));
            continue;
        };
        if !tensor.is_of_floats() {
            wrong.push(format!("has the tensor {:?} of {}, which is no type of weights", short(&tensor.name), tensor.dtype));
        }
        if let Some(module) = name.strip_suffix(".lora_A.weight").or_else(|| name.strip_suffix(".lora_embedding_A")) {
            modules.entry(module).or_default().a = Some(tensor);
        } else if let Some(module) = name.strip_suffix(".lora_B.weight").or_else(|| name.strip_suffix(".lora_embedding_B")) {
            modules.entry(module).or_default().b = Some(tensor);
        } else if !belongs(config, name) {
            wrong.push(format!("has the tensor {:?}, which the configuration says nothing of", short(&tensor.name)));
        }
    }
    if modules.is_empty() {
        wrong.push("has no matrices lora_A and lora_B".to_owned());
    }
    let targets = config.targets();
    for (name, module) in &modules {
        wrong.extend(look_at(config, name, module));
        if targets.as_ref().is_some_and(|targets| !targets.iter().any(|target| is_named(name, target))) {
            wrong.push(format!("changes the module {:?}, which is none of target_modules", short(name)));
        }
    }
    for target in targets.iter().flatten() {
        if !modules.keys().any(|module| is_named(module, target)) {
            wrong.push(format!("has nothing for {:?} of target_modules", short(target)));
        }
    }
    if wrong.is_empty() {
        return Ok(summary(config, tensors, modules.len()));
    }
    let mut invalid = Invalid::default();
    wrong.into_iter().take(MAX_FINDINGS).for_each(|message| invalid.add(WEIGHTS_FILE, message));
    Err(invalid)
}

/// Whether the configuration asks for a tensor that is no matrix of an adapter.
fn belongs(config: &Config, name: &str) -> bool {
    let is_saved = config.modules_to_save.iter().flatten().any(|module| {
        let parent = name.rsplit_once('.').map_or(name, |(parent, _)| parent);
        is_named(parent, module) || format!(".{parent}.").contains(&format!(".{module}."))
    });
    let is_bias = name.ends_with(".lora_B.bias") && config.lora_bias == Some(true)
        || name.ends_with(".bias") && matches!(config.bias.as_deref(), Some("all" | "lora_only"));
    let is_magnitude =
        config.use_dora == Some(true) && (name.ends_with(".lora_magnitude_vector") || name.ends_with(".lora_magnitude_vector.weight"));
    is_saved || is_bias || is_magnitude
}

/// A is rank x in, B is out x rank; convolutions have further dimensions behind.
fn look_at(config: &Config, name: &str, module: &Module<'_>) -> Option<String> {
    let name = short(name);
    let (a, b) = match (module.a, module.b) {
        (Some(a), Some(b)) => (a, b),
        (Some(_), None) => return Some(format!("has lora_A and no lora_B for {name:?}")),
        _ => return Some(format!("has lora_B and no lora_A for {name:?}")),
    };
    let shapes = format!("lora_A is {:?} and lora_B is {:?} at {name:?}", a.shape, b.shape);
    if a.shape.len() < 2 || a.shape.len() != b.shape.len() || a.is_empty() || b.is_empty() {
        return Some(format!("{shapes}; both must be matrices"));
    }
    let (of_a, of_b) = (a.shape.first().copied(), b.shape.get(1).copied());
    match config.rank_of(&name) {
        Some(rank) if of_a != Some(u64::from(rank)) || of_b != Some(u64::from(rank)) => {
            Some(format!("{shapes}; with rank {rank} they must be [{rank}, in] and [out, {rank}]"))
        }
        None if of_a != of_b => Some(format!("{shapes}; they must be [r, in] and [out, r]")),
        _ => None,
    }
}

fn summary(config: &Config, tensors: &[Tensor], modules_count: usize) -> Adapter {
    let mut not_checked = Vec::new();
    if config.base_model_name_or_path.as_deref().unwrap_or_default().is_empty() {
        not_checked.push("base_model_name_or_path is empty: which model it changes is not known".to_owned());
    }
    if config.targets().is_none() {
        not_checked.push("target_modules is a pattern: which modules it names was not compared with the weights".to_owned());
    }
    if config.rank_pattern.iter().flatten().any(|(pattern, _)| !is_plain(pattern)) {
        not_checked.push("rank_pattern has patterns that are no names: ranks were compared between A and B only".to_owned());
    }
    let dtypes: BTreeSet<&str> = tensors.iter().map(|tensor| tensor.dtype.as_str()).collect();
    Adapter {
        base_model: config.base_model_name_or_path.clone().unwrap_or_default(),
        rank: config.r,
        alpha: config.lora_alpha,
        task_type: config.task_type.clone(),
        target_modules: config.target_modules.clone().unwrap_or_default(),
        modules_count,
        parameters_count: tensors.iter().map(Tensor::len).fold(0, u64::saturating_add),
        dtypes: dtypes.into_iter().map(str::to_owned).collect(),
        not_checked,
    }
}
