//! Small groups are not shown: which groups of a table must stay hidden so that none below the least size can be seen or computed.
//!
//! A group is small when any of its counts of people's acts is over 0 and under the least size. When a line of the table (all groups that
//! differ in one dimension only) has one hidden group, its value is the line's total less the others; so the smallest other group of the
//! line is hidden too. The same when the hidden groups of a line have together fewer than the least size.

use std::collections::BTreeMap;

/// A group of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The value of each dimension.
    pub place: Vec<String>,
    /// Counts of people's acts; absent ones are not there.
    pub counts: Vec<i64>,
    /// Least size; 0 or 1 shows everything.
    pub least: i64,
}

impl Group {
    fn is_small(&self) -> bool {
        self.counts.iter().any(|count| *count > 0 && *count < self.least)
    }

    fn size(&self) -> i64 {
        self.counts.iter().copied().max().unwrap_or(0)
    }
}

/// For each group whether it is hidden.
#[must_use]
pub fn hidden(groups: &[Group]) -> Vec<bool> {
    let mut hidden: Vec<bool> = groups.iter().map(Group::is_small).collect();
    if !hidden.contains(&true) {
        return hidden;
    }
    let lines = lines(groups);
    // Each round hides at least one more group, so this ends.
    loop {
        let mut changed = false;
        for line in &lines {
            if let Some(at) = next_to_hide(groups, line, &hidden)
                && let Some(slot) = hidden.get_mut(at)
            {
                *slot = true;
                changed = true;
            }
        }
        if !changed {
            return hidden;
        }
    }
}

/// Places of the groups that share all dimensions but one; and all groups, whose total is always known.
fn lines(groups: &[Group]) -> Vec<Vec<usize>> {
    let dimensions = groups.first().map_or(0, |group| group.place.len());
    let mut lines: Vec<Vec<usize>> = vec![(0..groups.len()).collect()];
    for free in 0..dimensions {
        let mut of_others: BTreeMap<Vec<&str>, Vec<usize>> = BTreeMap::new();
        let mut of_own: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, group) in groups.iter().enumerate() {
            let others = group.place.iter().enumerate().filter(|(dimension, _)| *dimension != free).map(|(_, value)| value.as_str());
            of_others.entry(others.collect()).or_default().push(at);
            if let Some(own) = group.place.get(free) {
                of_own.entry(own).or_default().push(at);
            }
        }
        lines.extend(of_others.into_values());
        if dimensions > 2 {
            lines.extend(of_own.into_values());
        }
    }
    lines.retain(|line| line.len() > 1);
    lines
}

fn next_to_hide(groups: &[Group], line: &[usize], hidden: &[bool]) -> Option<usize> {
    let is_hidden = |at: &usize| hidden.get(*at).copied().unwrap_or_default();
    let inside: Vec<&Group> = line.iter().filter(|at| is_hidden(at)).filter_map(|at| groups.get(*at)).collect();
    let least = inside.iter().map(|group| group.least).max()?;
    let counts = inside.iter().map(|group| group.counts.len()).max().unwrap_or(0);
    let is_small_sum = (0..counts).any(|place| {
        let sum = inside.iter().filter_map(|group| group.counts.get(place)).fold(0_i64, |sum, count| sum.saturating_add(*count));
        sum > 0 && sum < least
    });
    if inside.len() > 1 && !is_small_sum {
        return None;
    }
    line.iter().filter(|at| !is_hidden(at)).copied().min_by_key(|at| groups.get(*at).map(|group| (group.size(), group.place.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(place: &[&str], count: i64) -> Group {
        Group { place: place.iter().map(|part| (*part).to_owned()).collect(), counts: vec![count], least: 10 }
    }

    #[test]
    fn one_small_group_takes_the_next_smallest_with_it() {
        let groups = [group(&["a"], 500), group(&["b"], 4), group(&["c"], 60), group(&["d"], 70)];
        assert_eq!(hidden(&groups), [false, true, true, false]);
        let none = [group(&["a"], 500), group(&["b"], 0)];
        assert_eq!(hidden(&none), [false, false], "nobody is in an empty group");
    }

    #[test]
    fn hidden_groups_are_together_large_enough() {
        let groups = [group(&["a"], 500), group(&["b"], 4), group(&["c"], 3)];
        assert_eq!(hidden(&groups), [true, true, true], "4 + 3 would still be seen as a total under 10");
    }

    #[test]
    fn no_line_of_a_table_has_a_single_hidden_group() {
        let mut groups = Vec::new();
        for (row, counts) in [("x", [4, 50, 60]), ("y", [70, 80, 90]), ("z", [20, 30, 40])] {
            groups.extend(["1", "2", "3"].into_iter().zip(counts).map(|(column, count)| group(&[row, column], count)));
        }
        let hidden = hidden(&groups);
        for line in lines(&groups) {
            assert_ne!(line.iter().filter(|at| hidden[**at]).count(), 1, "{hidden:?}");
        }
        assert!(hidden.iter().any(|one| !one));
    }
}
