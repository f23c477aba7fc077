//! Names of realtime rooms in settings.

/// Whether a room may have this name.
pub(super) fn is_topic(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|sign| sign.is_ascii_alphanumeric() || "_:.-".contains(sign))
}

/// What is wrong with the rooms in which people may talk.
pub(super) fn problem(rooms: &[String]) -> Option<String> {
    // Without a colon behind it one tenant's id could begin another's.
    let is_bounded = |room: &str| room.split_once("{tenant}").is_none_or(|(_, rest)| rest.is_empty() || rest.starts_with(':'));
    let is_room = |room: &&String| is_bounded(room) && is_topic(&room.strip_suffix('*').unwrap_or(room).replacen("{tenant}", "t", 1));
    let wrong = rooms.iter().find(|room| !is_room(room))?;
    Some(format!(
        "{wrong:?} is no room: letters, digits, _ : . - and one {{tenant}} (with a colon or nothing behind it), with a star at the end at most"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_that_could_mean_anything_is_refused() {
        let problem_of = |room: &str| problem(&[room.to_owned()]);
        for room in ["desk", "desk:*", "notes:{tenant}:*", "{tenant}"] {
            assert_eq!(problem_of(room), None, "{room}");
        }
        for room in ["notes:{tenant}*", "notes:{tenant}x", "*", "a b", "desk:*:x", "{tenant}{tenant}", "{brand}"] {
            assert!(problem_of(room).is_some(), "{room}");
        }
    }
}
