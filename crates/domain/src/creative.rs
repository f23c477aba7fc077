//! Creatives: what an ad says and shows, and what a retailer's policy and specifications have against it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::checks::policy::missing_disclaimers;
use crate::checks::words::{Searchable, Term};
use crate::invalid::Invalid;
use crate::policy::{CreativeSpecs, FormatSpec, Policy, ratio_of};

/// Most texts or assets of a creative.
pub const MAX_PARTS: usize = 50;
/// Longest text, in characters.
pub const MAX_TEXT: usize = 10_000;
/// How far an aspect ratio may be off.
const RATIO_TOLERANCE: f64 = 0.01;

/// A creative.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Creative {
    /// A format of the retailer.
    pub format: Option<String>,
    /// What it says, by field: `headline`, `body`, `call_to_action`, ...
    #[serde(default)]
    pub texts: BTreeMap<String, String>,
    /// What it shows.
    #[serde(default)]
    pub assets: Vec<Asset>,
}

/// A picture or film.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// Where it lies, or its name.
    pub name: Option<String>,
    /// Ending or media type: `png`, `image/png`.
    pub file_type: Option<String>,
    /// Pixels.
    pub width: Option<u32>,
    /// Pixels.
    pub height: Option<u32>,
    /// Size of the file.
    pub file_bytes: Option<u64>,
    /// What a reader of the screen says.
    pub alt_text: Option<String>,
}

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::AsRefStr, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Rule {
    /// A word or phrase of the policy's list.
    DisallowedTerm,
    /// A sentence that must be there.
    RequiredDisclaimer,
    /// Too long a text.
    MaxLength,
    /// A format that the retailer does not take.
    AllowedFormat,
    /// A text that the format needs.
    RequiredText,
    /// An asset that the format needs.
    RequiredAsset,
    /// A kind of file that the format does not take.
    FileType,
    /// Width or height.
    ImageSize,
    /// Width to height.
    AspectRatio,
    /// Too large a file.
    FileSize,
    /// A figure of the asset that the rule needs and that is not stated.
    NotStated,
}

/// One thing that a retailer has against a creative.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CreativeFinding {
    /// The rule.
    pub rule: Rule,
    /// Where: `texts.headline`, `assets[0].width`; empty for the whole creative.
    pub place: String,
    /// What is wrong and what would put it right.
    pub message: String,
}

/// Checks the form of a creative, whatever the retailer.
///
/// # Errors
/// [`Invalid`] by field under `prefix`.
pub fn check_form(prefix: &str, creative: &Creative) -> Result<(), Invalid> {
    let mut invalid = Invalid::default();
    if creative.texts.is_empty() && creative.assets.is_empty() {
        invalid.add(format!("{prefix}texts"), "give at least one text or asset");
    }
    for (field, n) in [("texts", creative.texts.len()), ("assets", creative.assets.len())] {
        if n > MAX_PARTS {
            invalid.add(format!("{prefix}{field}"), format!("must have at most {MAX_PARTS} entries"));
        }
    }
    for (name, text) in &creative.texts {
        if name.trim().is_empty() || name.chars().count() > 100 {
            invalid.add(format!("{prefix}texts"), "names of fields must be 1 to 100 characters");
        }
        if text.chars().count() > MAX_TEXT {
            invalid.add(format!("{prefix}texts.{name}"), format!("must be at most {MAX_TEXT} characters"));
        }
    }
    for (at, asset) in creative.assets.iter().enumerate() {
        for (field, text, most) in [("name", &asset.name, 500), ("file_type", &asset.file_type, 100), ("alt_text", &asset.alt_text, 1000)] {
            if text.as_ref().is_some_and(|text| text.trim().is_empty() || text.chars().count() > most) {
                invalid.add(format!("{prefix}assets[{at}].{field}"), format!("must be 1 to {most} characters"));
            }
        }
    }
    if creative.format.as_ref().is_some_and(|format| format.trim().is_empty() || format.chars().count() > 100) {
        invalid.add(format!("{prefix}format"), "must be 1 to 100 characters");
    }
    invalid.into_result()
}

/// What the retailer has against it; nothing means that it may run.
#[must_use]
pub fn check(policy: &Policy, specs: &CreativeSpecs, creative: &Creative) -> Vec<CreativeFinding> {
    let mut findings = Vec::new();
    // The texts that people see, those of assets included.
    let mut texts: Vec<(String, &str)> = creative.texts.iter().map(|(field, text)| (format!("texts.{field}"), text.as_str())).collect();
    texts.extend(
        creative.assets.iter().enumerate().filter_map(|(at, asset)| Some((format!("assets[{at}].alt_text"), asset.alt_text.as_deref()?))),
    );
    let terms: Vec<(&String, Term)> = policy.disallowed_terms.iter().map(|term| (term, Term::of(term))).collect();
    for (place, text) in &texts {
        let text = Searchable::of(text);
        for (term, ready) in &terms {
            if let Some(at) = text.find(ready) {
                let message = format!("{term:?} is disallowed and stands at character {at}; take it out");
                findings.push(CreativeFinding { rule: Rule::DisallowedTerm, place: place.clone(), message });
            }
        }
    }
    let disclaimers: Vec<&str> = policy.required_disclaimers.iter().map(String::as_str).collect();
    let said: Vec<&str> = creative.texts.values().map(String::as_str).collect();
    for message in missing_disclaimers(&disclaimers, &said) {
        findings.push(CreativeFinding { rule: Rule::RequiredDisclaimer, place: "texts".to_owned(), message });
    }
    for (field, text) in &creative.texts {
        let length = text.chars().count() as u64;
        if let Some(limit) = policy.max_length(field).filter(|limit| length > *limit) {
            let message = format!("{length} characters, but at most {limit} are allowed; shorten it");
            findings.push(CreativeFinding { rule: Rule::MaxLength, place: format!("texts.{field}"), message });
        }
    }
    check_format(policy, specs, creative, &mut findings);
    findings
}

fn check_format(policy: &Policy, specs: &CreativeSpecs, creative: &Creative, findings: &mut Vec<CreativeFinding>) {
    let mut add = |rule, place: String, message: String| findings.push(CreativeFinding { rule, place, message });
    let known: Vec<&str> = match policy.allowed_formats.is_empty() {
        true => specs.formats.keys().map(String::as_str).collect(),
        false => policy.allowed_formats.iter().map(String::as_str).collect(),
    };
    match &creative.format {
        Some(format) if !known.is_empty() && !known.contains(&format.as_str()) => {
            add(Rule::AllowedFormat, "format".to_owned(), format!("{format:?} is not taken; use {}", known.join(" or ")));
            return;
        }
        None if !known.is_empty() => {
            add(Rule::AllowedFormat, "format".to_owned(), format!("is not stated; state one of {}", known.join(", ")));
            return;
        }
        _ => {}
    }
    let Some(spec) = creative.format.as_ref().and_then(|format| specs.formats.get(format)) else { return };
    for field in &spec.required_texts {
        if creative.texts.get(field).is_none_or(|text| text.trim().is_empty()) {
            add(Rule::RequiredText, format!("texts.{field}"), "the format needs this text; add it".to_owned());
        }
    }
    if spec.requires_asset && creative.assets.is_empty() {
        add(Rule::RequiredAsset, "assets".to_owned(), "the format needs an asset; add one".to_owned());
    }
    for (at, asset) in creative.assets.iter().enumerate() {
        for (rule, field, message) in against_asset(spec, asset) {
            add(rule, format!("assets[{at}].{field}"), message);
        }
    }
}

fn against_asset(spec: &FormatSpec, asset: &Asset) -> Vec<(Rule, &'static str, String)> {
    let mut found = Vec::new();
    let not_stated = || "the format has a rule about it; state it".to_owned();
    if !spec.file_types.is_empty() {
        let plain = |kind: &str| kind.rsplit(['/', '.']).next().unwrap_or_default().to_lowercase().replace("jpeg", "jpg");
        match &asset.file_type {
            None => found.push((Rule::NotStated, "file_type", not_stated())),
            Some(kind) if !spec.file_types.iter().any(|allowed| plain(allowed) == plain(kind)) => {
                found.push((Rule::FileType, "file_type", format!("{kind:?} is not taken; use {}", spec.file_types.join(" or "))));
            }
            Some(_) => {}
        }
    }
    let sides = [
        ("width", asset.width, spec.width, spec.min_width, spec.max_width),
        ("height", asset.height, spec.height, spec.min_height, spec.max_height),
    ];
    for (field, stated, exact, low, high) in sides {
        let (low, high) = (exact.or(low), exact.or(high));
        if low.is_none() && high.is_none() {
            continue;
        }
        match stated {
            None => found.push((Rule::NotStated, field, not_stated())),
            Some(pixels) if low.is_some_and(|low| pixels < low) || high.is_some_and(|high| pixels > high) => {
                let wanted = match (low, high) {
                    (Some(low), Some(high)) if low == high => format!("must be {low}"),
                    (Some(low), Some(high)) => format!("must be {low} to {high}"),
                    (Some(low), None) => format!("must be at least {low}"),
                    (_, high) => format!("must be at most {}", high.unwrap_or_default()),
                };
                found.push((Rule::ImageSize, field, format!("is {pixels} pixels and {wanted}")));
            }
            Some(_) => {}
        }
    }
    if !spec.aspect_ratios.is_empty() {
        match (asset.width, asset.height) {
            (Some(width), Some(height)) if height > 0 => {
                let ratio = f64::from(width) / f64::from(height);
                let fits = |wanted: &String| ratio_of(wanted).is_some_and(|wanted| ((ratio - wanted) / wanted).abs() <= RATIO_TOLERANCE);
                if !spec.aspect_ratios.iter().any(fits) {
                    found.push((Rule::AspectRatio, "width", format!("{width}x{height} is none of {}", spec.aspect_ratios.join(", "))));
                }
            }
            _ => found.push((Rule::NotStated, "width", not_stated())),
        }
    }
    if let Some(most) = spec.max_file_bytes {
        match asset.file_bytes {
            None => found.push((Rule::NotStated, "file_bytes", not_stated())),
            Some(bytes) if bytes > most => {
                found.push((Rule::FileSize, "file_bytes", format!("has {bytes} bytes, but at most {most} are allowed")))
            }
            Some(_) => {}
        }
    }
    found
}
