//! What a retailer asks of advertising: its policies and its creative specifications, read from the documents in which they are stored.
//!
//! A word that is not known is refused like one of the wrong type: a mistyped rule must not silently be no rule.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::invalid::Invalid;

/// Most terms, disclaimers or formats of one document.
pub const MAX_ENTRIES: usize = 500;
/// Longest term or disclaimer, in characters.
pub const MAX_TEXT: usize = 500;
/// Largest smallest cell.
const MAX_CELL: u64 = 1_000_000;

/// A retailer's policies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Words and phrases that no text may hold.
    pub disallowed_terms: Vec<String>,
    /// Sentences that some text must hold, word for word.
    pub required_disclaimers: Vec<String>,
    /// Most characters of a text, by its field; `*` stands for all others.
    pub max_lengths: BTreeMap<String, u64>,
    /// Most characters of `headline`; the short form of an entry of `max_lengths`.
    pub max_headline_length: Option<u64>,
    /// Most characters of `body`; the short form of an entry of `max_lengths`.
    pub max_body_length: Option<u64>,
    /// Formats that may be used.
    pub allowed_formats: Vec<String>,
    /// Smallest number of people whose figures are shown together.
    pub min_cell_size: Option<u64>,
}

/// A retailer's creative specifications.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CreativeSpecs {
    /// What each format asks of its files, by name.
    pub formats: BTreeMap<String, FormatSpec>,
}

/// What a format asks of its files.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FormatSpec {
    /// Endings of file names or media types: `png`, `image/png`.
    pub file_types: Vec<String>,
    /// Exact width in pixels.
    pub width: Option<u32>,
    /// Exact height in pixels.
    pub height: Option<u32>,
    /// Smallest width in pixels.
    pub min_width: Option<u32>,
    /// Largest width in pixels.
    pub max_width: Option<u32>,
    /// Smallest height in pixels.
    pub min_height: Option<u32>,
    /// Largest height in pixels.
    pub max_height: Option<u32>,
    /// Width to height: `16:9`. One of them must fit within one percent.
    pub aspect_ratios: Vec<String>,
    /// Largest file in bytes.
    pub max_file_bytes: Option<u64>,
    /// Texts that must be there, by field.
    pub required_texts: Vec<String>,
    /// Whether an asset must be there.
    pub requires_asset: bool,
}

impl Policy {
    /// From a stored document.
    ///
    /// # Errors
    /// [`Invalid`] on `policies...`.
    pub fn read(document: &Value) -> Result<Self, Invalid> {
        let policy: Self = parse("policies", document)?;
        let mut invalid = Invalid::default();
        check_list(&mut invalid, "policies.disallowed_terms", &policy.disallowed_terms);
        check_list(&mut invalid, "policies.required_disclaimers", &policy.required_disclaimers);
        check_list(&mut invalid, "policies.allowed_formats", &policy.allowed_formats);
        if policy.max_lengths.len() > MAX_ENTRIES {
            invalid.add("policies.max_lengths", format!("must have at most {MAX_ENTRIES} entries"));
        }
        let named = policy.max_lengths.iter().map(|(name, limit)| (format!("max_lengths.{name}"), Some(*limit)));
        let short =
            [("max_headline_length".to_owned(), policy.max_headline_length), ("max_body_length".to_owned(), policy.max_body_length)];
        for (name, limit) in named.chain(short) {
            if limit == Some(0) {
                invalid.add(format!("policies.{name}"), "must be above 0");
            }
        }
        if policy.min_cell_size.is_some_and(|size| !(1..=MAX_CELL).contains(&size)) {
            invalid.add("policies.min_cell_size", format!("must be a whole number from 1 to {MAX_CELL}"));
        }
        invalid.into_result()?;
        Ok(policy)
    }

    /// Most characters of a field.
    #[must_use]
    pub fn max_length(&self, field: &str) -> Option<u64> {
        let short = match field {
            "headline" => self.max_headline_length,
            "body" => self.max_body_length,
            _ => None,
        };
        self.max_lengths.get(field).copied().or(short).or_else(|| self.max_lengths.get("*").copied())
    }
}

impl CreativeSpecs {
    /// From a stored document.
    ///
    /// # Errors
    /// [`Invalid`] on `creative_specs...`.
    pub fn read(document: &Value) -> Result<Self, Invalid> {
        let specs: Self = parse("creative_specs", document)?;
        let mut invalid = Invalid::default();
        if specs.formats.len() > MAX_ENTRIES {
            invalid.add("creative_specs.formats", format!("must have at most {MAX_ENTRIES} entries"));
        }
        for (name, spec) in &specs.formats {
            let place = format!("creative_specs.formats.{name}");
            check_list(&mut invalid, &format!("{place}.file_types"), &spec.file_types);
            check_list(&mut invalid, &format!("{place}.required_texts"), &spec.required_texts);
            for (at, ratio) in spec.aspect_ratios.iter().enumerate() {
                if ratio_of(ratio).is_none() {
                    invalid.add(format!("{place}.aspect_ratios[{at}]"), "must be WIDTH:HEIGHT in numbers above 0, such as 16:9");
                }
            }
            for (low, high, what) in [(spec.min_width, spec.max_width, "width"), (spec.min_height, spec.max_height, "height")] {
                if let (Some(low), Some(high)) = (low, high)
                    && low > high
                {
                    invalid.add(format!("{place}.max_{what}"), format!("is below min_{what}"));
                }
            }
        }
        invalid.into_result()?;
        Ok(specs)
    }
}

/// Width divided by height.
pub(crate) fn ratio_of(text: &str) -> Option<f64> {
    let (width, height) = text.split_once(':')?;
    let number = |part: &str| part.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0);
    Some(number(width)? / number(height)?)
}

fn check_list(invalid: &mut Invalid, field: &str, list: &[String]) {
    if list.len() > MAX_ENTRIES {
        invalid.add(field, format!("must have at most {MAX_ENTRIES} entries"));
    }
    for (at, text) in list.iter().enumerate() {
        if text.trim().is_empty() || text.chars().count() > MAX_TEXT {
            invalid.add(format!("{field}[{at}]"), format!("must be 1 to {MAX_TEXT} characters"));
        }
    }
}

/// Reads a document member by member, so that each mistake is named.
fn parse<T: for<'de> Deserialize<'de> + Default>(name: &str, document: &Value) -> Result<T, Invalid> {
    let Some(members) = document.as_object() else { return Err(Invalid::one(name, "must be an object")) };
    let mut invalid = Invalid::default();
    for (member, value) in members {
        let alone = Value::Object([(member.clone(), value.clone())].into_iter().collect());
        if let Err(error) = serde_json::from_value::<T>(alone) {
            invalid.add(format!("{name}.{member}"), error.to_string());
        }
    }
    invalid.into_result()?;
    serde_json::from_value(document.clone()).map_err(|error| Invalid::one(name, error.to_string()))
}
