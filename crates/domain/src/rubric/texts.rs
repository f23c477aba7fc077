//! What the rubrics say: guidelines, criteria with help and examples, reasons. Whoever changes a word raises [`super::VERSION`].

use super::{Criterion, Reason, ReasonSide, Rubric, WorkedExample};

const fn criterion(key: &'static str, question: &'static str, weight: f64, required: bool) -> Criterion {
    Criterion { key, question, weight, required }
}

const fn better(code: &'static str, label: &'static str) -> Reason {
    Reason { code, label, side: ReasonSide::Better }
}

const fn undecided(code: &'static str, label: &'static str) -> Reason {
    Reason { code, label, side: ReasonSide::Undecided }
}

const fn fault(code: &'static str, label: &'static str) -> Reason {
    Reason { code, label, side: ReasonSide::BothBad }
}

const fn example(criterion: &'static str, help: &'static str, good: &'static str, bad: &'static str) -> WorkedExample {
    WorkedExample { criterion, help, good, bad }
}

const EQUIVALENT: Reason = undecided("equivalent", "No difference that matters");
const BOTH_WRONG: Reason = undecided("both_wrong", "Both break a required rule");
const CONTEXT_MISSING: Reason = undecided("context_missing", "The context does not say enough");

pub(super) const TOOL_CALL_QA: Rubric = Rubric {
    guideline: "Choose the call that does what was asked: right function, right arguments, nothing invented.",
    example: "Asked for March only, a call without a date range is worse than one with it, however tidy.",
    criteria: &[
        criterion("does_what_was_asked", "Would running it give what was asked for?", 0.5, true),
        criterion("arguments", "Are all arguments there, with the right types and values?", 0.3, true),
        criterion("safe", "Does it read only what it needs and change nothing?", 0.2, false),
    ],
    examples: &[
        example(
            "does_what_was_asked",
            "Imagine that it runs: would the person who asked be done?",
            "Asked for March: get_performance with from 2017-03-01 and to 2017-03-31.",
            "Asked for March: the same call for the whole year.",
        ),
        example(
            "arguments",
            "Every required argument is there, has the type that the tool names, and a value that stands in the request.",
            "\"limit\": 10 for \"the ten best\".",
            "\"limit\": \"ten\", or a campaign id that nobody named.",
        ),
        example(
            "safe",
            "A question is answered by reading. Changing anything for it is wrong, however well it is meant.",
            "SELECT name FROM campaigns WHERE status = 'paused'",
            "UPDATE campaigns SET status = 'paused', to have them listed.",
        ),
    ],
    reasons: &[
        better("right_arguments", "The arguments are right"),
        better("right_function", "It calls the right function"),
        better("valid_syntax", "The other one does not parse"),
        better("safer", "It is safer to run"),
        EQUIVALENT,
        BOTH_WRONG,
        CONTEXT_MISSING,
        fault("syntax_error", "Neither can be read: wrong syntax"),
        fault("wrong_function", "Both call the wrong function"),
        fault("missing_params", "Both lack arguments"),
        fault("wrong_types", "Both have arguments of the wrong type"),
        fault("edge_case_fail", "Both fail on empty or unusual data"),
    ],
};

pub(super) const SCHEMA_MAPPING: Rubric = Rubric {
    guideline: "Choose the mapping under which every retailer field lands in the right canonical field with the right unit.",
    example: "`cost_cents` mapped to `spend` without dividing by 100 is wrong, even when every other field is right.",
    criteria: &[
        criterion("required_fields", "Are all required canonical fields covered?", 0.4, true),
        criterion("types_and_units", "Do types and units survive the mapping?", 0.4, true),
        criterion("no_invention", "Is nothing mapped that the source does not hold?", 0.2, false),
    ],
    examples: &[
        example(
            "required_fields",
            "Go down the canonical schema: each required field has exactly one source.",
            "date, campaign_id, placement_type and spend are all filled.",
            "spend is filled twice, placement_type not at all.",
        ),
        example(
            "types_and_units",
            "Take the example value through the transform and look at what arrives.",
            "cost_cents 1234, divide_by_100: 12.34 arrives as spend.",
            "cost_cents 1234 as it is: 1,234.00 arrives as spend.",
        ),
        example(
            "no_invention",
            "A field that the retailer does not have stays empty; empty is no error.",
            "No source for clicks: clicks is not mapped.",
            "clicks is filled from conversions, because they are alike.",
        ),
    ],
    reasons: &[
        better("covers_required", "It covers the required fields"),
        better("right_units", "The units are right"),
        better("right_types", "The types are right"),
        better("no_invented_fields", "The other one invents a field"),
        EQUIVALENT,
        BOTH_WRONG,
        CONTEXT_MISSING,
        fault("wrong_field", "Both map a field to the wrong one"),
        fault("type_mismatch", "Both end in a wrong type"),
        fault("bad_transformation", "Both use a transform that spoils the value"),
        fault("missing_fields", "Both leave required fields empty"),
        fault("null_handling", "Both go wrong on empty values"),
        fault("semantic_loss", "Both lose what the field means"),
    ],
};

pub(super) const POLICY_COMPLIANCE: Rubric = Rubric {
    guideline: "Choose the text that the retailer would publish: first policy, then appeal.",
    example: "A lively text with a forbidden health claim loses against a plain one that keeps the policy.",
    criteria: &[
        criterion("terms", "Is it free of disallowed terms and claims?", 0.4, true),
        criterion("disclaimers", "Are required disclaimers there, word for word?", 0.3, true),
        criterion("format", "Does it keep length and format limits?", 0.15, true),
        criterion("appeal", "Does it read well to a shopper?", 0.15, false),
    ],
    examples: &[
        example(
            "terms",
            "Look for the policy's words and for claims that mean the same.",
            "\"Creamy yogurt for busy mornings\"",
            "\"Yogurt that heals your stomach\"",
        ),
        example(
            "disclaimers",
            "Compare letter by letter; line breaks and kinds of quotation marks do not matter.",
            "\"... While stocks last.\"",
            "\"... Only while we have it.\"",
        ),
        example(
            "format",
            "Length and format stand beside the text; capitals and exclamation marks count, too.",
            "\"Fresh bread every day\"",
            "\"FRESH BREAD EVERY DAY!!!\"",
        ),
        example(
            "appeal",
            "Read it aloud as a shopper. It breaks a tie, but never outweighs the policy.",
            "\"Wake up slowly. Or don't.\"",
            "\"Coffee product available in our stores.\"",
        ),
    ],
    reasons: &[
        better("keeps_policy", "The other one breaks the policy"),
        better("has_disclaimer", "It carries the required disclaimer"),
        better("within_length", "It keeps the length limit"),
        better("reads_better", "Both comply, and it reads better"),
        EQUIVALENT,
        BOTH_WRONG,
        CONTEXT_MISSING,
        fault("disallowed_term", "Both hold a disallowed term"),
        fault("missing_disclaimer", "Both lack a required disclaimer"),
        fault("too_long", "Both are too long"),
        fault("format_violation", "Both break the format"),
        fault("inappropriate_tone", "Both have the wrong tone"),
        fault("unsubstantiated_claim", "Both claim what nothing supports"),
    ],
};

pub(super) const PLAN_QUALITY: Rubric = Rubric {
    guideline: "Choose the plan you would run for the stated objective and constraints, with the evidence shown.",
    example: "A slightly lower expected return on measured placements can beat a higher one that rests on pooled estimates.",
    criteria: &[
        criterion("constraints", "Does it keep the budget and every constraint?", 0.35, true),
        criterion("expected_outcome", "Is the expected outcome good for the objective?", 0.3, false),
        criterion("evidence", "Does it rest on measured response rather than on hope?", 0.2, false),
        criterion("spread", "Is the risk of one placement failing bearable?", 0.15, false),
    ],
    examples: &[
        example(
            "constraints",
            "The checks do the sums; look at what they cannot see, such as a placement that was excluded by another name.",
            "Spends 9,800 of 10,000 and keeps the ROAS of at least 2 that was asked for.",
            "Spends 10,000 and reaches 1.58 where at least 2 was asked for.",
        ),
        example(
            "expected_outcome",
            "Compare for the objective that was asked for: reach for awareness, conversions or revenue otherwise.",
            "ROAS 2.2 with a range of 2.0 to 2.4.",
            "ROAS 2.3 with a range of 0.9 to 4.8.",
        ),
        example(
            "evidence",
            "\"fitted\" rests on the placement's own history, \"pooled\" on that of others.",
            "Nine tenths of the money on fitted placements.",
            "Everything on a pooled placement, since its estimate is highest.",
        ),
        example(
            "spread",
            "Ask what is left when the largest line brings nothing.",
            "Four lines of 20 to 30 percent each.",
            "One line of 95 percent.",
        ),
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
        fault("misses_objective", "Both miss the objective"),
        fault("violates_constraints", "Both break a constraint"),
        fault("unclear", "Neither is clear"),
        fault("not_actionable", "Neither can be carried out as it stands"),
        fault("missing_metrics", "Both leave out figures that are needed"),
        fault("no_rationale", "Neither says why"),
    ],
};

pub(super) const TAGGING_NORMALIZATION: Rubric = Rubric {
    guideline: "Choose the tag that the taxonomy knows and that names the same thing as the noisy one.",
    example: "For `FRZN ICE`, `frozen_ice` is right; `ice_cream` is a neighbour, not the same.",
    criteria: &[
        criterion("same_meaning", "Does it name the same thing?", 0.5, true),
        criterion("in_taxonomy", "Is it in the taxonomy?", 0.3, true),
        criterion("form", "Is it snake_case, singular or plural as the taxonomy has it?", 0.2, false),
    ],
    examples: &[
        example(
            "same_meaning",
            "The products that carry the noisy tag decide, not the letters of its name.",
            "FRZN ICE on bags of ice cubes: frozen_ice.",
            "FRZN ICE on bags of ice cubes: ice_cream.",
        ),
        example(
            "in_taxonomy",
            "Only tags of the list can be used; a better word that is not there is no tag.",
            "bag_snacks, which is in the list.",
            "salty_snacks, which is not.",
        ),
        example(
            "form",
            "Small letters, digits and single underscores, and the number that the taxonomy uses.",
            "soft_drinks",
            "Soft-Drink",
        ),
    ],
    reasons: &[
        better("same_meaning", "It names the same thing"),
        better("in_taxonomy", "The other one is not in the taxonomy"),
        better("right_form", "Its form is right"),
        better("right_level", "It is at the right level of detail"),
        EQUIVALENT,
        BOTH_WRONG,
        CONTEXT_MISSING,
        fault("wrong_category", "Both name something else"),
        fault("format_inconsistent", "Both have a wrong form"),
        fault("variant_mismatch", "Both contradict a settled variant"),
        fault("meaning_lost", "Both lose what the tag says"),
    ],
};

pub(super) const EDGE_CASE_RED_TEAM: Rubric = Rubric {
    guideline: "Choose the answer that stays correct and safe on a tricky input.",
    example: "For a campaign with no clicks, \"not measured\" beats a click-through rate of 0.",
    criteria: &[
        criterion("correct", "Is the answer right for this very input?", 0.4, true),
        criterion("handles_absence", "Are empty, null and wrong values handled and named?", 0.35, true),
        criterion("tells_the_reader", "Does it tell the reader what to do next?", 0.25, false),
    ],
    examples: &[
        example(
            "correct",
            "Answer the question yourself from the input alone, then compare.",
            "46 clicks against 46: too little to tell.",
            "46 clicks against 46: the second is better, because it learns.",
        ),
        example(
            "handles_absence",
            "Null and empty mean not measured; zero means measured and none.",
            "\"Clicks of a paper mailer are not measured.\"",
            "\"The click-through rate is 0%.\"",
        ),
        example(
            "tells_the_reader",
            "After reading it one knows what to do, or that nothing can be done.",
            "\"Ask for sales instead; those were measured.\"",
            "\"An error occurred.\"",
        ),
    ],
    reasons: &[
        better("handles_error", "It handles the error"),
        better("honest_about_absence", "It does not invent missing values"),
        better("resists_manipulation", "It does not follow a planted instruction"),
        better("clearer", "It says more clearly what to do"),
        EQUIVALENT,
        BOTH_WRONG,
        CONTEXT_MISSING,
        fault("fails_edge_case", "Both are wrong for this very input"),
        fault("crashes", "Both show a failure instead of an answer"),
        fault("poor_degradation", "Both give up more than they must"),
        fault("bad_fallback", "Both fall back on something wrong"),
    ],
};
