//! Hosts whose events a broker carries: what other programs can do with it,
//! and what becomes of the marketplace when it fails.

mod cluster;
mod network;
mod outages;
mod secured;
mod start;
mod strangers;

use crate::{
    crash::{
        facts::{self, Facts, World},
        load::Load,
    },
    support::{Client, Host, Setup, eventually},
};
use rand::{SeedableRng, rngs::StdRng};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

const BUYERS: usize = 4;
/// However the broker fares, nobody waits longer for an answer.
const LONGEST_ANSWER: Duration = Duration::from_secs(20);

/// A marketplace in which people buy and sell all the time.
struct Market {
    host: Host,
    facts: Arc<Facts>,
    load: Vec<JoinHandle<()>>,
    seller: Client,
}

impl Market {
    async fn open(setup: Setup) -> Self {
        let host = setup.start().await;
        let seller = host.user("seller").await;
        let buyers = host.users("buyer", BUYERS).await;
        let facts = Arc::new(Facts::default());
        let load = buyers.into_iter().map(|buyer| {
            let (seller, facts, random) = (seller.clone(), facts.clone(), StdRng::from_rng(&mut rand::rng()));
            tokio::spawn(Load { seller, buyer, facts, random }.run())
        });
        let load = load.collect();
        let market = Self { host, facts, load, seller };
        market.goes_on().await;
        market
    }

    /// Waits until more was paid for than before.
    async fn goes_on(&self) {
        let before = self.facts.counts().paid;
        eventually("somebody pays", async || self.facts.counts().paid, |paid| *paid > before).await;
    }

    /// Somebody who sells something now is answered, and well.
    async fn can_sell(&self) {
        let begun = Instant::now();
        let reply = self.seller.try_sell("now", 10.0).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        assert!(begun.elapsed() < LONGEST_ANSWER, "{:?}", begun.elapsed());
        self.facts.ticket(&reply.id(), 0);
        assert_eq!(self.host.outsider().get("/readyz").await.status, 200, "it is ready");
    }

    /// The work of today is done, and everything is as it was told.
    async fn close(mut self) -> Host {
        self.goes_on().await;
        for task in self.load.drain(..) {
            assert!(!task.is_finished(), "somebody's connection broke");
            task.abort();
            // An answer that was not what it should be ends a task by itself.
            assert!(task.await.is_err_and(|end| end.is_cancelled()), "somebody was answered badly");
        }
        self.host.settles().await;
        let world = World::read(&self.host).await;
        self.facts.are_in(&world);
        world.is_consistent();
        facts::money_agrees(&self.host, &self.facts).await;
        assert!(self.host.dead_letters().await.is_empty());
        println!("{:?}", self.facts.counts());
        self.host
    }
}
