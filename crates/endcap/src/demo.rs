//! The sample data: the real retail bundle, accounts to sign in with, golden items and open tasks.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, Utc};
use domain::role::Role;
use domain::scope::Scope;
use domain::{checks, rubric};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::{Value, json};
use storage::accounts::{self, NewAccount};
use storage::connection::Connection;
use storage::golden::{self, NewGoldenItem};
use storage::imports::{self, Compression, Format, Table};
use storage::raters::{self, NewRater};
use storage::store::transaction;
use storage::tasks::{self, NewTask};

/// Somebody to try the system as; made in development only.
pub struct DemoAccount {
    /// What people call the role.
    pub title: &'static str,
    /// Sign-in.
    pub email: &'static str,
    /// Sign-in.
    pub password: &'static str,
    role: Role,
    tenant: Option<&'static str>,
    name: &'static str,
}

/// One account for each kind of user. The administrator comes first.
pub const ACCOUNTS: &[DemoAccount] = &[
    DemoAccount {
        title: "administrator",
        email: "admin@endcap.example",
        password: "admin-of-the-demo",
        role: Role::PlatformAdmin,
        tenant: None,
        name: "Demo administrator",
    },
    DemoAccount {
        title: "analyst",
        email: "analyst@endcap.example",
        password: "analyst-of-the-demo",
        role: Role::Analyst,
        tenant: Some("tnt-m69-private"),
        name: "Demo analyst",
    },
    DemoAccount {
        title: "expert",
        email: "expert@endcap.example",
        password: "expert-of-the-demo",
        role: Role::Expert,
        tenant: None,
        name: "Demo expert",
    },
    DemoAccount {
        title: "rater",
        email: "rater@endcap.example",
        password: "rater-of-the-demo",
        role: Role::Rater,
        tenant: None,
        name: "Demo rater",
    },
];

/// The files of the bundle in the order in which each finds what it refers to.
const FILES: [(Table, &str, &str); 7] = [
    (Table::Retailers, "retailers.csv.gz", "retailers"),
    (Table::Brands, "brands.csv.gz", "brands"),
    (Table::Skus, "sku_catalog.csv.gz", "sku_catalog"),
    (Table::AudienceSegments, "audience_segments.csv.gz", "audience_segments"),
    (Table::Campaigns, "campaigns.csv.gz", "campaigns"),
    (Table::CampaignSkus, "campaign_skus.csv.gz", "campaign_skus"),
    (Table::Performance, "performance_metrics.csv.gz", "performance_metrics"),
];

#[derive(Deserialize)]
struct SampleTask {
    task: peers::tasks::NewTask,
    #[serde(default)]
    golden: Option<SampleGolden>,
}

#[derive(Deserialize)]
struct SampleGolden {
    expert_choice: String,
    expert_reasons: Value,
    expert_rationale: String,
    difficulty_level: String,
    #[serde(default)]
    edge_case_type: Option<String>,
}

/// The folder of the sample data: the one given, else `deploy/sample-data` here or beside the program's project.
///
/// # Errors
/// When it, or a file in it, is missing.
pub fn folder(given: Option<&Path>) -> Result<PathBuf> {
    let found = match given {
        Some(path) => Some(path.to_path_buf()),
        None => {
            let beside = std::env::current_exe().ok();
            let parents = beside.iter().flat_map(|path| path.ancestors().skip(1).take(4)).map(Path::to_path_buf);
            std::iter::once(PathBuf::from(".")).chain(parents).map(|p| p.join("deploy/sample-data")).find(|p| p.is_dir())
        }
    };
    let Some(folder) = found else {
        bail!(
            "the sample data are not here: run from the project's folder, name them with --sample-data-dir, or leave them out with --no-sample-data"
        );
    };
    for file in FILES.iter().map(|(_, file, _)| Path::new("bundle").join(file)).chain(["golden.json".into(), "tasks.json".into()]) {
        let path = folder.join(file);
        if !path.is_file() {
            bail!("{} is missing; fetch the project again, or leave the sample data out with --no-sample-data", path.display());
        }
    }
    Ok(folder)
}

/// Loads the bundle and the tasks; what is there already stays as it is.
///
/// # Errors
/// With file and line when a file is damaged; nothing of that file is kept.
pub fn load(conn: &mut Connection, folder: &Path) -> Result<()> {
    let rows = expected_rows(folder)?;
    let mut loaded = 0;
    for (table, file, name) in FILES {
        loaded += load_file(conn, &folder.join("bundle").join(file), table, name, rows(name))?;
    }
    let (golden, open) = load_tasks(conn, folder)?;
    match loaded + golden + open {
        0 => println!("sample data: already there"),
        _ => println!("sample data: {loaded} rows, {golden} golden items, {open} open tasks loaded"),
    }
    Ok(())
}

fn load_file(conn: &mut Connection, path: &Path, table: Table, name: &str, rows: u64) -> Result<u64> {
    let bar = ProgressBar::new(rows);
    bar.set_style(ProgressStyle::with_template("  {prefix:<20} {bar:30} {pos:>7}/{len} {elapsed}")?);
    bar.set_prefix(name.to_owned());
    let request = imports::Request { skips_known_files: true, ..imports::Request::new(table, path, Format::Csv, Compression::Gzip) };
    let scope = Scope::system("sample data");
    let advance = |read: u64| bar.set_position(read);
    let outcome = imports::load(conn, &scope, &request, now(), &advance)
        .with_context(|| format!("{} cannot be loaded; nothing of it was kept", path.display()))?;
    if outcome.is_known {
        bar.finish_and_clear();
        return Ok(0);
    }
    bar.finish();
    if let Some(error) = outcome.errors.first() {
        bail!("{} line {}, {}: {}; nothing of the file was kept", path.display(), error.line, error.field, error.message);
    }
    if bar.is_hidden() {
        println!("  {name}: {} rows", outcome.received);
    }
    Ok(outcome.inserted + outcome.updated)
}

/// Rows of each file by the bundle's manifest, for the progress bar.
fn expected_rows(folder: &Path) -> Result<impl Fn(&str) -> u64> {
    let path = folder.join("bundle/MANIFEST.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let manifest: Value = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
    Ok(move |name: &str| manifest.get(name).and_then(|entry| entry.get("rows")).and_then(Value::as_u64).unwrap_or(0))
}

fn load_tasks(conn: &mut Connection, folder: &Path) -> Result<(u64, u64)> {
    let (mut golden, mut open) = (0, 0);
    for file in ["golden.json", "tasks.json"] {
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let samples: Vec<SampleTask> = serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
        let made = transaction(conn, |conn| {
            let mut made = 0;
            for sample in &samples {
                let (task, is_new) = tasks::create(conn, &prepared(&sample.task), now())?;
                if !is_new {
                    continue;
                }
                made += 1;
                if let Some(answer) = &sample.golden {
                    golden::insert(conn, &golden_item(&task.task_id, answer), now())?;
                }
            }
            Ok(made)
        });
        let made = made.with_context(|| format!("{} cannot be loaded; nothing of it was kept", path.display()))?;
        if file == "golden.json" { golden += made } else { open += made }
    }
    Ok((golden, open))
}

/// A task as it is stored: with the machine's findings, the rubric and the reason codes of its type.
fn prepared(task: &peers::tasks::NewTask) -> NewTask {
    let candidates: Vec<Value> =
        [Some(&task.candidate_a), Some(&task.candidate_b), task.candidate_c.as_ref()].into_iter().flatten().cloned().collect();
    let findings = checks::run(task.task_type, &task.context_snippets, &task.prompt, &candidates.iter().collect::<Vec<_>>());
    let found: Vec<Value> = findings
        .iter()
        .map(|f| json!({"check": f.check, "candidate": f.candidate, "passed": f.passed, "message": f.message, "place": f.place, "version": checks::VERSION}))
        .collect();
    let rubric = rubric::rubric(task.task_type);
    NewTask {
        task_id: task.task_id.clone(),
        tenant_id: task.tenant_id.clone(),
        task_type: task.task_type.to_string(),
        status: "pending".to_owned(),
        retailer_id: task.retailer_id.clone(),
        adapter_id: task.adapter_id.clone(),
        title: task.title.clone(),
        prompt: task.prompt.clone(),
        context_snippets: json!(task.context_snippets),
        candidates,
        auto_checks: json!(found),
        rubric_checklist: json!(rubric.criteria),
        reason_codes: json!(rubric.reasons),
        priority: task.priority,
        uncertainty_score: task.uncertainty_score,
        required_judgments: task.required_judgments.unwrap_or(2),
        max_judgments: task.required_judgments.unwrap_or(5),
        source: task.source.clone(),
        weights: storage::queue::Weights::default(),
    }
}

fn golden_item(task_id: &str, answer: &SampleGolden) -> NewGoldenItem {
    NewGoldenItem {
        task_id: task_id.to_owned(),
        expert_id: "sample-data".to_owned(),
        expert_choice: answer.expert_choice.clone(),
        expert_reasons: answer.expert_reasons.clone(),
        expert_rationale: answer.expert_rationale.clone(),
        difficulty_level: answer.difficulty_level.clone(),
        edge_case_type: answer.edge_case_type.clone(),
    }
}

/// Makes the demo accounts that are missing.
///
/// # Errors
/// As any query.
pub fn accounts(conn: &mut Connection) -> Result<()> {
    for account in ACCOUNTS {
        if accounts::find_by_email(conn, account.email)?.is_some() {
            continue;
        }
        let password_hash = web::password::hash(account.password)?;
        transaction(conn, |conn| {
            let rater = match account.role.may_judge() {
                true => Some(raters::insert(conn, &rater_of(account), now())?),
                false => None,
            };
            let new = NewAccount {
                email: account.email.to_owned(),
                password_hash: Some(password_hash.clone()),
                role: account.role.to_string(),
                tenant_id: account.tenant.map(str::to_owned),
                rater_id: rater.map(|r| r.rater_id),
                display_name: account.name.to_owned(),
                user_metadata: json!({}),
            };
            accounts::insert(conn, &new, now())
        })?;
    }
    Ok(())
}

fn rater_of(account: &DemoAccount) -> NewRater {
    NewRater {
        name: account.name.to_owned(),
        email: Some(account.email.to_owned()),
        is_simulated: false,
        is_calibrated: account.role != Role::Rater,
    }
}

fn now() -> DateTime<Utc> {
    domain::time::now()
}
