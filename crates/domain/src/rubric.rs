//! The rubric of each task type: weighted criteria, and the reasons a rater may give.

use serde::Serialize;

use crate::task::{Choice, TaskType};

/// Version of all rubrics together; stored with each judgment.
pub const VERSION: i32 = 1;

/// One thing to look at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Criterion {
    /// Stable key, used in `rubric_scores`.
    pub key: &'static str,
    /// The question put to the rater.
    pub question: &'static str,
    /// Share of the whole; the weights of a rubric add up to 1.
    pub weight: f64,
    /// A candidate that fails it cannot be acceptable.
    pub required: bool,
}

/// One reason code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Reason {
    /// Stable code.
    pub code: &'static str,
    /// What the rater reads.
    pub label: &'static str,
    /// Offered when a candidate was preferred (`better`) or when none was (`worse`).
    pub side: ReasonSide,
}

/// When a reason is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasonSide {
    /// With a preferred candidate.
    Better,
    /// With tie, both bad or unsure.
    Undecided,
}

/// Criteria and reasons of a task type.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Rubric {
    /// What to compare, in one sentence.
    pub guideline: &'static str,
    /// A worked example, in one sentence.
    pub example: &'static str,
    /// Weighted criteria.
    pub criteria: &'static [Criterion],
    /// Reason codes.
    pub reasons: &'static [Reason],
}

/// The rubric of a task type.
#[must_use]
pub fn rubric(task_type: TaskType) -> Rubric {
    match task_type {
        TaskType::ToolCallQa => TOOL_CALL_QA,
        TaskType::SchemaMapping => SCHEMA_MAPPING,
        TaskType::PolicyCompliance => POLICY_COMPLIANCE,
        TaskType::PlanQuality => PLAN_QUALITY,
        TaskType::TaggingNormalization => TAGGING_NORMALIZATION,
        TaskType::EdgeCaseRedTeam => EDGE_CASE_RED_TEAM,
    }
}

/// Whether a reason code may accompany a choice in this task type.
#[must_use]
pub fn reason_fits(task_type: TaskType, choice: Choice, code: &str) -> bool {
    let side = if choice.candidate().is_some() { ReasonSide::Better } else { ReasonSide::Undecided };
    rubric(task_type).reasons.iter().any(|reason| reason.code == code && reason.side == side)
}

const fn criterion(key: &'static str, question: &'static str, weight: f64, required: bool) -> Criterion {
    Criterion { key, question, weight, required }
}

const fn better(code: &'static str, label: &'static str) -> Reason {
    Reason { code, label, side: ReasonSide::Better }
}

const fn undecided(code: &'static str, label: &'static str) -> Reason {
    Reason { code, label, side: ReasonSide::Undecided }
}

const EQUIVALENT: Reason = undecided("equivalent", "No difference that matters");
const BOTH_WRONG: Reason = undecided("both_wrong", "Both break a required rule");
const CONTEXT_MISSING: Reason = undecided("context_missing", "The context does not say enough");

const TOOL_CALL_QA: Rubric = Rubric {
    guideline: "Choose the call that does what was asked: right function, right arguments, nothing invented.",
    example: "Asked for March only, a call without a date range is worse than one with it, however tidy.",
    criteria: &[
        criterion("does_what_was_asked", "Would running it give what was asked for?", 0.5, true),
        criterion("arguments", "Are all arguments there, with the right types and values?", 0.3, true),
        criterion("safe", "Does it read only what it needs and change nothing?", 0.2, false),
    ],
    reasons: &[
        better("right_arguments", "The arguments are right"),
        better("right_function", "It calls the right function"),
        better("valid_syntax", "The other one does not parse"),
        better("safer", "It is safer to run"),
        EQUIVALENT,
        BOTH_WRONG,
        CONTEXT_MISSING,
    ],
};

const SCHEMA_MAPPING: Rubric = Rubric {
    guideline: "Choose the mapping under which every retailer field lands in the right canonical field with the right unit.",
    example: "`cost_cents` mapped to `spend` without dividing by 100 is wrong, even when every other field is right.",
    criteria: &[
        criterion("required_fields", "Are all required canonical fields covered?", 0.4, true),
        criterion("types_and_units", "Do types and units survive the mapping?", 0.4, true),
        criterion("no_invention", "Is nothing mapped that the source does not hold?", 0.2, false),
    ],
    reasons: &[
        better("covers_required", "It covers the required fields"),
        better("right_units", "The units are right"),
        better("right_types", "The types are right"),
        better("no_invented_fields", "The other one invents a field"),
        EQUIVALENT,
        BOTH_WRONG,
        CONTEXT_MISSING,
    ],
};

const POLICY_COMPLIANCE: Rubric = Rubric {
    guideline: "Choose the text that the retailer would publish: first policy, then appeal.",
    example: "A lively text with a forbidden health claim loses against a plain one that keeps the policy.",
    criteria: &[
        criterion("terms", "Is it free of disallowed terms and claims?", 0.4, true),
        criterion("disclaimers", "Are required disclaimers there, word for word?", 0.3, true),
        criterion("format", "Does it keep length and format limits?", 0.15, true),
        criterion("appeal", "Does it read well to a shopper?", 0.15, false),
    ],
    reasons: &[
        better("keeps_policy", "The other one breaks the policy"),
        better("has_disclaimer", "It carries the required disclaimer"),
        better("within_length", "It keeps the length limit"),
        better("reads_better", "Both comply, and it reads better"),
        EQUIVALENT,
        BOTH_WRONG,
        CONTEXT_MISSING,
    ],
};

const PLAN_QUALITY: Rubric = Rubric {
    guideline: "Choose the plan you would run for the stated objective and constraints, with the evidence shown.",
    example: "A slightly lower expected return on measured placements can beat a higher one that rests on pooled estimates.",
    criteria: &[
        criterion("constraints", "Does it keep the budget and every constraint?", 0.35, true),
        criterion("expected_outcome", "Is the expected outcome good for the objective?", 0.3, false),
        criterion("evidence", "Does it rest on measured response rather than on hope?", 0.2, false),
        criterion("spread", "Is the risk of one placement failing bearable?", 0.15, false),
    ],
    reasons: &[
        better("higher_return", "The expected return is higher"),
        better("better_evidence", "It rests on better evidence"),
        better("lower_concentration", "It is less concentrated"),
        better("fits_objective", "It fits the objective better"),
        better("keeps_constraints", "The other one breaks a constraint"),
        EQUIVALENT,
        BOTH_WRONG,
        CONTEXT_MISSING,
    ],
};

const TAGGING_NORMALIZATION: Rubric = Rubric {
    guideline: "Choose the tag that the taxonomy knows and that names the same thing as the noisy one.",
    example: "For `FRZN ICE`, `frozen_ice` is right; `ice_cream` is a neighbour, not the same.",
    criteria: &[
        criterion("same_meaning", "Does it name the same thing?", 0.5, true),
        criterion("in_taxonomy", "Is it in the taxonomy?", 0.3, true),
        criterion("form", "Is it snake_case, singular or plural as the taxonomy has it?", 0.2, false),
    ],
    reasons: &[
        better("same_meaning", "It names the same thing"),
        better("in_taxonomy", "The other one is not in the taxonomy"),
        better("right_form", "Its form is right"),
        better("right_level", "It is at the right level of detail"),
        EQUIVALENT,
        BOTH_WRONG,
        CONTEXT_MISSING,
    ],
};

const EDGE_CASE_RED_TEAM: Rubric = Rubric {
    guideline: "Choose the answer that stays correct and safe on a tricky input.",
    example: "For a campaign with no clicks, \"not measured\" beats a click-through rate of 0.",
    criteria: &[
        criterion("correct", "Is the answer right for this very input?", 0.4, true),
        criterion("handles_absence", "Are empty, null and wrong values handled and named?", 0.35, true),
        criterion("tells_the_reader", "Does it tell the reader what to do next?", 0.25, false),
    ],
    reasons: &[
        better("handles_error", "It handles the error"),
        better("honest_about_absence", "It does not invent missing values"),
        better("resists_manipulation", "It does not follow a planted instruction"),
        better("clearer", "It says more clearly what to do"),
        EQUIVALENT,
        BOTH_WRONG,
        CONTEXT_MISSING,
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use strum::VariantArray;

    #[test]
    fn weights_add_up_and_every_rubric_has_a_required_criterion() {
        for task_type in TaskType::VARIANTS {
            let rubric = rubric(*task_type);
            let total: f64 = rubric.criteria.iter().map(|c| c.weight).sum();
            assert!((total - 1.0).abs() < 1e-9, "{task_type}: {total}");
            assert!(rubric.criteria.iter().any(|c| c.required), "{task_type}");
        }
    }

    #[test]
    fn reasons_follow_the_choice() {
        assert!(reason_fits(TaskType::PlanQuality, Choice::CandidateA, "higher_return"));
        assert!(!reason_fits(TaskType::PlanQuality, Choice::Tie, "higher_return"));
        assert!(reason_fits(TaskType::PlanQuality, Choice::Tie, "equivalent"));
    }
}
