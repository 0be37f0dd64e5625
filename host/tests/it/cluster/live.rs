//! Live events reach the listeners of every host.

use super::{joined, knows_all, named};
use crate::support::{Host, NatsServer, Setup, postgres, radio};
use serde_json::json;

async fn three_radios() -> [Host; 3] {
    let url = postgres::new_database().await;
    let setup = joined(Setup::without_components(), &url, &NatsServer::shared().url());
    let hosts = Setup::start_all(named(&setup)).await;
    knows_all(&hosts[0]).await;
    let operator = hosts[0].operator();
    operator.allow("radio", json!({ "grants": ["store"] })).await;
    operator.deploy("radio", radio("1.0.0", "green").bytes()).await;
    hosts
}

#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn an_event_reaches_the_listeners_of_every_host_in_one_order() {
    let hosts = three_radios().await;
    let mut listening = Vec::new();
    for host in &hosts {
        listening.push(host.visitor().listen("a").await.1);
    }
    let visitors: Vec<_> = hosts.iter().map(Host::visitor).collect();
    let sending = visitors.iter().enumerate().map(|(host, visitor)| async move {
        for number in 0..20 {
            visitor.tell("a", &format!("{host} {number}")).await;
        }
    });
    futures::future::join_all(sending).await;
    let mut told = Vec::new();
    for one in &mut listening {
        told.push(one.data(60).await);
    }
    assert!(told.iter().all(|data| *data == told[0]), "{told:?}");
    for host in 0..3 {
        let of_host = told[0].iter().filter(|data| data.starts_with(&format!("{host} ")));
        assert!(of_host.eq(&(0..20).map(|number| format!("{host} {number}")).collect::<Vec<_>>()));
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn a_client_of_a_host_that_dies_goes_on_at_another_one() {
    let mut hosts = three_radios().await;
    let sender = hosts[1].visitor();
    let (_, mut listening) = hosts[0].visitor().listen("a").await;
    sender.tell("a", "one").await;
    assert_eq!(listening.data(1).await, ["one"]);
    hosts[0].kill().await;
    sender.tell("a", "two").await;
    assert_eq!(listening.next().await, None);
    // The other host has no listener, so it has read nothing yet.
    let mut back = hosts[2].visitor().listen_after(&listening.last_id, "a").await;
    sender.tell("a", "three").await;
    assert_eq!(back.data(2).await, ["two", "three"]);
}
