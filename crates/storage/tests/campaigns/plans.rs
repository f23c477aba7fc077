//! A plan set is decided once.

use serde_json::json;
use storage::campaigns;
use storage::error::StorageError;
use storage::page::Page;
use storage::plans::{self, Choice, NewPlan};

use crate::{now, system, tenant, with_sample};

#[test]
fn a_set_is_decided_once_and_stays_with_its_tenant() {
    for database in with_sample() {
        let mut conn = database.connect();
        let campaign = campaigns::find(&mut conn, &system(), "cmp-dm-09").unwrap();
        let plan = |position: i32| NewPlan {
            plan_id: format!("pln_{position}"),
            plan_set_id: "pls_1".into(),
            campaign: campaign.id,
            tenant_id: campaign.tenant_id.clone(),
            status: "candidate".into(),
            strategy: "revenue".into(),
            position,
            budget_micros: 1_000_000,
            currency: "USD".into(),
            horizon_days: 28,
            plan: json!({}).into(),
            score: None,
            win_probability: None,
            model_id: None,
        };
        plans::insert_many(&mut conn, &[plan(0), plan(1), plan(2)], now()).unwrap();
        let choice = Choice { plan_id: Some("pln_1"), reason: "cheaper", decided_by: "acc_1" };
        assert!(matches!(
            plans::decide(&mut conn, &tenant("tnt-m373-national"), "pls_1", &choice, now()),
            Err(StorageError::NotFound { .. })
        ));
        assert!(plans::list_sets(&mut conn, &tenant("tnt-m373-national"), campaign.id, &Page::first(5)).unwrap().rows.is_empty());
        for _ in 0..2 {
            let decided = plans::decide(&mut conn, &system(), "pls_1", &choice, now()).unwrap();
            let statuses: Vec<&str> = decided.iter().map(|plan| plan.status.as_str()).collect();
            assert_eq!(statuses, ["rejected", "chosen", "rejected"], "{}", database.kind());
        }
        let other = Choice { plan_id: Some("pln_2"), ..choice };
        assert!(matches!(plans::decide(&mut conn, &system(), "pls_1", &other, now()), Err(StorageError::Conflict { .. })));
        let sets = plans::list_sets(&mut conn, &system(), campaign.id, &Page::first(5)).unwrap().rows;
        assert_eq!((sets.len(), sets[0].len()), (1, 3));
        assert_eq!(plans::latest(&mut conn, &system(), &[campaign.id]).unwrap().len(), 1);
    }
}
