//! The list of campaigns: every order reaches every campaign once, search takes wildcards literally, and spend is the sum of the rows.

use storage::campaigns::{CampaignFilter, find};
use storage::performance::summary::{SummaryQuery, summarise};
use storage::workspace::{Order, Wish, choices, list, spend};

use crate::{system, tenant, with_sample};

#[test]
fn every_order_reaches_every_campaign_once() {
    for database in with_sample() {
        let mut conn = database.connect();
        let all = list(&mut conn, &system(), &Wish { limit: 500, ..Wish::default() }).unwrap();
        assert!(all.len() > 3, "{}", all.len());
        for order in [Order::Newest, Order::Changed, Order::Name, Order::Ending] {
            let (mut wish, mut seen) = (Wish { order, limit: 2, ..Wish::default() }, Vec::new());
            loop {
                let rows = list(&mut conn, &system(), &wish).unwrap();
                let is_last = rows.len() <= 2;
                seen.extend(rows.into_iter().take(2));
                wish.after = seen.last().map(|row| row.place(order));
                if is_last {
                    break;
                }
            }
            let mut keys: Vec<i64> = seen.iter().map(|row| row.id).collect();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!((keys.len(), seen.len()), (all.len(), all.len()), "{} {order:?}", database.kind());
        }
    }
}

#[test]
fn what_is_searched_is_taken_literally_and_stays_in_the_scope() {
    for database in with_sample() {
        let mut conn = database.connect();
        let mut found = |scope, search: &str| {
            let wish = Wish { search: Some(search.to_owned()), limit: 500, ..Wish::default() };
            list(&mut conn, scope, &wish).unwrap().into_iter().map(|row| row.campaign_id).collect::<Vec<_>>()
        };
        let (all, own) = (system(), tenant("tnt-m69-private"));
        assert_eq!(found(&all, "CMP-DM-09"), ["cmp-dm-09"]);
        assert!(found(&all, "%").is_empty() && found(&all, "!").is_empty() && found(&all, "cmp_dm").is_empty());
        assert_eq!(found(&own, "cmp-"), ["cmp-dm-09"]);
        let asked = CampaignFilter { tenant_id: Some("tnt-m373-national".into()), ..CampaignFilter::default() };
        assert!(list(&mut conn, &own, &Wish { filter: asked, limit: 5, ..Wish::default() }).unwrap().is_empty());
        let offered = choices(&mut conn, &own).unwrap();
        assert_eq!(offered.brands.iter().map(|brand| brand.0.as_str()).collect::<Vec<_>>(), ["brd-m69-private"]);
        assert_eq!(offered.retailers.len(), 1);
    }
}

#[test]
fn spend_is_the_sum_of_the_rows_within_the_campaigns_own_days() {
    for database in with_sample() {
        let mut conn = database.connect();
        let campaign = find(&mut conn, &system(), "cmp-dm-09").unwrap();
        let (start, end) = (campaign.start_date.unwrap(), campaign.end_date.unwrap());
        let half = start + chrono::Days::new(15);
        for as_of in [half, end, end + chrono::Days::new(400)] {
            let query =
                SummaryQuery { campaign: Some(campaign.id), from: Some(start), to: Some(as_of.min(end)), limit: 10, ..Default::default() };
            let rows = summarise(&mut conn, &system(), &query).unwrap();
            let expected = rows.iter().filter_map(|row| row.spend_micros).reduce(|a, b| a + b);
            let kept = spend(&mut conn, &system(), &[campaign.id], as_of).unwrap();
            assert_eq!(kept.get(&campaign.id).copied(), expected, "{} {as_of}", database.kind());
            assert!(expected.is_some());
        }
        let before = spend(&mut conn, &system(), &[campaign.id], start - chrono::Days::new(1)).unwrap();
        assert!(before.is_empty(), "absent, not zero");
        assert!(spend(&mut conn, &tenant("tnt-m373-national"), &[campaign.id], end).unwrap().is_empty());
    }
}
