//! Which messages are our own, and which were heard before. What we send to the project carries a mark in its payload:
//!
//! ```json
//! {"rater_id": "rtr_1", "endcap": {"id": "4711", "sequence": 4711, "origin": "9f2c51d07a3e"}}
//! ```
//!
//! `origin` names the installation: its own messages, coming back over a shared channel, are not told again, so that two bridges never send
//! a message round in circles. `id` is unique within an origin; whoever receives a message twice knows it by that.

use std::collections::{HashSet, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

/// The field of a payload that holds the mark.
pub const FIELD: &str = "endcap";

/// Ids remembered; a message that comes again after so many others is told again.
const REMEMBERED: usize = 4_096;

/// Marks a payload on its way out. One that is no object becomes the `value` of one, because clients understand objects only.
#[must_use]
pub fn marked(payload: Value, sequence: i64, origin: &str) -> Value {
    let mut fields = match payload {
        Value::Object(fields) => fields,
        Value::Null => Map::new(),
        other => Map::from_iter([("value".to_owned(), other)]),
    };
    fields.insert(FIELD.to_owned(), json!({ "id": sequence.to_string(), "sequence": sequence, "origin": origin }));
    Value::Object(fields)
}

/// What was heard so far.
#[derive(Debug)]
pub struct Heard {
    origin: String,
    known: HashSet<String>,
    order: VecDeque<String>,
    last_at_ms: Option<u64>,
}

impl Heard {
    /// Nothing yet; `origin` is our own.
    #[must_use]
    pub fn new(origin: String) -> Self {
        Self { origin, known: HashSet::new(), order: VecDeque::new(), last_at_ms: None }
    }

    /// Whether a message is our own.
    #[must_use]
    pub fn is_own(&self, payload: &Value) -> bool {
        payload.get(FIELD).and_then(|mark| mark.get("origin")).and_then(Value::as_str) == Some(self.origin.as_str())
    }

    /// From now on something can be missed: what is said after a first join is asked for after a gap, also when nothing was heard before it.
    pub fn begin(&mut self) {
        if self.last_at_ms.is_none() {
            self.last_at_ms = now_ms();
        }
    }

    /// Whether a message is news: not our own, and not heard before. `meta_id` is the id that the project gives to messages from its database.
    pub fn is_news(&mut self, payload: &Value, meta_id: Option<&str>) -> bool {
        self.last_at_ms = now_ms();
        if self.is_own(payload) {
            return false;
        }
        let mark = payload.get(FIELD);
        let text = |field: &str| mark.and_then(|mark| mark.get(field)).and_then(Value::as_str);
        let key = match (text("origin"), text("id"), meta_id) {
            (Some(origin), Some(id), _) => format!("{origin} {id}"),
            (_, _, Some(id)) => id.to_owned(),
            _ => return true,
        };
        if !self.known.insert(key.clone()) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    /// When something was heard last, in milliseconds since the Unix epoch: from there on a replay is asked for after a gap.
    #[must_use]
    pub fn last_at(&self) -> Option<u64> {
        self.last_at_ms
    }
}

fn now_ms() -> Option<u64> {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|at| u64::try_from(at.as_millis()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_messages_and_repeated_ones_are_no_news() {
        let mut heard = Heard::new("us".to_owned());
        let from = |origin: &str, sequence| marked(json!({ "n": 1 }), sequence, origin);
        assert!(!heard.is_news(&from("us", 1), None));
        assert!(heard.is_news(&from("them", 1), None));
        assert!(!heard.is_news(&from("them", 1), None));
        assert!(heard.is_news(&from("them", 2), None));
        assert!(heard.is_news(&from("others", 1), None));
        assert!(heard.is_news(&json!({}), Some("row-1")));
        assert!(!heard.is_news(&json!({}), Some("row-1")));
        assert!(
            heard.is_news(&json!({ "n": 1 }), None) && heard.is_news(&json!({ "n": 1 }), None),
            "without an id nothing can be known again"
        );
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut heard = Heard::new("us".to_owned());
        for n in 0..3 * REMEMBERED {
            assert!(heard.is_news(&json!({}), Some(&n.to_string())));
        }
        assert_eq!((heard.known.len(), heard.order.len()), (REMEMBERED, REMEMBERED));
    }

    #[test]
    fn a_marked_payload_is_an_object() {
        assert_eq!(marked(json!([1]), 7, "us"), json!({ "value": [1], "endcap": { "id": "7", "sequence": 7, "origin": "us" } }));
        assert_eq!(marked(json!({ "a": 1 }), 7, "us")["a"], 1);
    }
}
