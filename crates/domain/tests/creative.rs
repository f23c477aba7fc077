//! Creatives against policies and specs: each finding has its rule and place.

#![allow(clippy::unwrap_used, missing_docs)]

use domain::creative::{Creative, check, check_form};
use domain::policy::{CreativeSpecs, Policy};
use serde_json::{Value, json};

fn policy() -> Policy {
    Policy::read(&json!({
        "disallowed_terms": ["miracle", "risk free", "免费"], "required_disclaimers": ["Drink responsibly."], "max_lengths": {"headline": 20, "*": 60},
        "allowed_formats": ["banner", "text"], "min_cell_size": 50,
    }))
    .unwrap()
}

fn specs() -> CreativeSpecs {
    CreativeSpecs::read(&json!({"formats": {"banner": {
        "file_types": ["png", "image/jpeg"], "min_width": 600, "max_width": 1200, "height": 600, "aspect_ratios": ["16:9", "1:1", "2:1"],
        "max_file_bytes": 200_000, "required_texts": ["headline"], "requires_asset": true,
    }}}))
    .unwrap()
}

fn findings(creative: Value) -> Vec<(String, String)> {
    let creative: Creative = serde_json::from_value(creative).unwrap();
    check_form("", &creative).unwrap();
    check(&policy(), &specs(), &creative).into_iter().map(|finding| (finding.rule.as_ref().to_owned(), finding.place)).collect()
}

fn good() -> Value {
    json!({
        "format": "banner", "texts": {"headline": "Fresh beer", "body": "Cold. Drink  responsibly."},
        "assets": [{"file_type": "image/jpg", "width": 1200, "height": 600, "file_bytes": 100_000, "alt_text": "A glass"}],
    })
}

#[test]
fn a_good_creative_has_no_findings_and_each_rule_finds_its_place() {
    assert_eq!(findings(good()), []);
    let cases = [
        ("/texts/headline", json!("A m.i.r.a.c.l.e"), vec![("disallowed_term", "texts.headline")]),
        ("/texts/body", json!("RISK-FREE! Drink responsibly."), vec![("disallowed_term", "texts.body")]),
        ("/assets/0/alt_text", json!("the M1racle"), vec![("disallowed_term", "assets[0].alt_text")]),
        ("/texts/headline", json!("Miracle’s beer"), vec![("disallowed_term", "texts.headline")]),
        ("/texts/headline", json!("mіracle beer"), vec![("disallowed_term", "texts.headline")]),
        ("/assets/0/alt_text", json!("<b>mir</b>&#97;cle"), vec![("disallowed_term", "assets[0].alt_text")]),
        ("/texts/headline", json!("全场免费"), vec![("disallowed_term", "texts.headline")]),
        ("/texts/body", json!("Cold."), vec![("required_disclaimer", "texts")]),
        ("/texts/headline", json!("x".repeat(21)), vec![("max_length", "texts.headline")]),
        ("/texts/headline", json!("ü".repeat(20)), vec![]),
        ("/texts/body", json!(format!("{} Drink responsibly.", "y".repeat(60))), vec![("max_length", "texts.body")]),
        ("/format", json!("skyscraper"), vec![("allowed_format", "format")]),
        ("/format", json!(null), vec![("allowed_format", "format")]),
        ("/texts/headline", json!("  "), vec![("required_text", "texts.headline")]),
        ("/assets", json!([]), vec![("required_asset", "assets")]),
        ("/assets/0/file_type", json!("gif"), vec![("file_type", "assets[0].file_type")]),
        ("/assets/0/file_type", json!(null), vec![("not_stated", "assets[0].file_type")]),
        ("/assets/0/width", json!(599), vec![("image_size", "assets[0].width")]),
        ("/assets/0/height", json!(601), vec![("image_size", "assets[0].height")]),
        ("/assets/0/width", json!(900), vec![("aspect_ratio", "assets[0].width")]),
        ("/assets/0/width", json!(1195), vec![]),
        ("/assets/0/file_bytes", json!(200_001), vec![("file_size", "assets[0].file_bytes")]),
    ];
    for (place, value, expected) in cases {
        let mut creative = good();
        *creative.pointer_mut(place).unwrap() = value.clone();
        let expected: Vec<(String, String)> = expected.into_iter().map(|(rule, place)| (rule.to_owned(), place.to_owned())).collect();
        assert_eq!(findings(creative), expected, "{place} = {value}");
    }
}

#[test]
fn documents_of_the_wrong_type_are_refused_by_member() {
    let cases = [
        (json!([]), "policies"),
        (json!({"disallowed_terms": "miracle"}), "policies.disallowed_terms"),
        (json!({"disallowed_terms": [" "]}), "policies.disallowed_terms[0]"),
        (json!({"dissallowed_terms": []}), "policies.dissallowed_terms"),
        (json!({"min_cell_size": 0}), "policies.min_cell_size"),
        (json!({"min_cell_size": -1}), "policies.min_cell_size"),
        (json!({"min_cell_size": "50"}), "policies.min_cell_size"),
        (json!({"min_cell_size": 1.5}), "policies.min_cell_size"),
        (json!({"max_lengths": {"headline": 0}}), "policies.max_lengths.headline"),
        (json!({"max_lengths": [20]}), "policies.max_lengths"),
        (json!({"max_headline_length": 0}), "policies.max_headline_length"),
    ];
    for (document, field) in cases {
        assert_eq!(Policy::read(&document).unwrap_err().fields[0].field, field, "{document}");
    }
    let both = Policy::read(&json!({"min_cell_size": "x", "allowed_formats": 1})).unwrap_err();
    assert_eq!(both.fields.len(), 2);
    let cases = [
        (json!({"formats": []}), "creative_specs.formats"),
        (json!({"sizes": {}}), "creative_specs.sizes"),
        (json!({"formats": {"a": {"aspect_ratios": ["wide"]}}}), "creative_specs.formats.a.aspect_ratios[0]"),
        (json!({"formats": {"a": {"min_width": 9, "max_width": 8}}}), "creative_specs.formats.a.max_width"),
        (json!({"formats": {"a": {"width": "9"}}}), "creative_specs.formats"),
    ];
    for (document, field) in cases {
        assert_eq!(CreativeSpecs::read(&document).unwrap_err().fields[0].field, field, "{document}");
    }
}

#[test]
fn the_short_and_the_long_form_of_a_limit_agree() {
    let policy = Policy::read(&json!({"max_headline_length": 5, "max_lengths": {"body": 7, "*": 9}, "max_body_length": 6})).unwrap();
    assert_eq!(["headline", "body", "other"].map(|field| policy.max_length(field)), [Some(5), Some(7), Some(9)]);
}
