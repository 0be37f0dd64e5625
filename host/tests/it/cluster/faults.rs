//! Hosts that die, and a database that goes away and comes back, while people
//! buy on all of them.

use super::{joined, knows_all, named};
use crate::{
    crash::{
        facts::{self, Facts, World},
        load::Load,
    },
    support::{Client, Host, NatsServer, PostgresServer, Setup, eventually, postgres},
};
use rand::{SeedableRng, rngs::StdRng};
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;

const BUYERS: usize = 3;

pub(crate) fn load(host: &Host, seller: &Client, buyer: &Client, facts: &Arc<Facts>) -> JoinHandle<()> {
    let (seller, buyer, facts) = (host.again(seller), host.again(buyer), facts.clone());
    tokio::spawn(Load { seller, buyer, facts, random: StdRng::from_rng(&mut rand::rng()) }.run())
}

/// Whatever this host is asked for is done, by whichever host: events are
/// carried, and the money is taken by a timer.
pub(super) async fn serves(host: &Host) {
    let order = host.makes_a_sale().await;
    host.ledger().await.takes(&order, 1_000).await;
}

pub(crate) async fn is_whole(host: &Host, facts: &Facts) {
    host.settles().await;
    let world = World::read(host).await;
    facts.are_in(&world);
    world.is_consistent();
    facts::money_agrees(host, facts).await;
    assert!(host.dead_letters().await.is_empty());
}

#[tokio::test]
async fn hosts_that_are_killed_under_load_lose_nothing_and_hold_up_nobody() {
    let Some(mut hosts) = super::three().await else { return };
    let seller = hosts[0].user("seller").await;
    let buyers = hosts[0].users("buyer", BUYERS).await;
    let facts = Arc::new(Facts::default());
    let mut loads: Vec<JoinHandle<()>> = Vec::new();
    for (host, buyer) in hosts.iter().zip(&buyers) {
        loads.push(load(host, &seller, buyer, &facts));
    }
    for (round, victim) in [2, 1, 2, 1].into_iter().enumerate() {
        let paid = facts.counts().paid;
        hosts[victim].kill().await;
        // Its buyer's connection broke; the others notice nothing.
        eventually("others pay", async || facts.counts().paid, |now| *now > paid + 2).await;
        assert!(!loads[0].is_finished(), "round {round}: the host that lives has failed somebody");
        hosts[victim].start_again().await;
        loads.push(load(&hosts[victim], &seller, &buyers[victim], &facts));
    }
    for task in loads {
        task.abort();
        assert!(task.await.err().is_none_or(|end| end.is_cancelled()), "somebody was answered badly");
    }
    is_whole(&hosts[0], &facts).await;
    knows_all(&hosts[0]).await;
}

/// It carried all events and fired all timers, because it was there first.
#[tokio::test]
async fn a_host_that_stands_still_holds_up_nobody() {
    let Some(url) = postgres::database().await else { return };
    let setup = joined(Setup::new(), &url, &NatsServer::shared().url());
    let first = setup.start().await;
    let second = setup.beside().start().await;
    let seller = second.user("seller").await;
    serves(&second).await;
    // One that stops in the middle of a transaction holds up the component
    // until the database ends that.
    second.settles().await;
    first.signal("STOP").await;
    let ticket = seller.sell("x", 10.0).await;
    seller.wait_until_known_to_orders(&ticket.id).await;
    serves(&second).await;
    first.signal("CONT").await;
    serves(&first).await;
    serves(&second).await;
}

#[tokio::test]
async fn a_database_that_is_restarted_under_load_loses_nothing() {
    let Some(mut server) = PostgresServer::start().await else { return };
    let url = server.database().await;
    let setup = joined(Setup::new().impatient(), &url, &NatsServer::shared().url());
    let hosts = Setup::start_all(named(&setup)).await;
    knows_all(&hosts[0]).await;
    let seller = hosts[0].user("seller").await;
    let buyers = hosts[0].users("buyer", BUYERS).await;
    let facts = Arc::new(Facts::default());
    let loads: Vec<_> = hosts.iter().zip(&buyers).map(|(host, buyer)| load(host, &seller, buyer, &facts)).collect();
    for away in [Duration::ZERO, Duration::from_secs(4)] {
        eventually("people pay", async || facts.counts().paid, |paid| *paid > 2).await;
        server.stop();
        tokio::time::sleep(away).await;
        for host in &hosts {
            let reply = host.again(&seller).get("/api/tickets").await;
            assert!([200, 503].contains(&reply.status), "{reply:?}");
        }
        server.start_again().await;
        let before = facts.counts().paid;
        eventually("people pay again", async || facts.counts().paid, |paid| *paid > before + 2).await;
    }
    for task in loads {
        task.abort();
        assert!(task.await.err().is_none_or(|end| end.is_cancelled()), "somebody was answered badly");
    }
    knows_all(&hosts[0]).await;
    is_whole(&hosts[0], &facts).await;
}
