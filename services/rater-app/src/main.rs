//! The rater app: people sign in, judge rating tasks, and see what their judgments came to.

use std::process::ExitCode;

use web::settings::ServiceName;
use web::start::{Program, run};

/// Requests are begun on one thread and carried out on another, which the system's own allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let program = Program {
        service: ServiceName::RaterApp,
        about: "Endcap rater app: sign-in, rating tasks, judgments, expert review, leaderboard and realtime events.",
        version: rater_app::VERSION,
    };
    run(program, rater_app::run)
}
