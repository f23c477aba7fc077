//! Personal data in texts that raters may see: masked or refused as `ENDCAP_PII` says, before anything is stored. What was found is never logged.

use domain::invalid::Invalid;
use domain::pii;
use serde_json::Value;

use crate::settings::PiiRule;

/// Screens a text in place.
///
/// # Errors
/// [`Invalid`] on `field` when personal data are refused.
pub fn screen_text(rule: PiiRule, field: &str, text: &mut String) -> Result<(), Invalid> {
    match rule {
        PiiRule::Off => Ok(()),
        PiiRule::Redact => {
            if let Some(masked) = pii::redact(text) {
                *text = masked;
            }
            Ok(())
        }
        PiiRule::Refuse => {
            let mut kinds: Vec<&str> = pii::find(text).iter().map(|found| pii_word(found.kind)).collect();
            kinds.sort_unstable();
            kinds.dedup();
            if kinds.is_empty() { Ok(()) } else { Err(refusal(field, &kinds)) }
        }
    }
}

/// Screens all texts of a document in place.
///
/// # Errors
/// [`Invalid`] on the places under `field`, at most ten, when personal data are refused.
pub fn screen_document(rule: PiiRule, field: &str, document: &mut Value) -> Result<(), Invalid> {
    if rule == PiiRule::Off {
        return Ok(());
    }
    let mut masked = document.clone();
    let places = pii::redact_document("", &mut masked);
    if rule == PiiRule::Redact {
        if !places.is_empty() {
            *document = masked;
        }
        return Ok(());
    }
    let mut invalid = Invalid::default();
    for found in places.iter().take(10) {
        let place = format!("{field}{}", found.place.replace('/', "."));
        invalid.fields.append(&mut refusal(&place, &[pii_word(found.kind)]).fields);
    }
    invalid.into_result()
}

fn pii_word(kind: pii::PiiKind) -> &'static str {
    kind.mask().trim_matches(['[', ']'])
}

fn refusal(field: &str, kinds: &[&str]) -> Invalid {
    Invalid::one(field, format!("holds personal data ({}); take them out, because raters would see them", kinds.join(", ")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_masks_refuses_or_lets_through() {
        let text = "mail ann@example.com";
        let screened = |rule| {
            let mut text = text.to_owned();
            screen_text(rule, "prompt", &mut text).map(|()| text)
        };
        assert_eq!(screened(PiiRule::Redact).unwrap(), "mail [email]");
        assert_eq!(screened(PiiRule::Off).unwrap(), text);
        let refused = screened(PiiRule::Refuse).unwrap_err();
        assert!(refused.to_string().contains("email") && !refused.to_string().contains("ann@"), "{refused}");
        let mut document = json!({"a": ["212-555-0100", 12345]});
        let refused = screen_document(PiiRule::Refuse, "candidate_a", &mut document).unwrap_err();
        assert_eq!((refused.fields[0].field.as_str(), &document), ("candidate_a.a.0", &json!({"a": ["212-555-0100", 12345]})));
        screen_document(PiiRule::Redact, "candidate_a", &mut document).unwrap();
        assert_eq!(document, json!({"a": ["[phone]", 12345]}));
    }
}
