//! A mistake of ours in one conversation: that socket ends and says so, the others do not notice.

use realtime::limits::Limits;
use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::server::{closed, hear, publish, say, serve, until_open};

#[actix_web::test]
async fn a_panic_in_one_conversation_ends_that_socket_alone() {
    let server = serve(Limits::default()).await;
    let mut other = server.joined("realtime:room", json!({})).await;
    let mut caught = server.joined("realtime:trap", json!({})).await;
    say(&mut caught, json!(["1", "2", "realtime:trap", "broadcast", {"type": "broadcast", "event": "e", "payload": {}}])).await;
    assert_eq!(closed(&mut caught).await, (CloseCode::Error, "the server failed; please reconnect".to_owned()));
    until_open(&server.hub, 1).await;
    publish(&server.hub, 1, "still here");
    assert_eq!(hear(&mut other).await[4]["payload"]["number"], 1);
}
