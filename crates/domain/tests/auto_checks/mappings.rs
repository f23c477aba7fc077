//! Bad mappings of a retailer's fields.

use domain::task::TaskType;
use serde_json::{Value, json};

use crate::table::fails;

#[test]
fn bad_mappings_fail() {
    let with = |source: &str, entry: Value| {
        let mut mapping = json!({"mapping": {"day": {"to": "date", "transform": "date_mm_dd_yyyy"},
            "cost_cents": {"to": "spend", "transform": "divide_by_100"}, "camp": {"to": "campaign_id"}}});
        mapping["mapping"][source] = entry;
        mapping
    };
    fails(
        TaskType::SchemaMapping,
        30,
        vec![
            (json!({"day": "date"}), "candidate_form", "no mapping", "/mapping"),
            (json!(null), "candidate_form", "no mapping", "/mapping"),
            (json!({"mapping": null}), "candidate_form", "no mapping", "/mapping"),
            (json!({"mapping": []}), "candidate_form", "no mapping", "/mapping"),
            (json!({"mapping": {}}), "candidate_form", "0 fields", "/mapping"),
            (json!({"mapping": {"day": "date"}}), "candidate_form", "where it goes", "/mapping/day"),
            (with("day", json!(null)), "candidate_form", "where it goes", "/mapping/day"),
            (with("day", json!({"to": " "})), "candidate_form", "where it goes", "/mapping/day"),
            (with("day", json!({"to": "date", "transform": 3})), "candidate_form", "must be a text", "/mapping/day/transform"),
            (
                with("day", json!({"to": "date", "transform": ["trim", "date_iso"]})),
                "candidate_form",
                "must be a text",
                "/mapping/day/transform",
            ),
            (
                with("camp", json!({"to": "campaign_id", "transforms": "trim"})),
                "candidate_form",
                "means nothing",
                "/mapping/camp/transforms",
            ),
            (json!({"mapping": {"camp": {"to": "campaign_id"}}}), "required_fields_covered", "\"date\" is not covered", "/mapping"),
            (with("cost", json!({"to": "spend"})), "known_source_fields", "no field \"cost\"", "/mapping/cost"),
            (with("a/b", json!({"to": "spend"})), "known_source_fields", "no field", "/mapping/a~1b"),
            (with("Day", json!({"to": "date", "transform": "date_mm_dd_yyyy"})), "known_source_fields", "no field \"Day\"", "/mapping/Day"),
            (with("camp", json!({"to": "campaign"})), "known_canonical_fields", "no field \"campaign\"", "/mapping/camp/to"),
            (with("camp", json!({"to": "c\u{430}mpaign_id"})), "known_canonical_fields", "no field", "/mapping/camp/to"),
            (with("camp", json!({"to": "date"})), "one_source_per_field", "keep one", "/mapping/day/to"),
            (
                with("day", json!({"to": "date", "transform": "guess_date"})),
                "known_transforms",
                "there are identity",
                "/mapping/day/transform",
            ),
            (with("day", json!({"to": "date", "transform": ""})), "known_transforms", "no transform \"\"", "/mapping/day/transform"),
            (with("day", json!({"to": "date", "transform": "Date_ISO"})), "known_transforms", "no transform", "/mapping/day/transform"),
            (with("day", json!({"to": "date"})), "types_compatible", "identity does not turn \"day\" (string)", "/mapping/day"),
            (
                with("cost_cents", json!({"to": "clicks", "transform": "divide_by_100"})),
                "types_compatible",
                "does not turn",
                "/mapping/cost_cents",
            ),
            (
                with("cost_cents", json!({"to": "date", "transform": "date_mm_dd_yyyy"})),
                "types_compatible",
                "does not turn",
                "/mapping/cost_cents",
            ),
            (
                with("day", json!({"to": "date", "transform": "date_dd_mm_yyyy"})),
                "examples_convert",
                "31/12/2017",
                "/mapping/day/transform",
            ),
            (with("day", json!({"to": "date", "transform": "date_iso"})), "examples_convert", "2017-12-31", "/mapping/day/transform"),
            (
                with("short_day", json!({"to": "date", "transform": "date_mm_dd_yyyy"})),
                "examples_convert",
                "\"12/31/17\"",
                "/mapping/short_day/transform",
            ),
            (
                with("clicks", json!({"to": "clicks", "transform": "parse_number"})),
                "examples_convert",
                "\"n/a\"",
                "/mapping/clicks/transform",
            ),
            (
                with("sales", json!({"to": "revenue", "transform": "parse_number"})),
                "examples_convert",
                "1,234.50",
                "/mapping/sales/transform",
            ),
            (
                with("seen", json!({"to": "seen_at", "transform": "unix_seconds_to_timestamp"})),
                "examples_convert",
                "milliseconds",
                "/mapping/seen/transform",
            ),
            (with("cost_cents", json!({"to": "spend"})), "units_convert", "arrives in cents", "/mapping/cost_cents/transform"),
            (
                with("cost_cents", json!({"to": "spend", "transform": "micros_to_units"})),
                "units_convert",
                "takes micros",
                "/mapping/cost_cents/transform",
            ),
            (with("revenue_eur", json!({"to": "revenue"})), "units_convert", "arrives in EUR", "/mapping/revenue_eur/transform"),
            (
                with("revenue_eur", json!({"to": "revenue", "transform": "divide_by_100"})),
                "units_convert",
                "takes cents",
                "/mapping/revenue_eur/transform",
            ),
        ],
    );
}
