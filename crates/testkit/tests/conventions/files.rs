//! How our files look: short, explained at the top, finished, and named for what is in them.

use crate::workspace::{Text, assert_none, rust_files};

/// Longest file, in lines: what a reader takes in at one sitting.
const MOST_LINES: usize = 400;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = ["util", "utils", "common", "helper", "helpers", "manager", "managers", "misc"];

#[test]
fn no_file_is_longer_than_a_sitting() {
    let long = rust_files("src").into_iter().map(|f| (f.text.lines().count(), f.path)).filter(|(n, _)| *n > MOST_LINES);
    let breaches: Vec<String> = long.map(|(n, path)| format!("{path} has {n} lines")).collect();
    assert_none(&breaches, "a file has at most 400 lines");
}

#[test]
fn every_file_begins_with_why_it_exists() {
    let files = rust_files("src");
    assert!(files.len() > 100, "only {} files found", files.len());
    let breaches: Vec<String> = files.into_iter().filter(|f| !explains_itself(&f.text)).map(|f| f.path).collect();
    assert_none(&breaches, "a file begins with a `//!` paragraph that says why it exists");
}

/// A first line of at least a few words.
fn explains_itself(text: &str) -> bool {
    text.lines().next().and_then(|line| line.strip_prefix("//! ")).is_some_and(|words| words.len() >= 10)
}

#[test]
fn nothing_is_left_unfinished() {
    // Written in two parts so that this file does not find itself.
    let needles = [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("db", "g!("), concat!("TO", "DO"), concat!("FIX", "ME")];
    let mut breaches = Vec::new();
    for file in everything() {
        breaches.extend(lines_with(&file, &needles));
    }
    assert_none(&breaches, "what is not finished is left out, and said so");
}

#[test]
fn no_test_is_skipped() {
    let mut breaches = Vec::new();
    for file in everything() {
        breaches.extend(lines_with(&file, &[concat!("#[", "ignore")]));
    }
    assert_none(&breaches, "a test that is never run proves nothing");
}

#[test]
fn modules_are_named_for_what_is_in_them() {
    let mut breaches = Vec::new();
    for file in everything() {
        let empty = file.path.split('/').map(|part| part.trim_end_matches(".rs")).any(|part| EMPTY_NAMES.contains(&part));
        if empty {
            breaches.push(file.path.clone());
        }
        let declared = EMPTY_NAMES.map(|name| format!("mod {name} {{"));
        breaches.extend(lines_with(&file, &declared.each_ref().map(String::as_str)));
    }
    assert_none(&breaches, "a module is named by a plain noun");
}

fn everything() -> Vec<Text> {
    ["src", "tests", "examples", "benches"].into_iter().flat_map(rust_files).collect()
}

/// `path:line` of every line that has one of the needles.
fn lines_with(file: &Text, needles: &[&str]) -> Vec<String> {
    let lines = file.text.lines().enumerate().filter(|(_, line)| needles.iter().any(|needle| line.contains(needle)));
    lines.map(|(at, line)| format!("{}:{}: {}", file.path, at + 1, line.trim())).collect()
}
