//! Where values come from and which one wins: defaults, then the file, then `.env`, then the environment; `X_FILE` stands for `X`.

use std::collections::BTreeMap;

use config::{Config, File, FileFormat};

use super::Mistake;
use super::key::{DefaultValue, Key};
use super::keys::KEYS;

/// Largest file read for a configuration or a secret, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The raw sources of the configuration.
#[derive(Clone, Default)]
pub struct Sources {
    /// Variables of the environment.
    pub variables: BTreeMap<String, String>,
    /// Text of a `.env` file; ignored in production.
    pub dotenv: Option<String>,
}

impl Sources {
    /// The environment of this process and `.env` in its working directory.
    #[must_use]
    pub fn of_process() -> Self {
        let variables = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.to_string_lossy().into_owned()))).collect();
        Self { variables, dotenv: std::fs::read_to_string(".env").ok() }
    }

    /// One text for each known key that has a value, and what is wrong on the way.
    pub(super) fn merge(&self) -> (BTreeMap<&'static str, String>, Vec<Mistake>) {
        let mut mistakes = Vec::new();
        let mut given = BTreeMap::new();
        let is_production = self.variables.get("ENDCAP_ENVIRONMENT").is_some_and(|v| v == "production");
        if let (Some(text), false) = (&self.dotenv, is_production) {
            given.extend(parse_dotenv(text, &mut mistakes));
        }
        given.extend(self.variables.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| (k.clone(), v.clone())));
        given.retain(|name, _| belongs_to_us(name));
        let mut texts = resolve(given, &mut mistakes);
        if let Some(path) = texts.get("ENDCAP_CONFIG_FILE").cloned() {
            let from_file = resolve(read_config_file(&path, &mut mistakes), &mut mistakes);
            for (name, value) in from_file {
                texts.entry(name).or_insert(value);
            }
        }
        for key in KEYS {
            if let DefaultValue::Value(value) = key.default {
                texts.entry(key.name).or_insert_with(|| value.to_owned());
            }
        }
        (texts, mistakes)
    }
}

/// Names that we must know: our prefix, and the names of the table. Others belong to somebody else.
fn belongs_to_us(name: &str) -> bool {
    name.starts_with("ENDCAP_") || find(name.strip_suffix("_FILE").unwrap_or(name)).is_some()
}

fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Maps written names to keys, reads `X_FILE`, and reports unknown names.
fn resolve(given: BTreeMap<String, String>, mistakes: &mut Vec<Mistake>) -> BTreeMap<&'static str, String> {
    let mut texts = BTreeMap::new();
    for (name, value) in &given {
        if let Some(key) = find(name) {
            texts.insert(key.name, value.clone());
        } else if let Some(key) = name.strip_suffix("_FILE").and_then(find) {
            if given.contains_key(key.name) {
                let problem = format!("is given beside {}; keep one of the two", key.name);
                mistakes.push(Mistake { key: name.clone(), problem, example: String::new() });
                continue;
            }
            match read_bounded(value) {
                Ok(text) => drop(texts.insert(key.name, text.trim_end_matches(['\r', '\n']).to_owned())),
                Err(error) => mistakes.push(Mistake {
                    key: name.clone(),
                    problem: format!("the file {value:?} cannot be read: {error}"),
                    example: format!("/run/secrets/{}", key.name.to_lowercase()),
                }),
            }
        } else {
            mistakes.push(unknown(name));
        }
    }
    texts
}

fn unknown(name: &str) -> Mistake {
    let upper = name.to_uppercase();
    let nearest = KEYS.iter().map(|key| (distance(&upper, key.name), key)).min_by_key(|(d, _)| *d).filter(|(d, _)| *d <= 5);
    match nearest {
        Some((_, key)) => Mistake {
            key: name.to_owned(),
            problem: format!("is not a key of Endcap; did you mean {} ({}={})?", key.name, key.name, key.example),
            example: String::new(),
        },
        None => Mistake {
            key: name.to_owned(),
            problem: "is not a key of Endcap; docs/configuration.md lists all of them".to_owned(),
            example: String::new(),
        },
    }
}

/// Levenshtein distance, for names of a few dozen bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut next = vec![i + 1];
        for ((y, above), corner) in b.bytes().zip(row.iter().skip(1)).zip(row.iter()) {
            let left = next.last().copied().unwrap_or(usize::MAX - 1);
            next.push((corner + usize::from(x != y)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

fn read_config_file(path: &str, mistakes: &mut Vec<Mistake>) -> BTreeMap<String, String> {
    let mut fail = |problem: String| {
        mistakes.push(Mistake { key: "ENDCAP_CONFIG_FILE".to_owned(), problem, example: "/etc/endcap/endcap.toml".to_owned() });
    };
    let text = match read_bounded(path) {
        Ok(text) => text,
        Err(error) => {
            fail(format!("the file {path:?} cannot be read: {error}"));
            return BTreeMap::new();
        }
    };
    let table = Config::builder()
        .add_source(File::from_str(&text, FileFormat::Toml))
        .build()
        .and_then(|c| c.try_deserialize::<BTreeMap<String, config::Value>>());
    match table {
        Ok(table) => table
            .into_iter()
            .filter_map(|(name, value)| match value.into_string() {
                Ok(text) => Some((name.to_uppercase(), text)),
                Err(_) => {
                    fail(format!("{path}: {name} must be a text or a number, not a table or list"));
                    None
                }
            })
            .collect(),
        Err(error) => {
            fail(format!("{path} is not valid TOML: {}", error.to_string().trim()));
            BTreeMap::new()
        }
    }
}

fn read_bounded(path: &str) -> std::io::Result<String> {
    let size = std::fs::metadata(path)?.len();
    if size > MAX_FILE_BYTES {
        return Err(std::io::Error::other(format!("it has {size} bytes, more than {MAX_FILE_BYTES}")));
    }
    std::fs::read_to_string(path)
}

/// `KEY=value` lines; `#` starts a comment line, `export ` and one pair of quotes are dropped.
fn parse_dotenv(text: &str, mistakes: &mut Vec<Mistake>) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            let problem = format!("line {} is not KEY=value", number + 1);
            mistakes.push(Mistake { key: ".env".to_owned(), problem, example: String::new() });
            continue;
        };
        let value = value.trim();
        let unquoted = ['"', '\''].iter().find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q)).unwrap_or(value);
        if !unquoted.is_empty() {
            pairs.push((name.trim().to_owned(), unquoted.to_owned()));
        }
    }
    pairs
}
