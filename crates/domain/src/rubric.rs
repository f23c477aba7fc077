//! The rubric of each task type: weighted criteria, and the reasons a rater may give.

mod texts;

use serde::Serialize;

use crate::task::{Choice, TaskType};

/// Version of all rubrics together; stored with each judgment.
pub const VERSION: i32 = 2;

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
    /// With which choices it is offered.
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
    /// With both bad alone: what is wrong with them.
    BothBad,
}

/// What a criterion means, with a worked example of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct WorkedExample {
    /// The criterion's key.
    pub criterion: &'static str,
    /// How to look at it, in one sentence.
    pub help: &'static str,
    /// What meets it.
    pub good: &'static str,
    /// What fails it.
    pub bad: &'static str,
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
    /// Help and examples for each criterion, in the same order.
    pub examples: &'static [WorkedExample],
    /// Reason codes.
    pub reasons: &'static [Reason],
}

/// The rubric of a task type.
#[must_use]
pub fn rubric(task_type: TaskType) -> Rubric {
    match task_type {
        TaskType::ToolCallQa => texts::TOOL_CALL_QA,
        TaskType::SchemaMapping => texts::SCHEMA_MAPPING,
        TaskType::PolicyCompliance => texts::POLICY_COMPLIANCE,
        TaskType::PlanQuality => texts::PLAN_QUALITY,
        TaskType::TaggingNormalization => texts::TAGGING_NORMALIZATION,
        TaskType::EdgeCaseRedTeam => texts::EDGE_CASE_RED_TEAM,
    }
}

/// Whether a reason code may accompany a choice in this task type.
#[must_use]
pub fn reason_fits(task_type: TaskType, choice: Choice, code: &str) -> bool {
    rubric(task_type).reasons.iter().any(|reason| reason.code == code && is_offered(reason.side, choice))
}

/// Whether reasons of a side are offered with a choice.
#[must_use]
pub fn is_offered(side: ReasonSide, choice: Choice) -> bool {
    match side {
        ReasonSide::Better => choice.candidate().is_some(),
        ReasonSide::Undecided => choice.candidate().is_none(),
        ReasonSide::BothBad => choice == Choice::BothBad,
    }
}

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

    /// Keys 1 to 9 choose a reason.
    #[test]
    fn no_choice_offers_more_reasons_than_there_are_keys() {
        for task_type in TaskType::VARIANTS {
            let reasons = rubric(*task_type).reasons;
            for choice in Choice::VARIANTS {
                let offered: Vec<&str> =
                    reasons.iter().filter(|reason| is_offered(reason.side, *choice)).map(|reason| reason.code).collect();
                assert!((3..=9).contains(&offered.len()), "{task_type} {choice}: {offered:?}");
            }
            let codes: std::collections::BTreeSet<&str> = reasons.iter().map(|reason| reason.code).collect();
            assert_eq!(codes.len(), reasons.len(), "{task_type} has a code twice");
        }
    }

    #[test]
    fn every_criterion_has_help_and_a_good_and_a_bad_example() {
        for task_type in TaskType::VARIANTS {
            let rubric = rubric(*task_type);
            let explained: Vec<&str> = rubric.examples.iter().map(|one| one.criterion).collect();
            assert_eq!(explained, rubric.criteria.iter().map(|one| one.key).collect::<Vec<_>>(), "{task_type}");
            assert!(
                rubric.examples.iter().all(|one| one.help.len() > 20 && !one.good.is_empty() && !one.bad.is_empty() && one.good != one.bad)
            );
        }
    }

    #[test]
    fn reasons_follow_the_choice() {
        assert!(reason_fits(TaskType::PlanQuality, Choice::CandidateA, "higher_return"));
        assert!(!reason_fits(TaskType::PlanQuality, Choice::Tie, "higher_return"));
        assert!(reason_fits(TaskType::PlanQuality, Choice::Tie, "equivalent"));
        assert!(reason_fits(TaskType::PlanQuality, Choice::BothBad, "violates_constraints"));
        assert!(reason_fits(TaskType::PlanQuality, Choice::BothBad, "both_wrong"));
        assert!(!reason_fits(TaskType::PlanQuality, Choice::Tie, "violates_constraints"));
    }
}
