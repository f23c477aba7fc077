//! What models said of tasks that people decided later.

use chrono::{DateTime, Utc};
use serde_json::json;
use storage::connection::Connection;
use storage::model_predictions::{self, ModelPrediction};
use storage::reward_models::{self, NewRewardModel};
use storage::tasks;
use storage::types::Timestamp;
use testkit::database;

use crate::{new_task, noon};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn store_model(conn: &mut Connection) -> String {
    let new = NewRewardModel {
        base_model: "linear".into(),
        retailer_id: None,
        task_type: "plan_quality".into(),
        training_judgments_count: 30,
        training_feedback_count: 1,
        training_pairs_count: 10,
        config: json!({}),
        metrics: json!({}),
        parameters: json!({}),
        validation_accuracy: None,
        inter_rater_agreement: None,
        auto_check_correlation: None,
        dataset_hash: "00".into(),
        seed: 1,
    };
    reward_models::insert(conn, &new, noon()).unwrap().model_id
}

#[test]
fn what_models_said_is_kept_once_a_task_and_found_by_time() {
    for db in database::all() {
        let (conn, kind) = (&mut db.connect(), db.kind());
        let (model, other) = (store_model(conn), store_model(conn));
        let said = |model: &str, pair: i32, difference: f64, hour: u32| ModelPrediction {
            model_id: model.to_owned(),
            task_id: String::new(),
            pair,
            retailer_id: None,
            prompt_key: "p".to_owned(),
            difference,
            predicted_a: 0.5,
            predicted_tie: 0.1,
            predicted_b: 0.4,
            said_a: 1.0,
            said_tie: 0.0,
            said_b: 0.0,
            longer: 3.0,
            decided_at: Timestamp(at(&format!("2026-01-15T{hour:02}:00:00Z"))),
        };
        let tasks: Vec<String> =
            (0..3).map(|i| tasks::create(conn, &new_task(&format!("w{i}"), 3), noon()).map(|_| format!("w{i}")).unwrap()).collect();
        let now = at("2026-01-16T00:00:00Z");
        for (hour, task) in (10..).zip(&tasks) {
            let rows = [said(&model, 0, 1.0, hour), said(&model, 1, 1.0, hour), said(&other, 0, -1.0, hour)];
            model_predictions::record(conn, task, &rows, now).unwrap();
        }
        model_predictions::record(conn, &tasks[0], &[said(&model, 0, 2.0, 15)], now).unwrap();
        let found = model_predictions::newest(conn, &model, at("2026-01-15T11:00:00Z"), 10).unwrap();
        let seen: Vec<(&str, f64)> = found.iter().map(|row| (row.task_id.as_str(), row.difference)).collect();
        assert_eq!(seen, [("w1", 1.0), ("w1", 1.0), ("w2", 1.0), ("w2", 1.0), ("w0", 2.0)], "{kind}: oldest first, the last word counts");
        assert_eq!(model_predictions::newest(conn, &model, at("2026-01-15T11:00:00Z"), 2).unwrap().len(), 2, "{kind}");
        assert_eq!(model_predictions::of_tasks(conn, &other, &tasks).unwrap().len(), 3, "{kind}: the other model's words stay");
        assert_eq!(model_predictions::find_decided(conn, "w0").unwrap(), None, "{kind}: nobody has decided it");
        if let Connection::Postgres(_) = conn {
            // A small table is read whole otherwise.
            storage::connection::execute(conn, "SET enable_seqscan = off").unwrap();
        }
        let plan = model_predictions::explain(conn, &model, now).unwrap();
        assert!(plan.contains("model_predictions_model_id_decided_at_id_idx"), "{kind}: {plan}");
    }
}
