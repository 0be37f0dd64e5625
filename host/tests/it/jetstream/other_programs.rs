//! Other programs on the same broker.

use crate::support::{Bus, NatsServer, Setup, eventually};
use async_nats::{HeaderMap, jetstream};
use serde_json::json;

#[tokio::test]
#[ignore = "needs NATS"]
async fn components_take_events_of_other_programs_and_ignore_nonsense() {
    let server = NatsServer::start();
    let bus = Bus::jetstream(&server.url());
    let host = Setup::new().bus(bus.clone()).start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("x", 10.0).await;
    host.settles().await;

    let other_program = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let subject = bus.subject("ticket.updated");
    let event = json!({
        "id": ticket.id, "version": 1, "title": "from outside", "amount": 1_000, "currency": "usd",
        "userId": ticket.user_id,
    });
    // Two messages that are no events, because they have no headers.
    other_program.publish(subject.clone(), "nonsense".into()).await.unwrap().await.unwrap();
    other_program.publish(subject.clone(), event.to_string().into()).await.unwrap().await.unwrap();
    // An event that no component can read.
    let mut headers = HeaderMap::new();
    headers.insert("ce-id", "unreadable");
    headers.insert("ce-source", "another program");
    other_program.publish_with_headers(subject.clone(), headers.clone(), "{".into()).await.unwrap().await.unwrap();
    // A good event, twice.
    headers.insert("ce-id", "readable");
    for _ in 0..2 {
        let body = event.to_string().into();
        other_program.publish_with_headers(subject.clone(), headers.clone(), body).await.unwrap().await.unwrap();
    }

    let letters = eventually(
        "the unreadable event is set aside",
        async || host.dead_letters().await,
        |letters| letters.len() == 1,
    )
    .await;
    assert_eq!((&letters[0]["subject_id"], &letters[0]["source"]), (&json!("unreadable"), &json!("another program")));
    host.settles().await;
    let order = buyer.reserve(&ticket.id).await;
    assert_eq!(order.ticket.title, "from outside");
    let ignored = "bus_messages_ignored_total{component=\"orders\"} 2";
    let metrics = host.outsider().get("/metrics").await.text;
    assert!(metrics.lines().any(|line| line == ignored), "{metrics}");
}
