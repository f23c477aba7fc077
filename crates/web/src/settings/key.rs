//! What a key of the configuration is: its default, its help, and what a value must look like.

/// What applies when a key is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultValue {
    /// This value.
    Value(&'static str),
    /// Nothing: the feature is off.
    Absent,
    /// A value made from others, described in words.
    Derived(&'static str),
}

/// What a value must look like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Text,
    Url,
    Address,
    Whole {
        min: u64,
        max: u64,
    },
    /// A number from `min` to `max`, both included.
    Number {
        min: f64,
        max: f64,
    },
    OneOf(&'static [&'static str]),
    /// At least so many bytes.
    Secret {
        min_bytes: usize,
    },
}

/// One key of the configuration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    /// Name of the environment variable; the file uses the same name in any case.
    pub name: &'static str,
    /// What applies without it.
    pub default: DefaultValue,
    /// Whether the value must never be shown.
    pub secret: bool,
    /// What it does, in one or two sentences with units.
    pub help: &'static str,
    /// A value that is accepted.
    pub example: &'static str,
    pub(super) kind: Kind,
}

pub(super) const fn key(name: &'static str, kind: Kind, default: DefaultValue, example: &'static str, help: &'static str) -> Key {
    Key { name, default, secret: matches!(kind, Kind::Secret { .. }), help, example, kind }
}
