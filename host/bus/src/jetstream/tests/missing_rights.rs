//! Users of the broker that lack one right each.

use super::*;

/// A server whose user may do everything but this.
fn server_without(action: &str, denied: &str) -> NatsServer {
    NatsServer::with_file(&format!(
        "authorization {{ users: [ {{ user: host, password: pw, permissions: {{ {action}: {{ deny: [{denied:?}] }} }} }} ] }}"
    ))
}

fn settings_of(server: &NatsServer) -> MessagingConfig {
    let mut settings = settings(&format!("nats://host:pw@127.0.0.1:{}", server.port()));
    settings.nats.as_mut().unwrap().subject_prefix = "shop".to_owned();
    settings
}

/// What the host says about its bus.
fn said(bus: &JetStreamBus) -> String {
    bus.problems().into_iter().chain(bus.unavailable_reason()).collect::<Vec<_>>().join("; ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn a_missing_right_is_named_with_its_subject() {
    for (action, denied, named) in [
        ("publish", "$JS.ACK.>", "publish to $JS.ACK.>"),
        ("publish", "$JS.API.STREAM.INFO.*", "publish to $JS.API.STREAM.INFO.shop-events"),
        ("publish", "$JS.API.STREAM.CREATE.*", "publish to $JS.API.STREAM.CREATE.shop-events"),
        ("publish", "$JS.API.CONSUMER.INFO.>", "publish to $JS.API.CONSUMER.INFO.shop-events.one"),
        ("publish", "$JS.API.CONSUMER.CREATE.>", "publish to $JS.API.CONSUMER.CREATE.shop-events.one"),
        ("publish", "$JS.API.CONSUMER.MSG.NEXT.>", "publish to $JS.API.CONSUMER.MSG.NEXT.shop-events.one"),
        ("publish", "shop.events.>", "publish to shop.events.a"),
        ("subscribe", "_INBOX.>", "subscribe to _INBOX.>"),
        ("subscribe", "shop.takeover.>", "subscribe to shop.takeover.one"),
    ] {
        let server = server_without(action, denied);
        let bus = open(&settings_of(&server)).await;
        let any: SharedBus = bus.clone();
        let _one = consumer(&any, "one", &["a"]).await;
        let _receiver = bus.receive_forwarded("one").await;
        let _ = bus.publish(&[event("1", "a")]).await;
        eventually(async || said(&bus), |said| said.contains(named)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn a_host_that_must_not_acknowledge_takes_no_events() {
    let server = server_without("publish", "$JS.ACK.>");
    let bus = open(&settings_of(&server)).await;
    let any: SharedBus = bus.clone();
    let _one = consumer(&any, "one", &["a"]).await;
    let named = |reason: &Option<String>| reason.as_ref().is_some_and(|reason| reason.contains("$JS.ACK.>"));
    eventually(async || bus.unavailable_reason(), named).await;
    // It stays so at later tests of the right.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(named(&bus.unavailable_reason()), "{:?}", bus.unavailable_reason());
}

/// A host needs these rights, and no others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn the_documented_rights_are_enough_with_an_inbox_of_its_own_and_a_domain() {
    // The server of a domain maps the domain's subjects to its own, and then tests
    // the right.
    let server = NatsServer::with_file(
        r#"jetstream { domain: hub }
        authorization { users: [ { user: host, password: pw, permissions: {
            publish: ["shop.>", "$JS.ACK.>", "_INBOX_shop.>",
                "$JS.API.STREAM.*.shop-events", "$JS.API.CONSUMER.*.shop-events.>",
                "$JS.API.CONSUMER.MSG.NEXT.shop-events.*", "$JS.API.CONSUMER.*.shop-events",
                "$JS.API.STREAM.*.shop-dead-letters", "$JS.API.STREAM.MSG.*.shop-dead-letters",
                "$JS.API.CONSUMER.*.shop-dead-letters", "$JS.API.CONSUMER.*.shop-dead-letters.>",
                "$JS.API.CONSUMER.MSG.NEXT.shop-dead-letters.*"],
            subscribe: ["shop.takeover.*", "_INBOX_shop.>"] } } ] }"#,
    );
    let mut settings = settings_of(&server);
    let nats = settings.nats.as_mut().unwrap();
    nats.inbox_prefix = Some("_INBOX_shop".to_owned());
    nats.jetstream_domain = Some("hub".to_owned());
    nats.max_bytes = Some(1 << 20);
    let bus = open(&settings).await;
    let any: SharedBus = bus.clone();
    let one = consumer(&any, "one", &["a"]).await;
    for id in 0..60 {
        let big = Event { payload: vec![0; 50 << 10], ..event(&id.to_string(), "a") };
        bus.publish(&[big]).await.unwrap_or_else(|error| panic!("{error}, {}", said(&bus)));
        one.acknowledge(&next(&one).await).await.unwrap();
    }
    let _more = consumer(&any, "one", &["a", "b"]).await;
    bus.redeliver("one", &event("again", "a")).await.unwrap();
    one.acknowledge(&next(&one).await).await.unwrap();
    bus.add_dead_letter(conformance::dead_letter("x", 1)).await.unwrap();
    assert_eq!(bus.dead_letters(&DeadLetterPage::newest(10)).await.unwrap().len(), 1);
    assert!(bus.delete_dead_letter("x").await.unwrap());
    let mut receiver = bus.receive_forwarded("one").await;
    let receiving = tokio::spawn(async move { receiver.next().await });
    eventually(async || bus.forward("one", b"a".to_vec()).await.is_ok(), |forwarded| *forwarded).await;
    assert_eq!(receiving.await.unwrap(), b"a");
    eventually(
        async || bus.backlog().await.unwrap().consumers["one"],
        |waiting| *waiting == ConsumerBacklog::default(),
    )
    .await;
    assert_eq!(said(&bus), "");
}
