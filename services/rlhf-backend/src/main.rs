//! The RLHF backend: what people say about model outputs, and the reward models that learn from it.

use std::process::ExitCode;

use web::settings::ServiceName;
use web::start::{Program, run};

/// Requests are begun on one thread and carried out on another, which the system's own allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let program = Program {
        service: ServiceName::RlhfBackend,
        about: "Endcap RLHF backend: feedback, dataset exports, reward models and key figures.",
        version: rlhf_backend::VERSION,
    };
    run(program, rlhf_backend::run)
}
