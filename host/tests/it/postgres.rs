//! A host on PostgreSQL without a broker: a second host on the same database,
//! another host after it, and connections that break.

use crate::support::{Bus, Host, PATIENCE, Setup, chameleon, chameleon_host, eventually, postgres};
use serde_json::json;
use std::time::{Duration, Instant};

/// A setup on this database. A single host needs no broker.
fn on(url: &str, setup: Setup) -> Setup {
    setup.in_database(url).bus(Bus::Embedded)
}

fn password(url: &str) -> &str {
    url.split(['/', '@', ':']).nth(4).unwrap()
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_second_host_needs_a_broker_and_says_so() {
    let url = postgres::new_database().await;
    let host = on(&url, Setup::new()).start().await;
    let seller = host.user("seller").await;
    let ticket = seller.sell("x", 19.99).await;
    let buyer = host.user("buyer").await;
    let order = buyer.reserve(&ticket.id).await;
    buyer.pay(&order.id).await;

    let output = on(&url, Setup::new()).output("serve").await;
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("another host uses this database") && message.contains("TICKETING_NATS_URL"), "{message}");
    assert!(output.stdout.is_empty(), "nothing is announced");
    for text in [host.log(), message] {
        assert!(!text.contains(password(&url)), "{text}");
    }
    assert_eq!(host.visitor().get("/api/tickets").await.status, 200, "the first host goes on");
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_host_with_an_empty_folder_goes_on_where_another_ended() {
    let url = postgres::new_database().await;
    let mut first = chameleon_host(on(&url, Setup::without_components())).await;
    first.operator().deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    first.operator().deploy("chameleon", chameleon("2.0.0", "red", "good")).await;
    let colour = async |host: &Host| host.visitor().get("/chameleon").await.json()["colour"].clone();
    assert_eq!(colour(&first).await, "red");
    first.stop().await;
    let second = on(&url, Setup::without_components()).start().await;
    assert_eq!(colour(&second).await, "red");
    second.operator().post("/plugins/chameleon/rollback", json!({})).await;
    assert_eq!(colour(&second).await, "green", "the database has the file of the earlier revision");
}

/// Ends every connection to the database except its own.
async fn cut_connections(url: &str) {
    let mut owner = postgres::connect(url).await.unwrap();
    let statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::raw_sql(statement).execute(&mut owner).await.unwrap();
}

/// Sells tickets for five seconds while connections break, and returns those
/// that the host acknowledged.
async fn sell_while_connections_break(host: &Host, url: &str) -> Vec<String> {
    let seller = host.user("seller").await;
    let until = Instant::now() + Duration::from_secs(5);
    let cutting = async {
        while Instant::now() < until {
            cut_connections(url).await;
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    };
    let selling = async {
        let mut sold = Vec::new();
        while Instant::now() < until {
            let reply = seller.try_sell("x", 10.0).await;
            match reply.status {
                201 => sold.push(reply.ticket().id),
                503 => assert!(reply.header("retry-after").is_some(), "{reply:?}"),
                _ => panic!("{reply:?}"),
            }
        }
        sold
    };
    futures::future::join(cutting, selling).await.1
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn broken_connections_lose_nothing_that_was_acknowledged() {
    let url = postgres::new_database().await;
    let host = on(&url, Setup::new()).start().await;
    let sold = sell_while_connections_break(&host, &url).await;
    assert!(!sold.is_empty());
    let listed = async || host.visitor().all("/api/tickets?limit=100").await;
    let all_sold =
        |listed: &Vec<serde_json::Value>| sold.iter().all(|id| listed.iter().any(|ticket| ticket["id"] == id.as_str()));
    eventually("every acknowledged ticket is there", listed, all_sold).await;
    // Events and timers go on as well.
    let buyer = host.user("buyer").await;
    let begun = Instant::now();
    let known = async || buyer.try_order(&sold[sold.len() - 1]).await.status;
    eventually("orders knows the last ticket", known, |status| *status == 201).await;
    assert!(begun.elapsed() < PATIENCE);
}
