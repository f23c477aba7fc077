//! The campaign runtime: what is sold where and for how much, and which plan is to run.

use std::process::ExitCode;

use web::settings::ServiceName;
use web::start::{Program, run};

/// Requests are begun on one thread and carried out on another, which the system's own allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let program = Program {
        service: ServiceName::CampaignRuntime,
        about: "Endcap campaign runtime: catalog, campaigns, performance, analytics and plans.",
        version: campaign_runtime::VERSION,
    };
    run(program, campaign_runtime::run)
}
