//! Files in buckets: which buckets there are, what may lie in them, and which paths are good in all stores alike.

use serde::{Deserialize, Serialize};

use crate::invalid::Invalid;

/// Longest path of an artifact, in bytes; equals the column width in all three databases.
pub const MAX_PATH: usize = 400;

/// Longest part of a path, in bytes.
pub const MAX_SEGMENT: usize = 100;

/// Most parts of a path.
pub const MAX_DEPTH: usize = 16;

/// Whose artifacts the platform's own are. No id looks like this, so no tenant can be called so.
pub const PLATFORM: &str = "@platform";

/// Where artifacts lie.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::AsRefStr,
    strum::Display,
    strum::EnumString,
    strum::VariantArray,
    utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Bucket {
    /// Reward models, LoRA adapters, tokenizers and what belongs to them.
    ModelArtifacts,
    /// Datasets that go into training.
    TrainingData,
    /// What goes out to people and other programs.
    Exports,
}

/// Formats of rows, in both buckets of data.
const DATA_TYPES: [&str; 11] = [
    "application/octet-stream",
    "application/json",
    "application/x-ndjson",
    "application/jsonl",
    "application/vnd.apache.parquet",
    "application/gzip",
    "application/zip",
    "application/zstd",
    "text/csv",
    "text/markdown",
    "text/plain",
];

impl Bucket {
    /// Media types that may lie in it: nothing that a browser would run.
    #[must_use]
    pub fn content_types(self) -> &'static [&'static str] {
        match self {
            Self::ModelArtifacts => &[
                "application/octet-stream",
                "application/json",
                "application/gzip",
                "application/x-tar",
                "application/zip",
                "application/zstd",
                "text/markdown",
                "text/plain",
            ],
            Self::TrainingData | Self::Exports => &DATA_TYPES,
        }
    }
}

/// Checks the path of an artifact: parts of letters, digits, `-`, `_`, `.`, `+` and `=`, separated by single slashes.
///
/// # Errors
/// [`Invalid`] on `path` with the first thing that is wrong.
pub fn check_path(path: &str) -> Result<(), Invalid> {
    let wrong = |message: String| Err(Invalid::one("path", message));
    if path.is_empty() {
        return wrong("must not be empty".to_owned());
    }
    if path.len() > MAX_PATH {
        return wrong(format!("must be at most {MAX_PATH} characters"));
    }
    if path.split('/').count() > MAX_DEPTH {
        return wrong(format!("must have at most {MAX_DEPTH} parts"));
    }
    for part in path.split('/') {
        if part.is_empty() {
            return wrong("must not begin or end with a slash, nor have two in a row".to_owned());
        }
        if part.len() > MAX_SEGMENT {
            return wrong(format!("has a part of more than {MAX_SEGMENT} characters"));
        }
        if matches!(part, "." | "..") {
            return wrong(format!("must not have the part {part:?}"));
        }
        if let Some(c) = part.chars().find(|c| !is_allowed(*c)) {
            return wrong(format!("holds {c:?}; allowed are letters, digits, '-', '_', '.', '+', '=' and '/' between parts"));
        }
    }
    Ok(())
}

/// Checks the beginning of paths, by which lists are narrowed.
///
/// # Errors
/// [`Invalid`] on `prefix`.
pub fn check_prefix(prefix: &str) -> Result<(), Invalid> {
    let is_good = prefix.len() <= MAX_PATH && prefix.chars().all(|c| is_allowed(c) || c == '/');
    if is_good { Ok(()) } else { Err(Invalid::one("prefix", "must be the beginning of a path")) }
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '=')
}

/// Where the bytes of an upload lie within the bucket of a store: each upload has a place of its own, so nothing is ever written over.
/// The last part begins with a character that no path has, so that a file and a folder never want the same name.
#[must_use]
pub fn key(tenant: &str, path: &str, artifact_id: &str) -> String {
    format!("{tenant}/{path}/@{artifact_id}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn usual_paths_are_good() {
        for path in
            ["model.json", "adapters/summariser/v1/adapter_model.safetensors", "date=2026-01-01/part-0.parquet", "a..b", "...", "C++"]
        {
            check_path(path).unwrap();
        }
    }

    #[test]
    fn bad_paths_are_refused_with_the_reason() {
        let long_part = "a".repeat(101);
        let long = ["abcdefghi"; 41].join("/");
        let deep = ["a"; 17].join("/");
        for (path, words) in [
            ("", "empty"),
            ("..", "\"..\""),
            ("../x", "\"..\""),
            ("a/../../x", "\"..\""),
            ("a/./x", "\".\""),
            ("/etc/passwd", "slash"),
            ("a//b", "slash"),
            ("a/", "slash"),
            ("a\\..\\b", "'\\\\'"),
            ("C:\\x", "':'"),
            ("a\0b", "'\\0'"),
            ("a\nb", "'\\n'"),
            ("%2e%2e/x", "'%'"),
            ("a%00", "'%'"),
            ("a b", "' '"),
            ("~root/x", "'~'"),
            ("a/@art_1", "'@'"),
            ("ünï", "'ü'"),
            ("a/\u{202e}gpj.exe", "'\\u{202e}'"),
            ("a?b", "'?'"),
            ("a*", "'*'"),
            (&long_part as &str, "more than 100"),
            (&long, "at most 400"),
            (&deep, "at most 16"),
        ] {
            let refused = check_path(path).unwrap_err();
            assert!(refused.to_string().contains(words), "{path:?}: {refused}");
        }
    }

    #[test]
    fn a_file_and_a_folder_of_one_name_have_different_keys() {
        assert_eq!(key("tnt-a", "a/b", "art_1"), "tnt-a/a/b/@art_1");
        assert!(check_path("a/b/@art_1").is_err(), "no path can be the key of another");
        assert!(crate::id::check("tenant_id", PLATFORM).is_err(), "no tenant can be the platform");
    }
}
