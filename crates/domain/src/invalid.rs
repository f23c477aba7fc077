//! Bad input, collected: every field that is wrong with a sentence on what to do about it.

use serde::{Deserialize, Serialize};

/// One field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Path of the field as the caller wrote it: `candidates[1].text`.
    pub field: String,
    /// What is wrong and what is accepted.
    pub message: String,
}

/// Input that breaks rules; never empty when returned as an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("{}", summary(.fields))]
pub struct Invalid {
    /// All that is wrong, in the order found.
    pub fields: Vec<FieldError>,
}

impl Invalid {
    /// An error about a single field.
    pub fn one(field: impl Into<String>, message: impl Into<String>) -> Self {
        let mut invalid = Self::default();
        invalid.add(field, message);
        invalid
    }

    /// Adds one more finding.
    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.fields.push(FieldError { field: field.into(), message: message.into() });
    }

    /// Adds the findings of another check.
    pub fn merge<T>(&mut self, result: Result<T, Self>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(mut other) => {
                self.fields.append(&mut other.fields);
                None
            }
        }
    }

    /// `Ok` when nothing was found.
    ///
    /// # Errors
    /// Itself, when something was found.
    pub fn into_result(self) -> Result<(), Self> {
        if self.fields.is_empty() { Ok(()) } else { Err(self) }
    }
}

fn summary(fields: &[FieldError]) -> String {
    let lines: Vec<String> = fields.iter().map(|f| format!("{}: {}", f.field, f.message)).collect();
    lines.join("; ")
}
