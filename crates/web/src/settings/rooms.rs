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

/// First parts of rooms in which the system tells its events.
const SYSTEM: [&str; 7] = ["leaderboard", "tasks", "rater", "jobs", "feedback", "campaigns", "imports"];

/// Whether events of the system are told in rooms of this name.
#[must_use]
pub fn is_of_system(topic: &str) -> bool {
    SYSTEM.contains(&topic.split(':').next().unwrap_or(topic))
}

/// What is wrong with the rooms of visitors, who belong to no tenant and hear nothing of the system.
fn problem_of_visitors(rooms: &[String]) -> Option<String> {
    if let Some(wrong) = rooms.iter().find(|room| room.contains("{tenant}")) {
        return Some(format!("{wrong:?} cannot be: a visitor has no tenant"));
    }
    // A star could stand for a name of the system's.
    let may_be_of_system = |room: &&String| match room.strip_suffix('*') {
        Some(beginning) if !beginning.contains(':') => SYSTEM.iter().any(|name| name.starts_with(beginning)),
        _ => is_of_system(room),
    };
    let wrong = rooms.iter().find(may_be_of_system)?;
    Some(format!("{wrong:?} is a room in which the system tells its events, which are not for visitors"))
}

impl super::Values {
    pub(super) fn rooms(&mut self, key: &'static str) -> Vec<String> {
        let rooms: Vec<String> = self.list(key);
        if let Some(problem) = problem(&rooms) {
            self.mistake(key, problem);
        }
        rooms
    }

    pub(super) fn visitor_rooms(&mut self) -> Vec<String> {
        let key = "ENDCAP_REALTIME_VISITOR_ROOMS";
        let rooms = self.rooms(key);
        if let Some(problem) = problem_of_visitors(&rooms) {
            self.mistake(key, problem);
        }
        rooms
    }
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

    #[test]
    fn visitors_come_into_no_room_of_the_system_or_of_a_tenant() {
        let problem_of = |room: &str| problem_of_visitors(&[room.to_owned()]);
        for room in ["lobby", "help:*", "tasksforce"] {
            assert_eq!(problem_of(room), None, "{room}");
        }
        for room in ["leaderboard", "campaigns:*", "rater:x", "ta*", "t*", "notes:{tenant}:*"] {
            assert!(problem_of(room).is_some(), "{room}");
        }
    }
}
