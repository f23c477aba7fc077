//! The log of deliveries as its owner works with it: every attempt, filters, and sending now.

use domain::role::Role;
use serde_json::{Value, json};

use crate::webhooks::{Receiver, happened, log, made, round, service_on};

#[actix_web::test]
async fn a_waiting_delivery_is_sent_now_and_each_attempt_is_told() {
    for database in testkit::database::all() {
        let service = service_on(database);
        let kind = service.database.kind();
        let admin = service.token(Role::TenantAdmin, Some("tnt-a"));
        let receiver = Receiver::start().await;
        round(&service).await;
        let hook = made(&service, &admin, &receiver.url, &["campaign.moved"]).await;
        let payload = json!({"campaign_id": "cmp_1", "from": "draft", "to": "scheduled", "version": 2});
        happened(&service, "campaigns", "campaign_moved", Some("tnt-a"), payload).await;
        receiver.answers("500 Oh");
        assert_eq!(round(&service).await, 1, "{kind}");
        let row = log(&service, &admin, "?status=pending&event_type=campaign.moved").await.remove(0);
        let path = format!("/v1/webhook-deliveries/{}", row["delivery_id"].as_str().unwrap());
        assert!(row.get("history").is_none(), "{kind}: the list stays small");
        let page = service.get(&admin, "/webhooks/deliveries?status=&event_type=campaign.moved&from=&to=").await.text();
        assert!(page.contains("Send now") && page.contains("campaign.moved"), "{kind}: {page}");

        // A second later its pause is not over; sent now it comes at once, under the same id.
        let later = service.at("2026-01-15T12:00:01Z");
        assert_eq!(round(&later).await, 0, "{kind}");
        receiver.answers("204 No Content");
        let sent = later.post(&admin, &format!("{path}/send-now"), json!({})).await;
        assert_eq!(sent.status, 202, "{kind}: {}", sent.text());
        assert_eq!(round(&later).await, 1, "{kind}");
        let ids: Vec<String> = receiver.taken().into_iter().map(|(headers, _)| headers["webhook-id"].clone()).collect();
        assert!(ids.len() == 2 && ids[0] == ids[1], "{kind}: {ids:?}");
        let one = later.get(&admin, &path).await.json();
        let told: Vec<(&Value, &Value)> =
            one["history"].as_array().unwrap().iter().map(|made| (&made["number"], &made["http_status"])).collect();
        assert_eq!(told, [(&json!(1), &json!(500)), (&json!(2), &json!(204))], "{kind}: {one}");
        let page = later.get(&admin, &path.replace("/v1/webhook-deliveries", "/webhooks/deliveries")).await.text();
        assert!(page.contains("the receiver answered 500") && page.contains("204 in") && !page.contains("Send now"), "{kind}: {page}");
        let refused = later.post(&admin, &format!("{path}/send-now"), json!({})).await;
        assert!(refused.status == 409 && refused.text().contains("replay it"), "{kind}: {}", refused.text());

        // By time: days count whole.
        assert_eq!(log(&service, &admin, "?from=2026-01-15&to=2026-01-15").await.len(), 1, "{kind}");
        assert!(log(&service, &admin, "?from=2026-01-16").await.is_empty(), "{kind}");
        assert!(log(&service, &admin, "?event_type=webhook.test").await.is_empty(), "{kind}");
        for query in ["event_type=campaign.dreamt", "from=yesterday", "from=2026-01-16&to=2026-01-15"] {
            assert_eq!(service.get(&admin, &format!("/v1/webhook-deliveries?{query}")).await.status, 422, "{kind}: {query}");
        }
        // Others neither see nor hurry it.
        let stranger = service.token(Role::TenantAdmin, Some("tnt-b"));
        assert_eq!(service.post(&stranger, &format!("{path}/send-now"), json!({})).await.status, 404, "{kind}");
        let analyst = service.token(Role::Analyst, Some("tnt-a"));
        assert_eq!(service.post(&analyst, &format!("{path}/send-now"), json!({})).await.status, 403, "{kind}");
        assert_eq!(service.delete(&admin, &format!("/v1/webhooks/{}", hook["webhook_id"].as_str().unwrap())).await.status, 204, "{kind}");
    }
}
