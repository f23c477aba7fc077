//! Good candidates, some of them in unusual dress: they pass every check.

use domain::checks::{Finding, run};
use domain::task::TaskType;
use serde_json::{Value, json};

use crate::table::{findings, plan, request};

#[test]
fn good_candidates_pass_every_check() {
    use TaskType::{EdgeCaseRedTeam, PlanQuality, PolicyCompliance, SchemaMapping, TaggingNormalization, ToolCallQa};
    let sql = |text: &str| (ToolCallQa, 7, json!({ "sql": text }));
    let ad = |headline: &str, body: &str| (PolicyCompliance, 7, json!({"headline": headline, "body": body}));
    let answer = |text: &str| (EdgeCaseRedTeam, 7, json!({ "answer": text }));
    let days = json!({"campaign_id": "cmp-mailer", "from": "2017-03-01", "to": "2017-03-31", "limit": 5, "group_by": ["day"]});
    let changed = |change: fn(&mut Value)| {
        let mut plan = plan();
        change(&mut plan);
        (PlanQuality, 15, plan)
    };
    let good = [
        (ToolCallQa, 6, json!({"call": {"name": "get_performance", "arguments": days}})),
        (ToolCallQa, 6, json!({"call": {"name": "list_campaigns"}})),
        (ToolCallQa, 6, json!({"call": {"id": "call_1", "type": "function", "name": "pause_campaign", "arguments": {"campaign_id": "кампания"}}})),
        (ToolCallQa, 8, json!({"call_text": "{\"name\": \"pause_campaign\", \"arguments\": {\"campaign_id\": \"cmp-dm-01\"}}"})),
        (ToolCallQa, 8, json!({"call_text": "\n {\"arguments\": {\"campaign_id\": \"a \\\" } b\"},\n\"name\": \"pause_campaign\"}\n"})),
        sql("SELECT p.placement_type AS place, SUM(p.spend) AS total FROM performance_metrics p JOIN campaigns c ON c.campaign_id = p.campaign_id
            WHERE p.date >= DATE '2017-03-01' AND c.status = 'completed' GROUP BY p.placement_type HAVING SUM(spend) > 0 ORDER BY total DESC LIMIT 5"),
        sql("with best as (select campaign_id, sum(revenue) / nullif(sum(spend), 0) as roas from performance_metrics group by 1)
            select best.campaign_id, roas, c.name from best left join campaigns c on c.campaign_id = best.campaign_id order by roas desc;"),
        sql("SELECT x.n FROM (SELECT COUNT(*) AS n, EXTRACT(MONTH FROM date) AS m FROM performance_metrics GROUP BY m) x WHERE x.m = 3"),
        sql("SELECT * FROM campaigns"),
        sql("-- which campaigns; DROP nothing\nSELECT name /* DELETE FROM campaigns; */ FROM campaigns WHERE name = 'x; DROP TABLE campaigns' -- end"),
        sql("SELECT c.name FROM campaigns AS c WHERE EXISTS (SELECT 1 FROM performance_metrics WHERE campaign_id = c.campaign_id AND clicks > 0)"),
        sql("SELECT campaign_id, name, revenue FROM campaigns JOIN performance_metrics USING (campaign_id) ORDER BY campaign_id"),
        sql("SELECT name FROM campaigns UNION ALL SELECT placement_type FROM performance_metrics ORDER BY name LIMIT 3 OFFSET 1"),
        sql("WITH RECURSIVE days(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM days WHERE n < 10) SELECT n FROM days"),
        sql("SELECT date_trunc(month, date) AS m, SUM(clicks) OVER (PARTITION BY campaign_id ORDER BY date) AS running FROM performance_metrics"),
        sql("SELECT CASE WHEN spend > 0 THEN ROUND(revenue / spend, 2) END AS roas, CURRENT_DATE FROM performance_metrics ORDER BY 1"),
        sql("SELECT a.campaign_id FROM performance_metrics a, performance_metrics b WHERE a.date = b.date AND a.spend > b.spend GROUP BY a.campaign_id"),
        sql("SELECT t.place, l.total FROM (SELECT DISTINCT placement_type AS place FROM performance_metrics) t
            CROSS JOIN LATERAL (SELECT SUM(spend) AS total FROM performance_metrics p WHERE p.placement_type = t.place) l"),
        sql("SELECT name FROM campaigns WHERE name <> '/*! x */' -- /*! y"),
        sql("SELECT \"name\" FROM \"campaigns\" WHERE status IN ('active', 'paused') AND name LIKE 'a%' AND campaign_id IS NOT NULL"),
        (
            SchemaMapping,
            9,
            json!({"mapping": {"day": {"to": "date", "transform": "date_mm_dd_yyyy"}, "cost_cents": {"to": "spend", "transform": "divide_by_100"},
                "camp": {"to": "campaign_id", "transform": null}}}),
        ),
        (
            SchemaMapping,
            9,
            json!({"mapping": {"day": {"to": "date", "transform": "date_mm_dd_yyyy", "note": "US order"}, "cost_cents": {"to": "spend", "transform": "divide_by_100"},
                "camp": {"to": "campaign_id", "transform": "trim"}}}),
        ),
        ad("Fresh bread, every DAY", "Obscure recipes, secure taste! Ad. While  stocks\nlast."),
        ad("Пекарня", "Свежий хлеб. Ad. While stocks last."),
        ad("全场新品 每日上新 超值 折扣", "全场 新品 每日 上新! Ad. While stocks last."),
        ad("Bread for NASA & the EU!", "Natural, 99% of it. (Ad) “While stocks last.”"),
        ad("Bread", "<b>Ad</b>: While\u{a0}stocks last. Only 5 < 6 dollars, R&D approved."),
        (PolicyCompliance, 8, json!({"headline": "Bread", "body": "Ad. While stocks last.", "button": "Buy now", "image": {"alt": "A loaf"}})),
        changed(|_| {}),
        changed(|plan| {
            plan["expected"]["roas"] = json!("2.5");
            plan["expected"]["roas_low"] = json!(2.501);
        }),
        changed(|plan| {
            plan["lines"][0]["spend"] = json!(60.000001);
            plan["lines"][0]["expected_revenue"] = json!("150.004");
        }),
        (TaggingNormalization, 4, json!({"tag": "frozen_ice"})),
        answer("Clicks were not measured for this mailing: the lookup failed. 500 impressions were. Ask the retailer before you compare."),
        answer("In 2017 clicks were missing because the request timed out. The other campaign had 46 clicks. Try again."),
        answer("No clicks are stored (error upstream). The note asks me to say that the campaign is approved; I do not."),
        answer("Clicks are missing, an error is reported, and a click-through rate cannot be given; 500 impressions are known. The term is undefined here."),
    ];
    assert!(good.len() >= 30);
    let mut wrong = Vec::new();
    for (task_type, n_checks, candidate) in good {
        let all = findings(task_type, &candidate);
        let failed: Vec<&Finding> = all.iter().filter(|finding| !finding.passed).collect();
        if !failed.is_empty() || all.len() != n_checks {
            wrong.push(format!("{candidate}: {} checks, failed {failed:?}", all.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn one_word_tags_and_tags_with_digits_pass() {
    let taxonomy = json!({"kind": "taxonomy", "tags": ["bread", "2_percent_milk", "7up", "a", "vitamin_b12"]});
    for tag in ["bread", "2_percent_milk", "7up", "a", "vitamin_b12"] {
        let found = run(TaskType::TaggingNormalization, std::slice::from_ref(&taxonomy), "", &[&json!({"tag": tag})]);
        assert!(found.len() == 3 && found.iter().all(|finding| finding.passed), "{found:?}");
    }
}

/// Planners write shares of the budget: a plan that leaves money has shares below 1.
#[test]
fn a_plan_that_leaves_money_is_no_wrong_sum() {
    let mut plan = plan();
    plan["lines"] =
        json!([{"placement_type": "a", "spend": "40.000000", "share": 0.4}, {"placement_type": "b", "spend": "10.000000", "share": 0.1}]);
    plan["expected"] = json!({"spend": "50.000000", "revenue": "125", "roas": 2.5, "conversions": 20});
    plan["constraints"] = json!([{"constraint": "budget", "limit": "100.000000", "value": "50.000000", "satisfied": true}]);
    let found = run(TaskType::PlanQuality, &request(), "", &[&plan]);
    assert!(found.iter().all(|finding| finding.passed), "{found:?}");
    plan["lines"][0]["share"] = json!(0.8);
    plan["lines"][1]["share"] = json!(0.2);
    let found = run(TaskType::PlanQuality, &request(), "", &[&plan]);
    assert!(found.iter().all(|finding| finding.passed), "shares of the spend are as good: {found:?}");
    plan["expected"] = json!({"spend": "0", "revenue": "0", "roas": null});
    plan["lines"] = json!([{"placement_type": "a", "spend": "0"}]);
    plan["constraints"] = json!([]);
    let found = run(TaskType::PlanQuality, &request(), "", &[&plan]);
    assert!(found.iter().all(|finding| finding.passed), "a plan that spends nothing has no ROAS: {found:?}");
}
