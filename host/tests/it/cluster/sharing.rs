//! Requests to any host of a cluster have the same effect.

use super::{faults, hosts, joined, named, relay_lock, three};
use crate::support::{NatsServer, Setup, Status, eventually, postgres};
use futures::future::join_all;
use sqlx::postgres::PgListener;
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn a_purchase_may_go_from_host_to_host() {
    let [one, two, three] = three().await;
    let seller = one.user("seller").await;
    let ticket = seller.sell("x", 19.99).await;
    let buyer = two.user("buyer").await;
    let order = buyer.reserve(&ticket.id).await;
    three.again(&buyer).pay(&order.id).await;
    one.again(&buyer).order_becomes(&order.id, Status::Complete).await;
    two.payment_ledger().await.takes(&order.id, 1_999).await;
    one.settles().await;
    for host in [&one, &two, &three] {
        assert_eq!(host.again(&seller).ticket(&ticket.id).await.order_id.as_ref(), Some(&order.id));
        assert!(host.dead_letters().await.is_empty());
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn of_many_buyers_on_all_hosts_exactly_one_gets_a_ticket() {
    let hosts = three().await;
    let ticket = hosts[0].user("seller").await.sell("x", 10.0).await;
    let mut buyers = Vec::new();
    for host in &hosts {
        buyers.extend(host.users("buyer", 8).await);
    }
    let orders = buyers.iter().map(|buyer| buyer.try_order(&ticket.id));
    let mut statuses: Vec<u16> = join_all(orders).await.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [201, 400].contains(status)), "{statuses:?}");
}

/// Two of the three hosts do not relay the events that are committed on them.
#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn events_reach_the_relaying_host_without_the_database() {
    let database = postgres::new_database().await;
    let hosts = Setup::start_all(named(&joined(Setup::new(), &database, &NatsServer::shared().url()))).await;
    let seller = hosts[0].user("seller").await;
    let mut notifications = PgListener::connect(&database).await.unwrap();
    notifications.listen("ticketing_store").await.unwrap();
    let sell_on_each = async || {
        for host in &hosts {
            let seller = host.again(&seller);
            let ticket = seller.sell("x", 10.0).await;
            seller.wait_until_known_to_orders(&ticket.id).await;
        }
        received(&mut notifications, Duration::from_millis(300)).await
    };
    // Until a host has the relay lock, the database notifies of every outbox.
    let no_outbox = |received: &Vec<String>| !received.iter().any(|payload| payload.contains(" outbox "));
    eventually("the database notifies of no outbox", sell_on_each, no_outbox).await;
}

/// Each of the three hosts relays the events of one component and hears of the
/// outboxes of all. It must not notify the others of an outbox that it does not
/// relay, or two hosts would notify each other without end.
#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn hosts_that_relay_for_different_components_do_not_notify_each_other_without_end() {
    let database = postgres::new_database().await;
    let components = ["tickets", "orders", "payments"];
    let holders = join_all(components.map(|component| relay_lock::hold(&database, component))).await;
    let hosts = Setup::start_all(named(&joined(Setup::new(), &database, &NatsServer::shared().url()))).await;
    for (number, (holder, component)) in holders.into_iter().zip(components).enumerate() {
        let others = [&hosts[(number + 1) % 3], &hosts[(number + 2) % 3]];
        join_all(others.map(|other| other.signal("STOP"))).await;
        relay_lock::pass_on(holder, component).await;
        join_all(others.map(|other| other.signal("CONT"))).await;
    }
    for host in &hosts {
        faults::serves(host).await;
    }
    hosts[0].settles().await;
    let mut notifications = PgListener::connect(&database).await.unwrap();
    notifications.listen("ticketing_store").await.unwrap();
    // Longer than the interval at which a host looks without a notification.
    let received = received(&mut notifications, Duration::from_secs(6)).await;
    assert!(received.is_empty(), "{} notifications, such as {:?}", received.len(), received.first());
}

/// The notifications that arrive from the database in this time.
async fn received(notifications: &mut PgListener, time: Duration) -> Vec<String> {
    let (mut payloads, end) = (Vec::new(), tokio::time::Instant::now() + time);
    while let Ok(notification) = timeout_at(end, notifications.recv()).await {
        payloads.push(notification.unwrap().payload().to_owned());
    }
    payloads
}

#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn a_session_that_ends_on_one_host_ends_on_all_within_a_second() {
    let [one, two, three] = three().await;
    let user = one.user("user").await;
    let (there, elsewhere) = (two.again(&user), three.again(&user));
    for client in [&there, &elsewhere] {
        assert!(client.get("/api/users/currentuser").await.json()["currentUser"].is_object());
    }
    assert_eq!(user.post("/api/users/signout", serde_json::json!({})).await.status, 200);
    let begun = Instant::now();
    for client in [&there, &elsewhere] {
        eventually(
            "the session has ended",
            async || client.get("/api/users/currentuser").await.json()["currentUser"].is_null(),
            |gone| *gone,
        )
        .await;
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn an_operator_sees_all_hosts_and_the_plugins_of_each() {
    let [one, mut two, _three] = three().await;
    let operator = one.operator();
    let seen = hosts(&operator).await;
    for host in &seen {
        assert_eq!(host["plugins"].as_object().unwrap().len(), 6, "{host}");
        assert_eq!(host["version"], env!("CARGO_PKG_VERSION"));
    }
    let lag = operator.get("/cluster").await.json()["lag"].clone();
    assert!(lag["orders"]["outbox_ms"].is_u64(), "{lag}");
    two.kill().await;
    let lost = async || super::statuses(&operator).await.iter().filter(|status| *status == "lost").count();
    eventually("the dead host is lost", lost, |lost| *lost == 1).await;
}
