//! Whichever host is asked, the answer is the same.

use super::{faults, hosts, joined, named, right_to_carry, three};
use crate::support::{NatsServer, Setup, Status, eventually, postgres};
use futures::future::join_all;
use sqlx::postgres::PgListener;
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

#[tokio::test]
async fn a_purchase_may_go_from_host_to_host() {
    let Some([one, two, three]) = three().await else { return };
    let seller = one.user("seller").await;
    let ticket = seller.sell("x", 19.99).await;
    let buyer = two.user("buyer").await;
    let order = buyer.reserve(&ticket.id).await;
    three.again(&buyer).pay(&order.id).await;
    one.again(&buyer).order_becomes(&order.id, Status::Complete).await;
    two.ledger().await.takes(&order.id, 1_999).await;
    one.settles().await;
    for host in [&one, &two, &three] {
        assert_eq!(host.again(&seller).ticket(&ticket.id).await.order_id.as_ref(), Some(&order.id));
        assert!(host.dead_letters().await.is_empty());
    }
}

#[tokio::test]
async fn of_many_buyers_on_all_hosts_exactly_one_gets_a_ticket() {
    let Some(hosts) = three().await else { return };
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

/// Two of the three do not carry what is committed there.
#[tokio::test]
async fn events_reach_the_host_that_carries_them_without_the_database() {
    let Some(database) = postgres::database().await else { return };
    let hosts = Setup::start_all(named(&joined(Setup::new(), &database, &NatsServer::shared().url()))).await;
    let seller = hosts[0].user("seller").await;
    let mut words = PgListener::connect(&database).await.unwrap();
    words.listen("ticketing_store").await.unwrap();
    let told = async || {
        for host in &hosts {
            let seller = host.again(&seller);
            let ticket = seller.sell("x", 10.0).await;
            seller.wait_until_known_to_orders(&ticket.id).await;
        }
        heard(&mut words, Duration::from_millis(300)).await
    };
    // Until one of them carries, the database tells of all.
    let of_no_outbox = |told: &Vec<String>| !told.iter().any(|word| word.contains(" outbox "));
    eventually("the database tells of no outbox", told, of_no_outbox).await;
}

/// Each of the three carries for one component and hears of all. What it does
/// not carry it tells nobody of, or two would tell each other without end.
#[tokio::test]
async fn hosts_that_share_the_carrying_are_quiet() {
    let Some(database) = postgres::database().await else { return };
    let components = ["tickets", "orders", "payments"];
    let keepers = join_all(components.map(|component| right_to_carry::keep(&database, component))).await;
    let hosts = Setup::start_all(named(&joined(Setup::new(), &database, &NatsServer::shared().url()))).await;
    for (number, (keeper, component)) in keepers.into_iter().zip(components).enumerate() {
        let others = [&hosts[(number + 1) % 3], &hosts[(number + 2) % 3]];
        join_all(others.map(|other| other.signal("STOP"))).await;
        right_to_carry::pass_on(keeper, component).await;
        join_all(others.map(|other| other.signal("CONT"))).await;
    }
    for host in &hosts {
        faults::serves(host).await;
    }
    hosts[0].settles().await;
    let mut words = PgListener::connect(&database).await.unwrap();
    words.listen("ticketing_store").await.unwrap();
    // Longer than the time after which each looks whatever it has heard.
    let told = heard(&mut words, Duration::from_secs(6)).await;
    assert!(told.is_empty(), "{} words, such as {:?}", told.len(), told.first());
}

/// What hosts tell each other through the database in this time.
async fn heard(words: &mut PgListener, time: Duration) -> Vec<String> {
    let (mut heard, end) = (Vec::new(), tokio::time::Instant::now() + time);
    while let Ok(word) = timeout_at(end, words.recv()).await {
        heard.push(word.unwrap().payload().to_owned());
    }
    heard
}

#[tokio::test]
async fn who_signs_out_anywhere_is_signed_out_everywhere_within_a_second() {
    let Some([one, two, three]) = three().await else { return };
    let user = one.user("user").await;
    let (there, elsewhere) = (two.again(&user), three.again(&user));
    for client in [&there, &elsewhere] {
        assert!(client.get("/api/users/currentuser").await.json()["currentUser"].is_object());
    }
    assert_eq!(user.post("/api/users/signout", serde_json::json!({})).await.status, 200);
    let begun = Instant::now();
    for client in [&there, &elsewhere] {
        eventually(
            "the session is worth nothing",
            async || client.get("/api/users/currentuser").await.json()["currentUser"].is_null(),
            |gone| *gone,
        )
        .await;
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn the_cluster_shows_who_is_there_and_what_each_runs() {
    let Some([one, mut two, _three]) = three().await else { return };
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
