//! What a type is read from, without reading anything.

use std::fmt;

use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// Whether a type asks for an object with named members.
pub(super) fn is_object<T: DeserializeOwned>() -> bool {
    matches!(T::deserialize(Probe), Err(Asked::Object))
}

/// Answers every request with what was asked for.
struct Probe;

#[derive(Debug)]
enum Asked {
    Object,
    Other,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Object => "an object",
            Self::Other => "something else",
        })
    }
}

impl std::error::Error for Asked {}

impl de::Error for Asked {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Other
    }
}

impl<'de> Deserializer<'de> for Probe {
    type Error = Asked;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Asked> {
        Err(Asked::Other)
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], _: V) -> Result<V::Value, Asked> {
        Err(Asked::Object)
    }

    fn deserialize_map<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Asked> {
        Err(Asked::Object)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq tuple
        tuple_struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Named {
        #[serde(rename = "a")]
        _a: u8,
    }

    #[test]
    fn objects_and_lists_are_told_apart() {
        assert!(is_object::<Named>() && is_object::<serde_json::Map<String, serde_json::Value>>());
        assert!(!is_object::<Vec<Named>>() && !is_object::<serde_json::Value>());
    }
}
