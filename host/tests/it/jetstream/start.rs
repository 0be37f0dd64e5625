//! A host and its broker start in any order.

use crate::support::{Bus, NatsServer, Setup, eventually, guest};
use serde_json::json;

#[tokio::test]
#[ignore = "needs NATS"]
async fn a_host_whose_broker_is_away_serves_and_is_ready_when_it_comes() {
    let mut server = NatsServer::start();
    server.kill();
    let host = Setup::new().bus(Bus::jetstream(&server.url())).start().await;
    let reply = host.outsider().get("/readyz").await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.errors()[0].0.contains("the event bus was not reached"), "{reply:?}");
    assert_eq!(host.outsider().get("/healthz").await.status, 200);
    let metrics = host.outsider().get("/metrics").await.text;
    assert!(metrics.lines().any(|line| line == "bus_connected 0"), "{metrics}");
    assert!(host.log().contains("the event bus is unavailable"), "{}", host.log());
    // Requests that need no event succeed.
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.try_sell("x", 10.0).await;
    assert_eq!(ticket.status, 201, "{ticket:?}");
    let letters = host.operator().get("/dead-letters").await;
    assert_eq!(letters.status, 503, "{letters:?}");
    assert!(letters.header("retry-after").is_some());

    server.start_again();
    let ready = async || host.outsider().get("/readyz").await.status;
    eventually("the host is ready", ready, |status| *status == 200).await;
    let reserved = async || buyer.try_order(&ticket.id()).await.status;
    eventually("the event has arrived", reserved, |status| *status == 201).await;
    host.settles().await;
}

#[tokio::test]
#[ignore = "needs NATS"]
async fn a_host_of_another_installation_does_not_start_and_says_why() {
    let server = NatsServer::start();
    let bus = Bus::jetstream(&server.url());
    let mut host = Setup::new().bus(bus.clone()).start().await;
    let output = Setup::new().bus(bus).output("serve").await;
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(message.contains("another installation") && message.contains("subject_prefix"), "{message}");
    host.stop().await;
    host.start_again().await;
    assert_eq!(host.outsider().get("/readyz").await.status, 200);
}

#[tokio::test]
#[ignore = "needs NATS"]
async fn metrics_count_the_events_that_wait_on_the_broker() {
    let server = NatsServer::start();
    let host = Setup::new().bus(Bus::jetstream(&server.url())).start().await;
    let seller = host.user("seller").await;
    seller.sell("x", 10.0).await;
    let metrics = async || host.outsider().get("/metrics").await.text;
    let names = [
        "bus_connected 1",
        "bus_dead_letters 0",
        "bus_pending_events{component=\"orders\"} 0",
        "bus_unacknowledged_events{component=\"orders\"} 0",
        "bus_redelivered_events{component=\"orders\"} 0",
    ];
    eventually("all metrics are there", metrics, |text| {
        names.iter().all(|name| text.lines().any(|line| line == *name))
    })
    .await;
}

#[tokio::test]
#[ignore = "needs NATS"]
async fn an_event_that_is_too_large_for_the_broker_is_refused_and_holds_up_no_other() {
    let server = NatsServer::with_file("max_payload: 18432");
    let hostile = format!("[[plugin]]\npath = {:?}\ngrants = [\"store\"]", guest("hostile"));
    let setup = Setup::without_components().toml(&hostile);
    let host = setup.bus(Bus::jetstream(&server.url())).start().await;
    let client = host.visitor();
    let publish = async |id: &str| {
        let body = json!({ "subject": "hostile.event", "id": id, "mood": "apply" });
        client.post("/hostile/publish", body).await
    };
    let refused = publish(&"i".repeat(2_048)).await;
    assert!(refused.text.contains("an event of more than 2048 bytes"), "{refused:?}");
    assert_eq!(publish("smaller").await.status, 201);
    let applied = async || client.get("/hostile/applied/smaller").await.json()["times"].clone();
    eventually("the smaller event is applied", applied, |times| *times == json!(1)).await;
}
