//! The `endcap` command: everything that is done to a system rather than through it.

mod accounts;
mod backup;
mod consensus;
mod database;
mod demo;
mod doctor;
mod driver;
mod hosted;
mod import;
mod keys;
mod optimize;
mod reward;
mod sealing;
mod stack;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Campaign plans proposed by software, judged by people; the judgments choose the next plans.
#[derive(Parser)]
#[command(name = "endcap", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start everything on this machine: database, sample data, three services
    Up(up::Arguments),
    /// Drive the whole circle: campaign, plans, judgments, training, the next plan
    Loop(driver::Arguments),
    /// Create or upgrade a database, and load the sample data if asked
    InitDatabase(database::InitArguments),
    /// Show, apply or take back migrations
    Migrate(database::MigrateArguments),
    /// Write everything in the database to a file, while the system works
    Backup(backup::BackupArguments),
    /// Restore a backup into an empty database, and check it
    Restore(backup::RestoreArguments),
    /// Load a file into a table
    Import(import::Arguments),
    /// Make and change accounts of people
    Accounts(accounts::Arguments),
    /// Make API keys and seal keys; seal stored secrets anew
    Keys(keys::Arguments),
    /// Seal a secret from standard input for the configuration
    Seal(sealing::Arguments),
    /// Check configuration, database and Supabase, and say what to do
    Doctor(doctor::Arguments),
    /// Move to a Supabase project
    Supabase(hosted::Arguments),
    /// Find the consensus of the judgments in a file
    Consensus(consensus::Arguments),
    /// Solve a budget problem from a file
    Optimize(optimize::Arguments),
    /// Train or evaluate a reward model on a file of pairs
    Reward(reward::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // The HTTP client asks for it even where no TLS is spoken; a second installation would be refused, which is as good.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("endcap: another TLS provider was installed before; it is used");
    }
    let result = match arguments.command {
        Command::Consensus(arguments) => consensus::run(&arguments),
        Command::Optimize(arguments) => optimize::run(&arguments),
        Command::Reward(arguments) => reward::run(&arguments),
        Command::InitDatabase(arguments) => database::init(&arguments),
        Command::Migrate(arguments) => database::migrate(&arguments),
        Command::Backup(arguments) => backup::back_up(&arguments),
        Command::Restore(arguments) => backup::restore(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Accounts(arguments) => accounts::run(&arguments),
        Command::Keys(arguments) => keys::run(&arguments),
        Command::Seal(arguments) => sealing::seal(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Supabase(arguments) => hosted::run(&arguments),
        Command::Up(arguments) => up::run(arguments),
        Command::Loop(arguments) => driver::run(arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("endcap: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard output; a reader that has gone away (`| head`) is no error.
fn say(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Text of a file, or of standard input for `-`.
fn read_text(path: &std::path::Path) -> anyhow::Result<String> {
    use anyhow::Context as _;
    if path.as_os_str() == "-" {
        return std::io::read_to_string(std::io::stdin()).context("cannot read standard input");
    }
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        super::Arguments::command().debug_assert();
    }
}
