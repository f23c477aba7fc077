//! Where in a candidate a finding stands, in a form that raters read and pages can point at.

use std::fmt;

/// A place in a candidate: a member, and for texts the part of it.
///
/// Written as `/body characters 17 to 24`, `/sql line 1, column 18` or `/lines/2/spend`. The pointer (RFC 6901) is into the candidate; the empty one is
/// the whole candidate, and it goes on into JSON that stands in a text (`/call_text/name line 1, column 10`). What is missing is pointed at where it should stand, so pages show the nearest member that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// JSON pointer into the candidate.
    pub pointer: String,
    /// Part of the text at the pointer.
    pub part: Option<Part>,
}

/// A part of a text. Everything counts characters (not bytes) from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// One place, in texts of several lines.
    Line {
        /// From 1.
        line: u64,
        /// From 1.
        column: u64,
    },
    /// Characters from the first to the last.
    Characters {
        /// From 1.
        first: usize,
        /// Not below `first`.
        last: usize,
    },
}

impl Place {
    /// A line and column of a text member.
    pub(super) fn line(pointer: &str, line: u64, column: u64) -> String {
        Self { pointer: pointer.to_owned(), part: Some(Part::Line { line, column }) }.to_string()
    }

    /// Characters of a text member.
    pub(super) fn characters(pointer: &str, (first, last): (usize, usize)) -> String {
        Self { pointer: pointer.to_owned(), part: Some(Part::Characters { first, last }) }.to_string()
    }

    /// The place of a finding from its written form. Whatever has no part is a pointer.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let part = || -> Option<Self> {
            if let Some((pointer, rest)) = text.rsplit_once(" characters ") {
                let (first, last) = rest.split_once(" to ")?;
                let part = Part::Characters { first: first.parse().ok()?, last: last.parse().ok()? };
                return Some(Self { pointer: pointer.to_owned(), part: Some(part) });
            }
            let (pointer, rest) = text.rsplit_once(" line ")?;
            let (line, column) = rest.split_once(", column ")?;
            let part = Part::Line { line: line.parse().ok()?, column: column.parse().ok()? };
            Some(Self { pointer: pointer.to_owned(), part: Some(part) })
        };
        part().unwrap_or_else(|| Self { pointer: text.to_owned(), part: None })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pointer)?;
        match self.part {
            None => Ok(()),
            Some(Part::Line { line, column }) => write!(f, " line {line}, column {column}"),
            Some(Part::Characters { first, last }) => write!(f, " characters {first} to {last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["", "/lines/0/spend", "/a line b", "/mapping/a characters b", "/sql line 3, column 14", "/body characters 7 to 12"] {
            assert_eq!(Place::parse(text).to_string(), text);
        }
        assert_eq!(Place::parse("/sql line 3, column 14").part, Some(Part::Line { line: 3, column: 14 }));
        assert_eq!(Place::parse("/a b characters 7 to 12").pointer, "/a b");
        assert_eq!(Place::parse("/body characters x to 12").part, None);
    }
}
