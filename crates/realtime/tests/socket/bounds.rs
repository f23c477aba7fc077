//! How many sockets one account may have open, and when a place is free again.

use std::time::{Duration, Instant};

use realtime::limits::Limits;
use serde_json::json;

use crate::server::{PATIENCE, Socket, hear, publish, refusal, serve, until_open};

#[actix_web::test]
async fn an_account_without_a_tenant_has_so_many_sockets_and_leaves_the_others_theirs() {
    let limits = Limits { account_connections: 2, tenant_connections: 3, ..Limits::default() };
    let server = serve(limits).await;
    let open = async |token: &str| server.open(&format!("/realtime/v1/websocket?apikey={token}")).await;
    let too_many = (429, "Too many connections of this account".to_owned());
    let mut anns: Vec<Socket> = vec![open("person:ann").await.unwrap(), open("person:ann").await.unwrap()];
    assert_eq!(refusal(open("person:ann").await), too_many);
    let _bob = open("person:bob").await.unwrap();
    // Behind a key there may be as many people as in a tenant.
    let _keys = [open("key").await.unwrap(), open("key").await.unwrap(), open("key").await.unwrap()];
    assert_eq!(refusal(open("key").await), too_many);
    let _planners = [open("tenant:t").await.unwrap(), open("tenant:t").await.unwrap(), open("tenant:t").await.unwrap()];
    assert_eq!(refusal(open("tenant:t").await), (429, "Too many connected users of this tenant".to_owned()));
    let all = server.hub.connections();
    assert_eq!(all, 9);
    anns.pop();
    until_open(&server.hub, all - 1).await;
    let _again = open("person:ann").await.unwrap();
}

#[actix_web::test]
async fn a_client_that_is_given_up_holds_its_place_no_longer() {
    let write_deadline = Duration::from_secs(3);
    let server = serve(Limits { queue: 1_000, write_deadline, ..Limits::default() }).await;
    let _stopped = server.joined("realtime:room", json!({})).await;
    let mut reader = server.joined("realtime:room", json!({})).await;
    // In few messages more than fits between two processes.
    let text = "x".repeat(1024 * 1024);
    let begun = Instant::now();
    for number in 0..20 {
        publish(&server.hub, number, &text);
        assert_eq!(hear(&mut reader).await[4]["payload"]["number"], number);
    }
    // It got stuck during these at the latest, and from then on the deadline runs.
    let filled = begun.elapsed();
    until_open(&server.hub, 1).await;
    let (gone, most) = (begun.elapsed(), filled + write_deadline + write_deadline / 2);
    assert!(gone < most, "the place was free after {gone:?}, and {most:?} is the most");
    server.shutdown.cancel();
    assert!(server.hub.drained(PATIENCE).await);
}
