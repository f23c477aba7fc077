//! How unsure a distribution over labels is, as numbers between 0 (certain) and 1 (as unsure as can be):
//! for ordering queues and for choosing what to judge next.

/// Shannon entropy divided by the logarithm of the number of labels: 1 for a uniform distribution, 0 for
/// certainty and for fewer than two labels. Values that are not positive count as zero.
pub fn normalised_entropy(probabilities: &[f64]) -> f64 {
    if probabilities.len() < 2 {
        return 0.0;
    }
    (entropy(probabilities) / (probabilities.len() as f64).ln()).clamp(0.0, 1.0)
}

/// One minus the lead of the most probable label over the second: 1 for a tie, 0 for certainty.
pub fn margin(probabilities: &[f64]) -> f64 {
    let (mut first, mut second) = (0.0_f64, 0.0_f64);
    for &probability in probabilities {
        if probability > first {
            (first, second) = (probability, first);
        } else {
            second = second.max(probability);
        }
    }
    (1.0 - (first - second)).clamp(0.0, 1.0)
}

/// One minus the highest probability.
pub fn least_confidence(probabilities: &[f64]) -> f64 {
    (1.0 - probabilities.iter().copied().fold(0.0, f64::max)).clamp(0.0, 1.0)
}

/// Share of pairs of judgments on one task that disagree, from the counts per label. `None` with fewer
/// than two judgments.
pub fn disagreement(label_counts: &[u32]) -> Option<f64> {
    let total: f64 = label_counts.iter().map(|count| f64::from(*count)).sum();
    if total < 2.0 {
        return None;
    }
    let agreeing: f64 = label_counts.iter().map(|&count| f64::from(count) * (f64::from(count) - 1.0)).sum();
    Some(1.0 - agreeing / (total * (total - 1.0)))
}

/// What the members of an ensemble disagree on: entropy of the mean distribution minus the mean entropy,
/// in nats. 0 without members. Members must have the same length; missing entries count as zero.
pub fn mutual_information(members: &[Vec<f64>]) -> f64 {
    let Some(length) = members.iter().map(Vec::len).max() else {
        return 0.0;
    };
    let mut mean = vec![0.0; length];
    for member in members {
        mean.iter_mut().zip(member).for_each(|(sum, p)| *sum += p / members.len() as f64);
    }
    let mean_entropy = members.iter().map(|member| entropy(member)).sum::<f64>() / members.len() as f64;
    (entropy(&mean) - mean_entropy).max(0.0)
}

fn entropy(probabilities: &[f64]) -> f64 {
    probabilities.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum()
}
