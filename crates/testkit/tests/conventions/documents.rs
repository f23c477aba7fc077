//! The documents tell the truth about what exists: links lead somewhere, scripts can be run, every room and dependency has its reason.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::workspace::{Text, assert_none, collect, packages, read, root, rust_files};

/// README and everything in `docs`.
fn documents() -> Vec<Text> {
    let mut found = vec![Text { path: "README.md".to_owned(), text: read("README.md") }];
    collect(&root().join("docs"), "md", &mut found);
    found
}

/// Targets of links and pictures: `](target)`, `src="target"` and `href="target"`, without what lies elsewhere on the web.
fn targets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (open, close) in [("](", ')'), ("src=\"", '"'), ("href=\"", '"')] {
        for part in text.split(open).skip(1) {
            let target = part.split([close, '#', ' ']).next().unwrap_or_default();
            let elsewhere = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
            if !elsewhere {
                found.push(target.to_owned());
            }
        }
    }
    found
}

#[test]
fn links_lead_somewhere() {
    let mut breaches = Vec::new();
    for document in documents() {
        let folder = root().join(&document.path).parent().map(Path::to_path_buf).unwrap();
        let dead = targets(&document.text).into_iter().filter(|target| !folder.join(target).exists());
        breaches.extend(dead.map(|target| format!("{} links to {target}", document.path)));
    }
    assert_none(&breaches, "a relative link leads to a file of the repository");
}

#[test]
fn scripts_that_are_named_can_be_run() {
    let mut breaches = Vec::new();
    for document in documents() {
        for part in document.text.split("scripts/").skip(1) {
            let name: String = part.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_./".contains(*c)).collect();
            let name = name.trim_end_matches(['.', '/']);
            if name.is_empty() {
                continue;
            }
            let can_run = std::fs::metadata(root().join("scripts").join(name)).is_ok_and(|m| m.permissions().mode() & 0o111 != 0);
            if !can_run {
                breaches.push(format!("{} names scripts/{name}", document.path));
            }
        }
    }
    assert_none(&breaches, "a script that a document names exists and is executable");
}

#[test]
fn tests_that_the_security_page_names_exist() {
    let mut sources = rust_files("src");
    sources.extend(rust_files("tests"));
    let page = read("docs/security.md");
    let cells = page.lines().filter(|line| line.starts_with("| ")).filter_map(|line| line.trim_end_matches(" |").rsplit(" | ").next());
    let named: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(named.len() > 25, "only {} tests found on the page", named.len());
    let is_there = |name: &str| sources.iter().any(|file| file.text.contains(&format!("fn {name}(")));
    let breaches: Vec<String> = named.into_iter().filter(|name| !is_there(name)).map(str::to_owned).collect();
    assert_none(&breaches, "a test that docs/security.md names exists");
}

#[test]
fn every_room_is_on_the_map() {
    let map = read("docs/architecture.md");
    let breaches: Vec<String> = packages().into_iter().map(|p| p.name).filter(|name| !map.contains(&format!("`{name}`"))).collect();
    assert_none(&breaches, "docs/architecture.md names every room in backticks");
}

/// The dependencies of others in the root manifest.
fn dependencies() -> BTreeSet<String> {
    let manifest = read("Cargo.toml");
    let section = manifest.split("[workspace.dependencies]").nth(1).and_then(|rest| rest.split("\n[").next()).unwrap();
    let lines = section.lines().filter(|line| !line.starts_with('#') && !line.contains("path = "));
    lines.filter_map(|line| line.split_once('=')).map(|(name, _)| name.trim().to_owned()).collect()
}

#[test]
fn every_dependency_has_its_reason() {
    let dependencies = dependencies();
    assert!(dependencies.len() > 30, "only {} dependencies found", dependencies.len());
    let document = read("docs/dependencies.md");
    let missing = dependencies.into_iter().filter(|name| !document.contains(&format!("| `{name}` |")));
    assert_none(&missing.collect::<Vec<_>>(), "docs/dependencies.md has a row for every dependency of the workspace");
}

#[test]
fn every_reason_has_its_dependency() {
    let mut dependencies = dependencies();
    for package in packages() {
        dependencies.insert(package.name);
        dependencies.extend(package.dependencies);
    }
    let document = read("docs/dependencies.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|line| line.split('`').next());
    let stale = rows.filter(|name| !dependencies.contains(*name)).map(str::to_owned);
    assert_none(&stale.collect::<Vec<_>>(), "docs/dependencies.md has no row for what is gone");
}
