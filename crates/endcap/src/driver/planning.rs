//! The campaign runtime's part of the circle: campaigns, candidate plans, the next plan, its explanation.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::client::Client;
use super::learning::Model;
use super::{Places, figure, text};

/// A campaign that plans can be made for.
pub struct Campaign {
    /// Public id.
    pub campaign_id: String,
    /// Name.
    pub name: String,
    /// Measured spend, decimal.
    pub spend: String,
    /// Measured revenue, decimal.
    pub revenue: String,
    /// Leading brand.
    pub brand_id: Option<String>,
    /// Whether it is over, so that its plans are for study and none is chosen.
    pub is_over: bool,
}

/// What is asked of the planner.
pub struct Request {
    /// Budget, decimal.
    pub budget: String,
    /// Days.
    pub horizon_days: u32,
}

/// A plan set that people were asked about.
pub struct Asked {
    /// Campaign.
    pub campaign_id: String,
    /// Plan set.
    pub plan_set_id: String,
    /// Rating task.
    pub task_id: String,
    /// Brand of the campaign; in-store programmes belong to the retailer and have none.
    pub brand_id: Option<String>,
}

/// What was decided.
pub struct Decision {
    /// Campaign.
    pub campaign_id: String,
    /// Plan set.
    pub plan_set_id: String,
    /// The chosen plan.
    pub plan_id: String,
}

/// Campaigns with measured spend and revenue: the one named first, then by spend.
pub async fn campaigns_with_spend(admin: &Client, places: &Places, wanted: Option<&str>) -> Result<Vec<Campaign>> {
    let url = format!("{}/v1/analytics/performance?group_by=campaign", places.runtime);
    let answer = admin.get(&url).await?;
    let rows = answer["data"].as_array().context("the analytics answer has no data")?;
    let mut campaigns = Vec::new();
    for row in rows {
        let spend = amount(row, "spend");
        let revenue = amount(row, "revenue");
        let campaign_id = text(row, "/campaign")?.to_owned();
        if let (Some(spend), Some(revenue)) = (spend, revenue) {
            campaigns.push(Campaign { name: String::new(), campaign_id, spend, revenue, brand_id: None, is_over: false });
        }
    }
    if let Some(wanted) = wanted
        && !campaigns.iter().any(|campaign| campaign.campaign_id == wanted)
    {
        bail!("campaign {wanted} has no measured spend, or does not exist");
    }
    campaigns.sort_by(|a, b| number(&b.spend).total_cmp(&number(&a.spend)));
    campaigns.sort_by_key(|campaign| Some(campaign.campaign_id.as_str()) != wanted);
    campaigns.truncate(8);
    for campaign in &mut campaigns {
        let found = admin.get(&format!("{}/v1/campaigns/{}", places.runtime, campaign.campaign_id)).await?;
        campaign.name = text(&found, "/name")?.to_owned();
        campaign.brand_id = found["brand_id"].as_str().map(str::to_owned);
        campaign.is_over = matches!(text(&found, "/status")?, "completed" | "archived");
    }
    Ok(campaigns)
}

/// Asks for plans of several campaigns and budgets until people have been asked `wanted` times; each `sitting` of a run has other budgets.
pub async fn ask_people(
    admin: &Client,
    places: &Places,
    campaigns: &[Campaign],
    request: &Request,
    wanted: usize,
    sitting: usize,
) -> Result<Vec<Asked>> {
    let mut asked = Vec::new();
    let mut refused = Vec::new();
    let most = wanted.saturating_mul(3);
    // The first request is asked as a user would, later ones with other budgets and limits, so that people see different choices.
    for attempt in most.saturating_mul(sitting)..most.saturating_mul(sitting + 1) {
        if asked.len() == wanted {
            break;
        }
        let Some(campaign) = campaigns.get(attempt % campaigns.len().max(1)) else { break };
        let round = attempt / campaigns.len().max(1);
        let body = variation(request, round, if attempt == 0 { "when_close" } else { "always" })?;
        let url = format!("{}/v1/campaigns/{}/plans", places.runtime, campaign.campaign_id);
        let answer = match admin.post(&url, &body).await {
            Ok(answer) => answer.body,
            Err(error) if error.to_string().contains(" 422 ") => {
                refused.push(format!("{error:#}"));
                continue;
            }
            Err(error) => return Err(error),
        };
        let kind = text(&answer, "/decision/kind")?;
        let plans = answer["plans"].as_array().map_or(0, Vec::len);
        println!(
            "  {} budget {} -> {plans} plans {} | {kind}: {}",
            campaign.campaign_id,
            body["total_budget"].as_str().unwrap_or("-"),
            text(&answer, "/plan_set_id")?,
            text(&answer, "/decision/reason")?
        );
        if kind == "asked_people" {
            asked.push(Asked {
                campaign_id: campaign.campaign_id.clone(),
                plan_set_id: text(&answer, "/plan_set_id")?.to_owned(),
                task_id: text(&answer, "/decision/task_id")?.to_owned(),
                brand_id: campaign.brand_id.clone(),
            });
        } else if kind == "queued_for_people" {
            bail!("the rater app did not take the task: {}", text(&answer, "/decision/reason")?);
        }
    }
    if asked.len() < wanted {
        bail!("only {} of {wanted} plan requests went to people; refused: {}", asked.len(), refused.join(" | "));
    }
    println!("  {} rating tasks made", asked.len());
    Ok(asked)
}

/// The stated budget and limits, varied by round.
fn variation(request: &Request, round: usize, ask: &str) -> Result<Value> {
    const FACTORS: [f64; 6] = [1.0, 0.4, 2.0, 0.15, 3.5, 0.7];
    const LARGEST_SHARES: [Option<f64>; 3] = [None, Some(0.5), Some(0.25)];
    let stated: f64 = request.budget.parse().with_context(|| format!("--budget {} is not a decimal number", request.budget))?;
    let factor = FACTORS.get(round % FACTORS.len()).copied().unwrap_or(1.0) * (1.0 + 0.05 * (round / FACTORS.len()) as f64);
    let mut constraints = json!({});
    if let Some(share) = LARGEST_SHARES.get(round % LARGEST_SHARES.len()).copied().flatten() {
        constraints["max_share_per_arm"] = json!(share);
    }
    Ok(json!({
        "candidates": 3, "total_budget": format!("{:.2}", stated * factor), "horizon_days": request.horizon_days,
        "constraints": constraints, "ask_people": ask,
    }))
}

/// The campaign whose next flight is planned: itself, or a draft copy of one that is over.
async fn next_flight(admin: &Client, places: &Places, campaign: &Campaign) -> Result<String> {
    if !campaign.is_over {
        return Ok(campaign.campaign_id.clone());
    }
    let name: String = campaign.name.chars().take(190).collect();
    let url = format!("{}/v1/campaigns/{}/clone", places.runtime, campaign.campaign_id);
    let copy = admin.post(&url, &json!({"name": format!("{name} (next)")})).await?.body;
    let campaign_id = text(&copy, "/campaign_id")?;
    println!("  {} is over: its next flight is planned as {campaign_id}", campaign.campaign_id);
    Ok(campaign_id.to_owned())
}

/// Asks for the next plans with the new model active until it chose one by itself.
pub async fn choose_next(admin: &Client, places: &Places, campaigns: &[Campaign], request: &Request, model: &Model) -> Result<Decision> {
    let until = Instant::now() + Duration::from_secs(20);
    let mut attempt = 0;
    let mut flights: Vec<String> = Vec::new();
    loop {
        let place = attempt % campaigns.len().max(1);
        let Some(campaign) = campaigns.get(place) else { bail!("no campaign") };
        if flights.len() == place {
            flights.push(next_flight(admin, places, campaign).await?);
        }
        let Some(campaign_id) = flights.get(place).cloned() else { bail!("no campaign") };
        // After a round of close calls the runtime is told to decide by itself.
        let ask = if attempt < campaigns.len() { "when_close" } else { "never" };
        let body = variation(request, attempt / campaigns.len().max(1), ask)?;
        let answer = admin.post(&format!("{}/v1/campaigns/{campaign_id}/plans", places.runtime), &body).await?.body;
        let (kind, basis) = (text(&answer, "/decision/kind")?, answer.pointer("/decision/basis").and_then(Value::as_str).unwrap_or("none"));
        let by = answer.pointer("/decision/model_id").and_then(Value::as_str);
        println!("  {campaign_id}: {kind} by {basis}: {}", text(&answer, "/decision/reason")?);
        for plan in answer["plans"].as_array().into_iter().flatten() {
            println!(
                "    {} {:<22} score {} | {}",
                text(plan, "/plan_id")?,
                text(plan, "/strategy")?,
                figure(plan, "/score"),
                text(plan, "/status")?
            );
        }
        if kind == "chosen" && basis == "reward_model" {
            // Every replica serves a new model within two seconds of its activation; until then the last one answers.
            if by != Some(&model.model_id) {
                if Instant::now() > until {
                    bail!("the runtime was answered by {by:?}, not by {}", model.model_id);
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
                continue;
            }
            return Ok(Decision {
                campaign_id,
                plan_set_id: text(&answer, "/plan_set_id")?.to_owned(),
                plan_id: text(&answer, "/decision/plan_id")?.to_owned(),
            });
        }
        attempt += 1;
        if Instant::now() > until {
            bail!("the runtime did not choose by the reward model within 20 s (last: {kind} by {basis})");
        }
    }
}

/// Shows the reflection log of a decision.
pub async fn explain(admin: &Client, places: &Places, decision: &Decision) -> Result<()> {
    let url = format!("{}/v1/reflection-logs?session_id={}", places.runtime, decision.plan_set_id);
    let answer = admin.get(&url).await?;
    let entries = answer["data"].as_array().context("the reflection logs have no data")?;
    let mut decided = false;
    for entry in entries {
        let phase = text(entry, "/phase")?;
        decided |= phase == "decision" && entry.to_string().contains(&decision.plan_id);
        println!("  {} {phase}: {}", text(entry, "/log_id")?, text(entry, "/decision_rationale")?);
        println!("    confidence {}: {}", figure(entry, "/confidence_value"), entry["confidence_rationale"].as_str().unwrap_or("-"));
        for risk in entry["risk_factors"].as_array().into_iter().flatten() {
            println!("    risk: {}", risk.as_str().map_or_else(|| risk.to_string(), str::to_owned));
        }
    }
    if !decided {
        bail!("no reflection log of {} names the chosen plan {}", decision.plan_set_id, decision.plan_id);
    }
    let plans = admin.get(&format!("{}/v1/campaigns/{}/plans", places.runtime, decision.campaign_id)).await?;
    if !plans.to_string().contains(&decision.plan_id) {
        bail!("the plan {} is not among the campaign's plans", decision.plan_id);
    }
    Ok(())
}

fn amount(row: &Value, key: &str) -> Option<String> {
    let value = row.get(key)?;
    let amount = value.get("amount").or_else(|| value.pointer("/value/amount")).unwrap_or(value);
    let text = amount.as_str()?;
    (number(text) > 0.0).then(|| text.to_owned())
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or(0.0)
}
