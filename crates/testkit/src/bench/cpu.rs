//! CPU time of processes, from `/proc`: user and system together, in steps of a hundredth of a second.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// Ticks in a second, as Linux reports them on all its platforms (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

/// CPU time of this process with all its threads, also those that ended.
#[must_use]
pub fn of_self() -> Duration {
    read("self").map_or(Duration::ZERO, |process| ticks(process.own))
}

/// CPU time of a process and all that descend from it, also children that ended (when their parent has waited for them).
#[must_use]
pub fn of_tree(root: u32) -> Duration {
    let processes: HashMap<u32, Process> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| Some((pid, read(&pid.to_string())?)))
        .collect();
    let belongs = |mut pid: u32| {
        for _ in 0..64 {
            if pid == root {
                return true;
            }
            match processes.get(&pid) {
                Some(process) => pid = process.parent,
                None => return false,
            }
        }
        false
    };
    let sum = processes.iter().filter(|(pid, _)| belongs(**pid)).map(|(_, process)| process.own + process.waited_for).sum();
    ticks(sum)
}

struct Process {
    parent: u32,
    own: u64,
    waited_for: u64,
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * 1_000 / TICKS_PER_SECOND)
}

/// Fields of `/proc/PID/stat`, counted after the name in brackets, which may hold spaces (proc(5)).
fn read(pid: &str) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Process { parent: u32::try_from(number(1)?).ok()?, own: number(11)? + number(12)?, waited_for: number(13)? + number(14)? })
}
