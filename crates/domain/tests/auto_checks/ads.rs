//! Bad advertising texts.

use domain::task::TaskType;
use serde_json::json;

use crate::table::fails;

#[test]
fn bad_advertising_texts_fail() {
    let ad = |headline: &str, body: &str| json!({"headline": headline, "body": body});
    let end = "Ad. While stocks last.";
    fails(
        TaskType::PolicyCompliance,
        30,
        vec![
            (json!({"headline": "Only this"}), "candidate_form", "give both", "/body"),
            (json!({"body": "Only this"}), "candidate_form", "give both", "/headline"),
            (json!({"headline": 5, "body": null}), "candidate_form", "give both", ""),
            (json!({"headline": "Bread", "body": end, "text": "Bread"}), "candidate_form", "alone", "/text"),
            (json!(["Bread"]), "candidate_form", "no advertising text", ""),
            (ad(" ", "\n"), "candidate_form", "no words", "/headline"),
            (ad("Bread", "!!!"), "candidate_form", "no words", "/body"),
            (ad("Bread that will CURE you", end), "disallowed_terms", "\"cure\"", "/headline characters 17 to 20"),
            (ad("Bread", "Try it risk free. Ad. While stocks last."), "disallowed_terms", "risk-free", "/body characters 8 to 16"),
            (ad("Bread", "A 100 % natural loaf. While stocks last."), "disallowed_terms", "100% natural", "/body characters 3 to 15"),
            (ad("Bread", "A c\u{200b}ure. While stocks last."), "disallowed_terms", "take it out", "/body characters 3 to 7"),
            (ad("Bread", "A c.u.r.e for all. While stocks last."), "disallowed_terms", "cure", "/body characters 3 to 9"),
            (ad("Bread", "A \u{441}ur\u{435}. While stocks last."), "disallowed_terms", "cure", "/body characters 3 to 6"),
            (ad("Bread", "A cu<b>re</b>. While stocks last."), "disallowed_terms", "cure", "/body characters 3 to 9"),
            (ad("Bread", "Nature's cür\u{e9}, so to say."), "disallowed_terms", "cure", "/body characters 10 to 13"),
            (json!({"headline": "Bread", "body": end, "button": "Cure now"}), "disallowed_terms", "of button", "/button characters 1 to 4"),
            (
                json!({"headline": "Bread", "body": end, "links": [{"label": "A cure"}]}),
                "disallowed_terms",
                "cure",
                "/links/0/label characters 3 to 6",
            ),
            (ad("Bread", "Ad. Fresh."), "required_disclaimers", "\"While stocks last.\" is missing", "/body"),
            (ad("Bread", "Ad. While stock lasts."), "required_disclaimers", "is missing", "/body"),
            (ad("Bread", "Ad. while stocks last."), "required_disclaimers", "other capitals", "/body"),
            (ad("Bread", "Ad. MeanWhile stocks last."), "required_disclaimers", "is missing", "/body"),
            (ad("Bread", "Adventure! While stocks last."), "required_disclaimers", "\"Ad\" is missing", "/body"),
            (ad("Bread", "Ad. Fresh.<!-- While stocks last. -->"), "required_disclaimers", "is missing", "/body"),
            (ad("Bread", "Ad. While stocks, last."), "required_disclaimers", "is missing", "/body"),
            (
                ad("Bread and butter for the whole family", end),
                "headline_length",
                "37 characters, but at most 30",
                "/headline characters 31 to 37",
            ),
            (ad("Bread", &format!("{} {end}", "ä".repeat(80))), "body_length", "at most 80", "/body characters 81 to 103"),
            (
                json!({"headline": "Bread", "body": end, "button": "Find your bread"}),
                "text_length",
                "at most 12",
                "/button characters 13 to 15",
            ),
            (ad("BUY OUR BREAD NOW", end), "format", "4 words in capitals", "/headline characters 15 to 17"),
            (ad("BUY OUR BREAD", "NOW! Ad. While stocks last."), "format", "4 words in capitals", "/body characters 1 to 3"),
            (ad("Bread", "Now! ! Ad. While stocks last."), "format", "repeated exclamation", "/body characters 4 to 6"),
            (ad("Bread", "Now！! Ad. While stocks last."), "format", "repeated exclamation", "/body characters 4 to 5"),
            (ad("Bread", "Now‼ Ad. While stocks last."), "format", "repeated exclamation", "/body characters 4 to 4"),
            (json!({"text": "Bread. Ad. While stocks last."}), "allowed_format", "use headline_body", "/text"),
        ],
    );
}
