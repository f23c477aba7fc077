//! The rater app's part of the circle: simulated raters are calibrated, judge, and a consensus comes out.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::client::Client;
use super::planning::Asked;
use super::simulated::{GoldenAnswers, SimulatedRater, task_key};
use super::{Places, figure, text};

/// Password of simulated accounts: they hold nothing and may do nothing but judge.
const PASSWORD: &str = "simulated-rater-of-the-loop";

/// Assignments at most per rater, golden items included: a bound, not a goal.
const MOST_ASSIGNMENTS: usize = 500;

/// Which simulated raters.
pub struct Crowd {
    /// Seed.
    pub seed: u64,
    /// How many.
    pub raters: u64,
}

/// What people decided on a plan set.
pub struct Verdict {
    /// Task.
    pub task_id: String,
    /// `candidate_a`, ...; `None` when they did not agree.
    pub choice: Option<String>,
}

/// Signs the raters in, calibrates them and lets them judge until every task of `asked` is judged.
pub async fn judge(admin: &Client, places: &Places, crowd: &Crowd, asked: &[Asked]) -> Result<()> {
    let golden = golden_answers(admin, places).await?;
    let mut people = Vec::new();
    for number in 0..crowd.raters {
        let mut rater = SimulatedRater::new(crowd.seed, number);
        let client = match Client::sign_in(&places.rater_app, &rater.email, PASSWORD).await? {
            Some(client) => client,
            None => Client::sign_up_simulated(&places.rater_app, &rater.email, PASSWORD, &rater.name).await?,
        };
        let profile = client.get(&format!("{}/v1/raters/me", places.rater_app)).await?;
        if profile["is_simulated"] != json!(true) {
            bail!("{} is not marked as simulated", rater.email);
        }
        let calibrated = calibrate(&client, places, &mut rater, &golden, &profile).await?;
        println!("  {} {}: {calibrated}", text(&profile, "/rater_id")?, rater.name);
        people.push((client, rater, 0_usize));
    }
    // In turns, as people at work would, until the plans of this run are judged; other tasks stay for people.
    let wish = json!({ "task_types": ["plan_quality"] });
    let mut somebody_worked = true;
    while somebody_worked && any_waits(admin, places, asked).await? {
        somebody_worked = false;
        for (client, rater, judged) in &mut people {
            if *judged < MOST_ASSIGNMENTS && judge_next(client, places, rater, &golden, &wish).await? {
                *judged += 1;
                somebody_worked = true;
            }
        }
    }
    let all: usize = people.iter().map(|(_, _, judged)| judged).sum();
    let each: Vec<String> = people.iter().map(|(_, _, judged)| judged.to_string()).collect();
    println!("  {all} judgments of plans ({}); golden items are among them, raters are not told which", each.join(" + "));
    Ok(())
}

/// Whether a task of this run still wants a judgment.
async fn any_waits(admin: &Client, places: &Places, asked: &[Asked]) -> Result<bool> {
    for one in asked {
        let task = admin.get(&format!("{}/v1/tasks/{}", places.rater_app, one.task_id)).await?;
        if matches!(text(&task, "/status")?, "pending" | "in_progress") {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn calibrate(
    client: &Client,
    places: &Places,
    rater: &mut SimulatedRater,
    golden: &GoldenAnswers,
    profile: &Value,
) -> Result<String> {
    if profile["is_calibrated"] == json!(true) {
        return Ok("calibrated before".to_owned());
    }
    let mut items = 0;
    for _ in 0..MOST_ASSIGNMENTS {
        // On plans, which is what they judge here: each kind has a test of its own.
        if !judge_next(client, places, rater, golden, &json!({ "purpose": "calibration", "task_types": ["plan_quality"] })).await? {
            break;
        }
        items += 1;
        let profile = client.get(&format!("{}/v1/raters/me", places.rater_app)).await?;
        if profile["is_calibrated"] == json!(true) {
            return Ok(format!("calibrated on {items} golden items"));
        }
    }
    bail!("{} did not pass calibration after {items} golden items; try another --seed", rater.email)
}

/// Takes the next assignment and judges it; `false` when there is nothing.
async fn judge_next(client: &Client, places: &Places, rater: &mut SimulatedRater, golden: &GoldenAnswers, wish: &Value) -> Result<bool> {
    let next = client.post(&format!("{}/v1/assignments/next", places.rater_app), wish).await?;
    if next.status.as_u16() == 204 {
        next.reason.context("nothing was given and no reason named")?;
        return Ok(false);
    }
    let judgment = rater.judge(&next.body, golden)?;
    let id = text(&next.body, "/assignment_id")?;
    client.post(&format!("{}/v1/assignments/{id}/judgment", places.rater_app), &judgment).await?;
    Ok(true)
}

async fn golden_answers(admin: &Client, places: &Places) -> Result<GoldenAnswers> {
    let mut answers = GoldenAnswers::new();
    let mut cursor = String::new();
    loop {
        let page = admin.get(&format!("{}/v1/golden?limit=500{cursor}", places.rater_app)).await?;
        for item in page["data"].as_array().context("the golden items have no data")? {
            let task = admin.get(&format!("{}/v1/tasks/{}", places.rater_app, text(item, "/task_id")?)).await?;
            let stored = ["candidate_a", "candidate_b", "candidate_c"].iter().filter_map(|key| task.get(*key)).filter(|c| !c.is_null());
            answers.insert(task_key(&task), (stored.cloned().collect(), text(item, "/expert_choice")?.to_owned()));
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    if answers.is_empty() {
        bail!("there are no golden items to calibrate on; load the sample data");
    }
    Ok(answers)
}

/// Reads the consensus on every task; how many people agreed on.
pub async fn consensus(admin: &Client, places: &Places, asked: &[Asked]) -> Result<Vec<Verdict>> {
    let mut verdicts = Vec::new();
    for one in asked {
        let url = format!("{}/v1/quality/consensus/{}", places.rater_app, one.task_id);
        let consensus = admin.get(&url).await?;
        let found = consensus
            .get("consensus")
            .filter(|c| !c.is_null())
            .with_context(|| format!("{} has no consensus row: {consensus}", one.task_id))?;
        let choice = found["choice"].as_str().filter(|_| found["is_final"] == json!(true)).map(str::to_owned);
        println!(
            "  {} {}: {} (posterior {}, {} judgments, {})",
            one.task_id,
            one.plan_set_id,
            choice.as_deref().unwrap_or("no agreement: an expert decides"),
            figure(found, "/posterior"),
            found["judgments_count"],
            text(found, "/method")?
        );
        verdicts.push(Verdict { task_id: one.task_id.clone(), choice });
    }
    let agreed = verdicts.iter().filter(|v| v.choice.is_some()).count();
    if agreed == 0 {
        bail!("no task reached a consensus; are there at least as many raters as judgments per task?");
    }
    println!("  {agreed} of {} tasks decided", verdicts.len());
    Ok(verdicts)
}
