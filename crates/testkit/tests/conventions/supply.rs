//! What comes from others comes from the registry under a licence that lets anybody use it, and brings no second way to do TLS.

use std::process::Command;

use serde_json::Value;

use crate::workspace::{assert_none, read, root};

/// Licences (SPDX) that ask for nothing but their own text.
const LICENCES: [&str; 11] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "CC0-1.0",
    "Unicode-3.0",
];

/// Packages under a licence that asks for their own changed files only, unchanged here, and why they are there.
const EXCEPTIONS: [(&str, &str); 1] =
    [("webpki-roots", "MPL-2.0: certificates, with the old HTTP stack of `postgrest`, which the command brings")];

/// Packages that must not come in by somebody's default features, and why.
const UNWANTED: [(&str, &str); 3] = [
    ("openssl-sys", "TLS is rustls"),
    ("native-tls", "TLS is rustls"),
    ("aws-lc-sys", "rustls works with ring; a second one is a C build more"),
];

/// Every package of the lock file that is built on Linux.
fn packages() -> Vec<Value> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    serde_json::from_value(metadata["packages"].take()).unwrap()
}

/// Whether an expression can be met with [`LICENCES`]: of each part joined by `AND` one side of its `OR`s.
fn is_allowed(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
    plain.split(" AND ").all(|part| part.split(" OR ").any(|one| LICENCES.contains(&one.trim())))
}

#[test]
fn licences_let_anybody_use_what_is_built() {
    assert!(is_allowed("(MIT OR GPL-3.0) AND Unicode-3.0") && is_allowed("Unlicense/MIT"));
    assert!(!is_allowed("GPL-3.0") && !is_allowed("MIT AND AGPL-3.0") && !is_allowed(""));
    let found = packages();
    assert!(found.len() > 200, "only {} packages found", found.len());
    let breaches: Vec<String> = found
        .iter()
        .filter(|package| !package["source"].is_null() && !is_allowed(package["license"].as_str().unwrap_or_default()))
        .filter(|package| {
            EXCEPTIONS.iter().all(|(name, why)| package["name"] != *name || !why.starts_with(package["license"].as_str().unwrap()))
        })
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert_none(&breaches, "a dependency has one of the licences listed in this test");
}

#[test]
fn everything_comes_from_the_registry_and_nothing_unwanted_comes_along() {
    let mut breaches = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let source = package["source"].as_str().unwrap_or("registry+of our own");
        if !source.starts_with("registry+") {
            breaches.push(format!("{name} comes from {source}"));
        }
        breaches.extend(UNWANTED.iter().filter(|(unwanted, _)| *unwanted == name).map(|(_, why)| format!("{name}: {why}")));
    }
    assert_none(&breaches, "dependencies come from the registry and are wanted");
    // Floors that advisories have set (RUSTSEC-2024-0365, RUSTSEC-2023-0065).
    let lock = read("Cargo.lock");
    for (name, least) in [("diesel", (2, 2, 3)), ("tungstenite", (0, 20, 1))] {
        let version = lock.split(&format!("name = \"{name}\"\nversion = \"")).nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let parts: Vec<u32> = version.split('.').map(|part| part.parse().unwrap_or(0)).collect();
        assert!((parts[0], parts[1], parts[2]) >= least, "{name} {version} has a known flaw");
    }
}

/// What stands between brackets behind `name = ` in deny.toml, without remarks.
fn list(text: &str, name: &str) -> String {
    let behind = text.split(&format!("\n{name} = [")).nth(1).unwrap_or_else(|| panic!("deny.toml has no {name}"));
    let lines = behind.split("\n]").next().unwrap_or_default().lines();
    lines.filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_file_of_cargo_deny_says_the_same() {
    let text = read("deny.toml");
    let allowed: Vec<String> = list(&text, "allow").split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert_eq!(allowed, LICENCES, "the licences of this test and of deny.toml differ");
    let (exceptions, banned) = (list(&text, "exceptions"), list(&text, "deny"));
    for (name, why) in EXCEPTIONS {
        let licence = why.split(':').next().unwrap_or_default();
        assert!(exceptions.contains(&format!("crate = \"{name}\", allow = [\"{licence}\"]")), "{name} is no exception in deny.toml");
    }
    assert_eq!(exceptions.matches("crate = ").count(), EXCEPTIONS.len(), "deny.toml has other exceptions");
    for (name, _) in UNWANTED {
        assert!(banned.contains(&format!("crate = \"{name}\"")), "{name} is not banned in deny.toml");
    }
}
