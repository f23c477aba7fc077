//! `endcap loop`: the whole circle on a running system, step by step, each step checked.

mod client;
mod judging;
mod learning;
mod planning;
mod simulated;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use web::settings::{ServiceName, Settings};

use crate::demo;
use crate::stack::{self, Stack};
use crate::up;
use client::Client;

/// How often people are asked for more judgments before a model that the gate refuses is given up. Where a model is active already it then
/// stays: more pairs of the same few campaigns need not make a card surer.
const MOST_SITTINGS: usize = 5;

/// Arguments of `loop`.
#[derive(Args)]
pub struct Arguments {
    /// Start a system of its own on free ports with this database, and stop it at the end (default: use the running one)
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// With --database-url: folder of secrets and logs
    #[arg(long, value_name = "DIR", default_value = "data")]
    data_dir: PathBuf,
    /// With --database-url: folder of the sample data
    #[arg(long, value_name = "DIR")]
    sample_data_dir: Option<PathBuf>,
    /// The campaign to plan for (default: the one with the largest measured spend)
    #[arg(long, value_name = "ID")]
    campaign: Option<String>,
    /// Budget to plan with, stated by you: the sample data hold none
    #[arg(long, default_value = "2500.00")]
    budget: String,
    /// Days to plan for
    #[arg(long, default_value_t = 28)]
    horizon_days: u32,
    /// Plan requests put to people before training
    #[arg(long, default_value_t = 24)]
    plans: usize,
    /// Simulated raters
    #[arg(long, default_value_t = 5)]
    raters: u64,
    /// Seed of the simulated raters and of the training
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Who drives it
    #[arg(long, default_value = demo::ACCOUNTS[0].email)]
    email: String,
    /// Their password
    #[arg(long, env = "LOOP_PASSWORD", hide_env_values = true, default_value = demo::ACCOUNTS[0].password)]
    password: String,
}

/// Where the services are.
pub struct Places {
    /// Campaign runtime.
    pub runtime: String,
    /// RLHF backend.
    pub backend: String,
    /// Rater app.
    pub rater_app: String,
}

/// Runs the circle; an error means that a step did not really happen.
pub fn run(arguments: Arguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let Some(url) = arguments.database_url.clone() else {
            return drive(&arguments, &places(&Settings::load()?)).await;
        };
        let options = up::Arguments {
            database_url: Some(url),
            data_dir: arguments.data_dir.clone(),
            fresh: false,
            no_sample_data: false,
            sample_data_dir: arguments.sample_data_dir.clone(),
        };
        let ports = stack::choose_free()?;
        let prepared = tokio::task::spawn_blocking(move || up::prepare(&options, ports)).await.context("preparing stopped")??;
        let mut stack = Stack::start(&prepared.settings, &prepared.variables, &prepared.log_folder).await?;
        let outcome = drive(&arguments, &places(&prepared.settings)).await;
        stack.stop().await;
        outcome
    })
}

/// Loopback addresses: the loop runs where the system runs.
fn places(settings: &Settings) -> Places {
    let place = |service| format!("http://{}", settings.public_socket(service));
    Places {
        runtime: place(ServiceName::CampaignRuntime),
        backend: place(ServiceName::RlhfBackend),
        rater_app: place(ServiceName::RaterApp),
    }
}

async fn drive(arguments: &Arguments, places: &Places) -> Result<()> {
    let signed_in = Client::sign_in(&places.rater_app, &arguments.email, &arguments.password).await?;
    let admin = signed_in.with_context(|| format!("no account {} with this password; see --email and --password", arguments.email))?;

    step(1, "a real campaign");
    let campaigns = planning::campaigns_with_spend(&admin, places, arguments.campaign.as_deref()).await?;
    let first = campaigns.first().context("no campaign has measured spend; load the sample data")?;
    println!("  {} ({}): measured spend {}, revenue {}", first.campaign_id, first.name, first.spend, first.revenue);

    let request = planning::Request { budget: arguments.budget.clone(), horizon_days: arguments.horizon_days };
    let model = match learn(arguments, places, &admin, &campaigns, &request).await? {
        Learned::New(model) => {
            step(7, "activated");
            learning::activate(&admin, places, &model).await?;
            model
        }
        Learned::Kept(model) => {
            step(7, "not activated: the gate holds");
            println!("  {} stays active", model.model_id);
            model
        }
    };

    step(8, "the runtime asks it and chooses the next plan");
    let decision = planning::choose_next(&admin, places, &campaigns, &request, &model).await?;

    step(9, "the reflection log explains");
    planning::explain(&admin, places, &decision).await?;

    println!("\nthe circle is closed: {} chose {}", model.model_id, decision.plan_id);
    Ok(())
}

/// What training brought.
enum Learned {
    /// A model that the gate lets pass.
    New(learning::Model),
    /// None; this one was active before.
    Kept(learning::Model),
}

/// Steps 2 to 6, again with more plans while the gate finds the judged pairs too few or too noisy to trust the model: as people would go on.
async fn learn(
    arguments: &Arguments,
    places: &Places,
    admin: &Client,
    campaigns: &[planning::Campaign],
    request: &planning::Request,
) -> Result<Learned> {
    for sitting in 0..MOST_SITTINGS {
        step(2, "candidate plans under its constraints, a close call becomes a rating task");
        let asked = planning::ask_people(admin, places, campaigns, request, arguments.plans, sitting).await?;

        step(3, "simulated raters judge through the public API");
        let crowd = judging::Crowd { seed: arguments.seed, raters: arguments.raters };
        judging::judge(admin, places, &crowd, &asked).await?;

        step(4, "consensus, weighted by reliability");
        let verdicts = judging::consensus(admin, places, &asked).await?;

        step(5, "feedback on plans");
        learning::give_feedback(admin, places, &asked, &verdicts).await?;

        step(6, "a reward model, trained on judgments and feedback");
        let model = learning::train(admin, places, arguments.seed).await?;
        let reasons = learning::refusals(admin, places, &model).await?;
        if reasons.is_empty() {
            return Ok(Learned::New(model));
        }
        println!("  the gate would refuse it: {}", reasons.join("; "));
        if sitting + 1 == MOST_SITTINGS {
            let active = learning::active(admin, places).await?;
            return active.map(Learned::Kept).with_context(|| {
                let (plans, id, reasons) = (arguments.plans, &model.model_id, reasons.join("; "));
                format!("after {MOST_SITTINGS} times {plans} plans the gate still refuses {id}, and no model is active: {reasons}")
            });
        }
        println!("  so people are asked about {} more plans", arguments.plans);
    }
    bail!("no plans were asked for")
}

fn step(number: u32, text: &str) {
    println!("\n[{number}/9] {text}");
}

/// A text member of an answer, or an error that names it.
fn text<'a>(value: &'a serde_json::Value, pointer: &str) -> Result<&'a str> {
    value.pointer(pointer).and_then(serde_json::Value::as_str).with_context(|| format!("the answer has no text at {pointer}: {value}"))
}

/// A number of an answer for people, with three digits; `-` when absent.
fn figure(value: &serde_json::Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(serde_json::Value::as_f64).map_or("-".to_owned(), |v| format!("{v:.3}"))
}
