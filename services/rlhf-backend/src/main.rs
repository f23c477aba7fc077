//! The RLHF backend: what people say about model outputs, and the reward models that learn from it.

use std::process::ExitCode;

use web::settings::ServiceName;
use web::start::{Program, run};

fn main() -> ExitCode {
    let program = Program {
        service: ServiceName::RlhfBackend,
        about: "Endcap RLHF backend: feedback, dataset exports, reward models and key figures.",
        version: rlhf_backend::VERSION,
    };
    run(program, rlhf_backend::run)
}
