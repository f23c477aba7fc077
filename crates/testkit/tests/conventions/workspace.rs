//! The workspace as the conventions see it: its folders, its files of text, and what cargo knows of its packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A file of text, by its path from the root.
pub struct Text {
    /// Path from the root, with forward slashes.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// Reads one file.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The Rust files in one of the folders (`src`, `tests`, `examples`, `benches`) of every room.
pub fn rust_files(folder: &str) -> Vec<Text> {
    let mut found = Vec::new();
    for place in ["crates", "services"] {
        for room in std::fs::read_dir(root().join(place)).unwrap() {
            collect(&room.unwrap().path().join(folder), "rs", &mut found);
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Every file with this ending below a folder.
pub fn collect(folder: &Path, ending: &str, found: &mut Vec<Text>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "node_modules") {
            collect(&path, ending, found);
        } else if path.extension().is_some_and(|e| e == ending) {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push(Text { path: path.strip_prefix(root()).unwrap().display().to_string(), text });
        }
    }
}

/// A package of the workspace.
pub struct Package {
    /// Its name.
    pub name: String,
    /// Whether it is a service.
    pub is_service: bool,
    /// What it needs to run, its build script included; without what only its tests need.
    pub dependencies: Vec<String>,
}

/// Every package of the workspace, from `cargo metadata`.
pub fn packages() -> Vec<Package> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

fn package(value: &Value) -> Package {
    let dependencies = value["dependencies"].as_array().unwrap().iter();
    let dependencies = dependencies.filter(|d| d["kind"].as_str() != Some("dev"));
    Package {
        name: value["name"].as_str().unwrap().to_owned(),
        is_service: value["manifest_path"].as_str().unwrap().contains("/services/"),
        dependencies: dependencies.map(|d| d["name"].as_str().unwrap().to_owned()).collect(),
    }
}

/// Fails with one line for each breach, so that all are seen at once.
pub fn assert_none(breaches: &[String], rule: &str) {
    assert!(breaches.is_empty(), "{rule}\n  {}", breaches.join("\n  "));
}
