//! Bad tags.

use domain::checks::run;
use domain::task::TaskType;
use serde_json::json;

use crate::table::{fails, taxonomy};

#[test]
fn bad_tags_fail() {
    let tag = |text: &str| json!({ "tag": text });
    fails(
        TaskType::TaggingNormalization,
        18,
        vec![
            (json!({"tags": ["frozen_ice"]}), "candidate_form", "no text under \"tag\"", "/tag"),
            (json!({"tag": 3}), "candidate_form", "no text", "/tag"),
            (json!({"tag": ["frozen_ice"]}), "candidate_form", "no text", "/tag"),
            (json!("frozen_ice"), "candidate_form", "no text", "/tag"),
            (tag("Frozen Ice"), "snake_case", "'F' is a capital letter", "/tag characters 1 to 1"),
            (tag("frozenIce"), "snake_case", "capital letter", "/tag characters 7 to 7"),
            (tag("frozen-ice"), "snake_case", "'-' may not stand", "/tag characters 7 to 7"),
            (tag("frozen_ice "), "snake_case", "may not stand", "/tag characters 11 to 11"),
            (tag("frozen_ice\n"), "snake_case", "may not stand", "/tag characters 11 to 11"),
            (tag("frozen__ice"), "snake_case", "two underscores", "/tag characters 7 to 8"),
            (tag("_ice"), "snake_case", "begins with an underscore", "/tag characters 1 to 1"),
            (tag("ice_"), "snake_case", "ends with an underscore", "/tag characters 4 to 4"),
            (tag("_"), "snake_case", "underscore", "/tag characters 1 to 1"),
            (tag(""), "snake_case", "it is empty", "/tag"),
            (tag("2017"), "snake_case", "no letter", "/tag"),
            (tag("fr\u{43e}zen_ice"), "snake_case", "may look like one", "/tag characters 3 to 3"),
            (tag("crème"), "snake_case", "not one of the letters a-z", "/tag characters 3 to 3"),
            (tag(&"a".repeat(101)), "snake_case", "101 characters", "/tag characters 101 to 101"),
            (tag("frozen_ices"), "in_taxonomy", "choose one of its 5 tags", "/tag"),
            (tag("frozen_ice\u{200b}"), "in_taxonomy", "not in the taxonomy", "/tag"),
            (tag("ice_cream"), "known_variant", "\"FRZN ICE\" is a known variant of \"frozen_ice\"", "/tag"),
            (tag("bread"), "known_variant", "not of \"bread\"", "/tag"),
        ],
    );
}

#[test]
fn a_variant_within_another_name_settles_nothing() {
    let settled = |prompt: &str| {
        let found = run(TaskType::TaggingNormalization, &taxonomy(), prompt, &[&json!({"tag": "bread"})]);
        found.into_iter().any(|finding| finding.check == "known_variant")
    };
    assert!(!settled("Which tag is right for \"ICE TEA\"?"), "the quoted name is another one");
    assert!(settled("Which tag is right for \"frzn-ice\"?"), "case and hyphens do not matter");
    assert!(settled("Which tag is right for FRZN ICE?"), "without quotation marks the longest variant counts");
    assert!(!settled("Which tag is right for DICED HAM?"));
}
