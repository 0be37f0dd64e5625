//! Whichever host is asked, the answer is the same.

use super::{hosts, joined, named, three};
use crate::support::{NatsServer, Setup, Status, eventually, postgres};
use futures::future::join_all;
use sqlx::postgres::PgListener;
use std::time::{Duration, Instant};
use tokio::time::timeout;

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
        let mut told = Vec::new();
        while let Ok(word) = timeout(Duration::from_millis(300), words.recv()).await {
            told.push(word.unwrap().payload().to_owned());
        }
        told
    };
    // Until one of them carries, the database tells of all.
    let of_no_outbox = |told: &Vec<String>| !told.iter().any(|word| word.contains(" outbox "));
    eventually("the database tells of no outbox", told, of_no_outbox).await;
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
