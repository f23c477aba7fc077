//! The RLHF backend's part of the circle: feedback, training, activation.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::client::Client;
use super::judging::Verdict;
use super::planning::Asked;
use super::{Places, figure, text};

/// Longest wait for a training job.
const TRAINING_WITHIN: Duration = Duration::from_secs(120);

/// A trained model.
pub struct Model {
    /// Public id.
    pub model_id: String,
}

/// Gives feedback on plans as an application would: preferences that follow what people decided, a thumbs-up and a rating.
pub async fn give_feedback(admin: &Client, places: &Places, asked: &[Asked], verdicts: &[Verdict]) -> Result<()> {
    let mut given = 0;
    for (one, verdict) in asked.iter().zip(verdicts) {
        let task = admin.get(&format!("{}/v1/tasks/{}", places.rater_app, verdict.task_id)).await?;
        let (better, worse) = match verdict.choice.as_deref() {
            Some("candidate_a") => (&task["candidate_a"], &task["candidate_b"]),
            Some("candidate_b") => (&task["candidate_b"], &task["candidate_a"]),
            _ => continue,
        };
        let Some(brand_id) = &one.brand_id else { continue };
        let common = json!({
            "brand_id": brand_id, "task_type": "plan_quality", "prompt": task["prompt"],
            "session_id": one.plan_set_id, "metadata": { "simulated": true, "campaign_id": one.campaign_id },
        });
        let mut preference = common.clone();
        preference["feedback_type"] = json!("preference");
        preference["model_output"] = json!(better.to_string());
        preference["preferred_output"] = json!(better.to_string());
        preference["rejected_output"] = json!(worse.to_string());
        let (mut thumb, mut rating) = (common.clone(), common);
        thumb["feedback_type"] = json!("thumbs_up");
        thumb["model_output"] = json!(better.to_string());
        rating["feedback_type"] = json!("rating");
        rating["rating"] = json!(2);
        rating["model_output"] = json!(worse.to_string());
        for body in [preference, thumb, rating] {
            let answer = admin.post(&format!("{}/v1/feedback", places.backend), &body).await?;
            println!("  {} {}", text(&answer.body, "/feedback_id")?, text(&answer.body, "/feedback_type")?);
            given += 1;
        }
        if given >= 9 {
            break;
        }
    }
    let stats = admin.get(&format!("{}/v1/feedback/stats?task_type=plan_quality", places.backend)).await?;
    if given == 0 {
        bail!("no task of a brand's campaign was decided for one of its candidates, so there is nothing to give feedback on");
    }
    println!("  {given} given; the statistics now count {}", stats["total"]);
    Ok(())
}

/// Trains a model and waits for it.
pub async fn train(admin: &Client, places: &Places, seed: u64) -> Result<Model> {
    let exported = admin.get_text(&format!("{}/v1/exports/trl-preference?task_type=plan_quality&format=jsonl", places.backend)).await?;
    println!("  {} preference pairs in the export trl-preference", exported.lines().count());
    let body = json!({ "task_type": "plan_quality", "seed": seed, "note": "endcap loop" });
    let started = admin.post(&format!("{}/v1/reward-models/train", places.backend), &body).await?.body;
    let job_id = text(&started, "/job_id")?.to_owned();
    let until = Instant::now() + TRAINING_WITHIN;
    let job = loop {
        let job = admin.get(&format!("{}/v1/jobs/{job_id}", places.backend)).await?;
        match text(&job, "/state")? {
            "succeeded" => break job,
            "failed" => bail!("training failed: {}", job["error"]),
            _ if Instant::now() > until => bail!("{job_id} did not end within {} s: {job}", TRAINING_WITHIN.as_secs()),
            _ => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    };
    let model_id = text(&job, "/result/model_id")?.to_owned();
    let card = admin.get(&format!("{}/v1/reward-models/{model_id}", places.backend)).await?;
    println!(
        "  {job_id} -> {model_id} version {}: {} pairs from {} judgments and {} feedback rows",
        card["version"], card["training_pairs_count"], card["training_judgments_count"], card["training_feedback_count"]
    );
    println!(
        "  held out: accuracy {}, log loss {} (a coin has 0.500 and 0.693)",
        figure(&card, "/validation_accuracy"),
        held_out(&card).map_or("-".to_owned(), |loss| format!("{loss:.3}"))
    );
    if card["training_feedback_count"].as_i64().context("the card has no training_feedback_count")? == 0 {
        bail!("the model was trained without the feedback");
    }
    Ok(Model { model_id })
}

/// Why the gate would refuse the model; empty when it may be activated.
pub async fn refusals(admin: &Client, places: &Places, model: &Model) -> Result<Vec<String>> {
    let card = admin.get(&format!("{}/v1/reward-models/{}", places.backend, model.model_id)).await?;
    let reasons = card["failed_gates"].as_array().context("the card has no failed_gates")?;
    Ok(reasons.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// The model that is active for plans.
pub async fn active(admin: &Client, places: &Places) -> Result<Option<Model>> {
    let found = admin.get(&format!("{}/v1/reward-models?task_type=plan_quality&is_active=true", places.backend)).await?;
    let first = found.pointer("/data/0/model_id").and_then(Value::as_str);
    Ok(first.map(|model_id| Model { model_id: model_id.to_owned() }))
}

/// Activates the model.
pub async fn activate(admin: &Client, places: &Places, model: &Model) -> Result<()> {
    admin.post(&format!("{}/v1/reward-models/{}/activate", places.backend, model.model_id), &json!({})).await?;
    let card = admin.get(&format!("{}/v1/reward-models/{}", places.backend, model.model_id)).await?;
    if card["is_active"] != json!(true) {
        bail!("{} is not active after activation", model.model_id);
    }
    println!("  {} is active since {}", model.model_id, card["deployed_at"].as_str().unwrap_or("-"));
    Ok(())
}

fn held_out(card: &Value) -> Option<f64> {
    card.pointer("/metrics/held_out/log_loss").and_then(Value::as_f64)
}
