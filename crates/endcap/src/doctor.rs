//! `endcap doctor`: is everything as it should be, and if not, what to do.

mod hosted;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use secrecy::ExposeSecret as _;
use storage::audit::{self, Chain};
use storage::connection::{Access, Connection};
use storage::migrate;
use storage::row_security::{self, State};
use storage::url::DatabaseUrl;
use supabase::check::Finding;
use supabase::objects::{Hosted, Local, Objects, S3, S3Settings};
use supabase::project::Project;
use web::settings::{ArtifactStore, ServiceName, Settings};

/// Arguments of `doctor`.
#[derive(Args)]
pub struct Arguments {
    /// Only this part, and that thoroughly
    #[arg(value_enum)]
    part: Option<Part>,
    /// Where the data is (default: DATABASE_URL)
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

/// A part that can be looked at by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The services of the Supabase project, as far as they are used
    Supabase,
}

struct Report {
    failures: usize,
}

impl Report {
    fn good(&self, part: &str, text: &str) {
        println!("  ok    {part:<16} {text}");
    }

    fn note(&self, part: &str, text: &str) {
        println!("  note  {part:<16} {text}");
    }

    fn findings(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            let text = match &finding.advice {
                Some(advice) => format!("{} ({advice})", finding.detail),
                None => finding.detail.clone(),
            };
            let part = format!("supabase {}", finding.part);
            if finding.ok { self.good(&part, &text) } else { self.bad(&part, &text) }
        }
    }

    fn bad(&mut self, part: &str, text: &str) {
        self.failures += 1;
        println!("  FAIL  {part:<16} {text}");
    }
}

/// Checks everything and fails when something failed.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut report = Report { failures: 0 };
    match Settings::load() {
        Err(error) => report.bad("configuration", &error.to_string()),
        Ok(settings) => {
            report.good("configuration", "every key is known and every value is usable");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            if arguments.part == Some(Part::Supabase) {
                let url = arguments.database_url.clone().unwrap_or_else(|| settings.database_url.expose_secret().to_owned());
                runtime.block_on(hosted::check(&settings, &mut report));
                hosted::check_policies(&url, &mut report);
                return finish(&report);
            }
            for warning in &settings.warnings {
                report.note("configuration", warning);
            }
            let url = arguments.database_url.clone().unwrap_or_else(|| settings.database_url.expose_secret().to_owned());
            check_database(&url, &mut report);
            runtime.block_on(async {
                check_supabase(&settings, &mut report).await;
                check_artifacts(&settings, &mut report).await;
                check_services(&settings, &mut report).await;
            });
        }
    }
    finish(&report)
}

fn finish(report: &Report) -> Result<()> {
    match report.failures {
        0 => Ok(()),
        1 => bail!("one check failed; see above"),
        n => bail!("{n} checks failed; see above"),
    }
}

fn check_database(url: &str, report: &mut Report) {
    let parsed = match DatabaseUrl::parse(url) {
        Ok(parsed) => parsed,
        Err(error) => return report.bad("database", &error.to_string()),
    };
    if let DatabaseUrl::Sqlite(path) = &parsed
        && !path.exists()
    {
        return report.bad("database", &format!("{} does not exist; run: endcap init-database --database-url {parsed}", path.display()));
    }
    let mut conn = match Connection::open(&parsed, Access::Read) {
        Ok(conn) => conn,
        Err(error) => return report.bad("database", &error.to_string()),
    };
    match migrate::require_current(&mut conn) {
        Ok(()) => report.good("database", &format!("{parsed} answers and its schema is current")),
        Err(error) => return report.bad("database", &error.to_string()),
    }
    match row_security::state(&mut conn) {
        Ok(State::NotHere) => report.note("tenants", "kept apart by the filters of queries; row-level security needs PostgreSQL"),
        Ok(state) => match state.problem() {
            None => report.good("tenants", "kept apart by the filters of queries and by row-level security"),
            Some(problem) => report.bad("tenants", &format!("row-level security is off: {problem}")),
        },
        Err(error) => report.bad("tenants", &error.to_string()),
    }
    match audit::verify(&mut conn) {
        Ok(Chain::Whole { entries }) => report.good("audit log", &format!("{entries} entries, each follows from the one before it")),
        Ok(Chain::Broken { number, why }) => report.bad(
            "audit log",
            &format!(
                "the chain breaks at entry {number}: {why}. Compare with a backup; whoever can write to the database can have done it"
            ),
        ),
        Err(error) => report.bad("audit log", &error.to_string()),
    }
}

async fn check_supabase(settings: &Settings, report: &mut Report) {
    let hosted = &settings.supabase;
    let (Some(url), Some(key)) = (&hosted.url, &hosted.key) else {
        return report.note("supabase", "not configured: realtime, sign-in and storage are local");
    };
    match Project::from_settings(url, key.clone(), hosted.service_key.clone(), hosted.jwt_secret.clone()) {
        Err(invalid) => report.bad("supabase", &invalid.to_string()),
        Ok(project) => report.findings(project.check().await),
    }
}

/// Writes, reads and removes a few bytes where new artifacts go.
async fn check_artifacts(settings: &Settings, report: &mut Report) {
    let (artifacts, hosted) = (&settings.artifacts, &settings.supabase);
    let store = match (artifacts.store, &artifacts.s3, &hosted.url, &hosted.service_key) {
        (ArtifactStore::S3, Some(s3), ..) => {
            let settings = S3Settings {
                endpoint: s3.endpoint.clone(),
                bucket: s3.bucket.clone(),
                region: s3.region.clone(),
                access_key_id: s3.access_key_id.clone(),
                secret_access_key: s3.secret_access_key.clone(),
            };
            S3::new(&settings).map(Objects::S3).map_err(|error| error.to_string())
        }
        (ArtifactStore::Supabase, _, Some(url), Some(key)) => match Project::for_service(url, key.clone()) {
            Ok(project) => Hosted::of(&project).map(Objects::Hosted).ok_or_else(|| "SUPABASE_SERVICE_KEY is not set".to_owned()),
            Err(invalid) => Err(invalid.to_string()),
        },
        _ if !std::path::Path::new(&artifacts.directory).exists() => {
            return report.note("artifacts", &format!("the folder {} is not there yet; the RLHF backend makes it", artifacts.directory));
        }
        _ => Ok(Objects::Local(Local::new(&artifacts.directory))),
    };
    match store {
        Err(why) => report.bad("artifacts", &why),
        Ok(store) => {
            let finding = store.check().await;
            match finding.advice {
                None => report.good("artifacts", &finding.detail),
                Some(advice) => report.bad("artifacts", &format!("{} ({advice})", finding.detail)),
            }
        }
    }
}

async fn check_services(settings: &Settings, report: &mut Report) {
    let client = match reqwest::Client::builder().no_proxy().timeout(std::time::Duration::from_secs(2)).build() {
        Ok(client) => client,
        Err(error) => return report.bad("services", &error.to_string()),
    };
    for service in ServiceName::ALL {
        let url = format!("{}/health/ready", where_it_answers(settings, service));
        match client.get(&url).send().await {
            Ok(answer) if answer.status().is_success() => report.good(service.as_str(), &format!("ready at {url}")),
            Ok(answer) => {
                report.bad(service.as_str(), &format!("answers {} at {url}: {}", answer.status(), answer.text().await.unwrap_or_default()))
            }
            Err(_) => report.note(service.as_str(), &format!("does not run at {url}, or cannot be reached from here")),
        }
    }
}

/// Where the other services find it, when that was said (in containers each has an address of its own); else the port on this machine.
fn where_it_answers(settings: &Settings, service: ServiceName) -> String {
    let address = settings.service(service);
    if address.private_url_is_given { address.private_url.clone() } else { format!("http://{}", settings.public_socket(service)) }
}
