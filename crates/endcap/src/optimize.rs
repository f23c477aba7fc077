//! `endcap optimize`: a budget problem in, the plan out.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use planning::optimizer::{problem::Problem, solve};

/// Arguments of `optimize`.
#[derive(Args)]
pub struct Arguments {
    /// The problem, JSON; `-` reads standard input
    problem: PathBuf,
}

/// Reads, solves, prints.
pub fn run(arguments: &Arguments) -> Result<()> {
    let text = crate::read_text(&arguments.problem)?;
    let problem = Problem::from_json(&text).with_context(|| format!("{} is no budget problem", arguments.problem.display()))?;
    let solution = solve(&problem)?;
    crate::say(&serde_json::to_string_pretty(&solution)?)?;
    Ok(())
}
