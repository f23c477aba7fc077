//! The campaign runtime: what is sold where and for how much, and which plan is to run.

use std::process::ExitCode;

use web::settings::ServiceName;
use web::start::{Program, run};

fn main() -> ExitCode {
    let program = Program {
        service: ServiceName::CampaignRuntime,
        about: "Endcap campaign runtime: catalog, campaigns, performance, analytics and plans.",
        version: campaign_runtime::VERSION,
    };
    run(program, campaign_runtime::run)
}
