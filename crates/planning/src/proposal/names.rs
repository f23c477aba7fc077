//! Names in limits: those of placements and audiences that have no line limit nothing, which may be
//! meant (a campaign's standing exclusions) or a slip of the pen, so people are told.

use std::collections::BTreeSet;

use super::{PlanningInput, ProposalError};

/// Checks that no line has to spend where there is none.
///
/// # Errors
/// [`ProposalError::Invalid`] naming a lowest share of a placement or audience without an open line.
pub(super) fn validate(input: &PlanningInput) -> Result<(), ProposalError> {
    let limits = &input.constraints;
    let kinds = [
        ("placement", &limits.min_share_per_placement, &limits.excluded_placements, Known::of(input).placements),
        ("audience", &limits.min_share_per_audience, &limits.excluded_audiences, Known::of(input).audiences),
    ];
    for (kind, least, excluded, known) in kinds {
        for of in least.iter().filter(|(_, share)| **share > 0.0).map(|(of, _)| of) {
            let message = if excluded.contains(of) {
                format!("{of:?} is among excluded_{kind}s, so it cannot have a lowest share")
            } else if known.contains(of.as_str()) {
                continue;
            } else {
                format!("the campaign has no line with the {kind} {of:?}; it has {}", listed(&known))
            };
            return Err(ProposalError::Invalid { field: format!("constraints.min_share_per_{kind}.{of}"), message });
        }
    }
    Ok(())
}

/// Sentences about limits that limit nothing, because no line has such a placement or audience.
pub(super) fn without_lines(input: &PlanningInput) -> Vec<String> {
    let limits = &input.constraints;
    let known = Known::of(input);
    let idle = |limit: &str, kind: &str, of: &String, known: &BTreeSet<&str>| {
        (!known.contains(of.as_str())).then(|| format!("{limit}.{of} limits nothing: no line has the {kind} {of:?}"))
    };
    let placements = (limits.excluded_placements.iter().map(|of| ("excluded_placements", of)))
        .chain(limits.max_share_per_placement.keys().map(|of| ("max_share_per_placement", of)));
    let audiences = (limits.excluded_audiences.iter().map(|of| ("excluded_audiences", of)))
        .chain(limits.max_share_per_audience.keys().map(|of| ("max_share_per_audience", of)));
    placements
        .filter_map(|(limit, of)| idle(limit, "placement", of, &known.placements))
        .chain(audiences.filter_map(|(limit, of)| idle(limit, "audience", of, &known.audiences)))
        .collect()
}

struct Known<'a> {
    placements: BTreeSet<&'a str>,
    audiences: BTreeSet<&'a str>,
}

impl<'a> Known<'a> {
    fn of(input: &'a PlanningInput) -> Self {
        Self {
            placements: input.arms.iter().map(|arm| arm.placement_type.as_str()).collect(),
            audiences: input.arms.iter().map(|arm| arm.audience_segment.as_str()).collect(),
        }
    }
}

/// The first few names.
fn listed(known: &BTreeSet<&str>) -> String {
    let mut names: Vec<&str> = known.iter().take(8).copied().collect();
    if known.len() > names.len() {
        names.push("...");
    }
    names.join(", ")
}
