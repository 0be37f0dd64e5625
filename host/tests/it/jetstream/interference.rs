//! Other programs fill, change and purge the streams of a marketplace.

use super::Market;
use crate::support::{Bus, Client, Host, NatsServer, Setup, eventually};
use async_nats::jetstream::{Context, consumer::PullConsumer, stream::Stream};
use std::time::Duration;

async fn stream(host: &Host) -> (Context, Stream) {
    let view = host.look_at_bus().await;
    let (context, prefix) = view.streams();
    (context.clone(), context.get_stream(format!("{prefix}-events")).await.unwrap())
}

async fn readiness(host: &Host) -> String {
    host.outsider().get("/readyz").await.text
}

async fn has_metric(host: &Host, line: &str) -> bool {
    host.outsider().get("/metrics").await.text.lines().any(|known| known == line)
}

#[tokio::test]
#[ignore = "needs NATS"]
async fn a_marketplace_whose_events_are_handled_goes_on_in_a_stream_that_is_full() {
    let server = NatsServer::start();
    let market = Market::open(Setup::new().bus(Bus::jetstream(&server.url()).with("max_bytes = 1_048_576"))).await;
    let (context, events) = stream(&market.host).await;
    // Events that nobody subscribes to fill the stream twice.
    let filler = market.host.subject("filler");
    for _ in 0..40 {
        let sent = context.publish(filler.clone(), vec![0; 50 << 10].into()).await.unwrap();
        if sent.await.is_err() {
            market.goes_on().await;
        }
    }
    market.can_sell().await;
    assert!(events.get_info().await.unwrap().state.first_sequence > 1, "the host has made room");
    assert!(has_metric(&market.host, "bus_full 0").await);
    market.close().await;
}

#[tokio::test]
#[ignore = "needs NATS"]
async fn a_marketplace_goes_on_when_its_consumers_are_paused_changed_and_deleted() {
    let server = NatsServer::start();
    let market = Market::open(Setup::new().bus(Bus::jetstream(&server.url()))).await;
    let (_, events) = stream(&market.host).await;
    let far_away = async_nats::datetime::parse_rfc3339("2999-01-01T00:00:00Z").unwrap();
    events.pause_consumer("orders", far_away).await.unwrap();
    is_restored(&events, "orders").await;
    market.goes_on().await;
    let orders: PullConsumer = events.get_consumer("orders").await.unwrap();
    let known = orders.cached_info().config.clone();
    let changed = async_nats::jetstream::consumer::pull::Config {
        durable_name: known.durable_name,
        filter_subjects: known.filter_subjects,
        priority_policy: known.priority_policy,
        priority_groups: known.priority_groups,
        max_deliver: 1,
        headers_only: true,
        ..Default::default()
    };
    events.update_consumer(changed).await.unwrap();
    is_restored(&events, "orders").await;
    market.goes_on().await;
    events.delete_consumer("tickets").await.unwrap();
    is_restored(&events, "tickets").await;
    market.goes_on().await;
    let host = market.close().await;
    let log = host.log();
    assert!(log.contains("another program changed the consumer"), "{log}");
    assert!(log.contains("deleted by another program"), "{log}");
    eventually("the host is ready", async || readiness(&host).await, |text| text == "ready\n").await;
}

/// Waits until the host has given a consumer its settings back. Without this wait
/// the deliveries in transit let the marketplace go on before the host notices.
async fn is_restored(events: &Stream, consumer: &str) {
    let settings = async || {
        let info = events.consumer_info(consumer).await.ok()?;
        Some((info.paused, info.config.headers_only, info.config.max_deliver))
    };
    eventually("the consumer is restored", settings, |settings| *settings == Some((false, false, -1))).await;
}

/// The value of a metric of the component `orders`. 0 if there is none.
async fn metric(host: &Host, name: &str) -> u64 {
    let text = host.outsider().get("/metrics").await.text;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("{component=\"orders\"} "));
    value.and_then(|value| value.parse().ok()).unwrap_or_default()
}

/// Sells tickets while `orders` is paused, until the host has seen that events
/// wait.
async fn events_wait(host: &Host, seller: &Client) {
    for number in 0..60 {
        assert_eq!(seller.try_sell(&format!("ticket {number}"), 10.0).await.status, 201);
    }
    eventually("events wait", async || metric(host, "bus_pending_events").await, |waiting| *waiting > 40).await;
    // The interval of the inspections is 5 s.
    tokio::time::sleep(Duration::from_secs(6)).await;
}

#[tokio::test]
#[ignore = "needs NATS"]
async fn the_host_says_how_many_events_a_purge_has_deleted_also_while_it_was_down() {
    let server = NatsServer::start();
    let mut host = Setup::new().bus(Bus::jetstream(&server.url())).start().await;
    let seller = host.user("seller").await;
    seller.sell("x", 10.0).await;
    host.settles().await;
    let paused = host.operator().post("/plugins/orders/pause", serde_json::json!({})).await;
    assert!(paused.status < 300, "{paused:?}");
    let (_, events) = stream(&host).await;
    for is_down in [false, true] {
        let seller = host.again(&seller);
        events_wait(&host, &seller).await;
        if is_down {
            host.kill().await;
        }
        events.purge().await.unwrap();
        if is_down {
            host.start_again().await;
        }
        let lost = async || metric(&host, "bus_lost_events_total").await;
        eventually("the loss is counted", lost, |lost| *lost >= 40).await;
        let line = "the broker has deleted events that the component had not handled";
        assert!(host.log().contains(line), "{}", host.log());
    }
}

#[tokio::test]
#[ignore = "needs NATS"]
async fn readiness_and_log_name_the_subject_of_a_missing_right() {
    for denied in ["$JS.ACK.>", "$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.MSG.NEXT.>"] {
        let server = NatsServer::with_file(&format!(
            "authorization {{ users: [ {{ user: host, password: pw, permissions: {{ publish: {{ deny: [{denied:?}] }} }} }} ] }}"
        ));
        let bus = Bus::jetstream(&format!("nats://host:pw@127.0.0.1:{}", server.port()));
        let host = Setup::new().bus(bus).start().await;
        let seller = host.user("seller").await;
        seller.try_sell("x", 10.0).await;
        let name = denied.trim_end_matches(['*', '>']);
        eventually("/readyz names the subject", async || readiness(&host).await, |text| text.contains(name)).await;
        assert!(host.log().contains(name), "{}", host.log());
    }
}
