//! Hosts on NATS JetStream: the marketplace while the broker fails, and other
//! programs on the same broker.

mod cluster;
mod interference;
mod network;
mod other_programs;
mod outages;
mod secured;
mod start;

use crate::support::{Acknowledged, Client, Host, Load, Setup};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const BUYERS: usize = 4;
/// No request may take longer, whatever the state of the broker.
const LONGEST_ANSWER: Duration = Duration::from_secs(20);

/// A host under load.
struct Market {
    host: Host,
    acknowledged: Arc<Acknowledged>,
    loads: Vec<Load>,
    seller: Client,
}

impl Market {
    async fn open(setup: Setup) -> Self {
        let host = setup.start().await;
        let seller = host.user("seller").await;
        let buyers = host.users("buyer", BUYERS).await;
        let acknowledged = Arc::new(Acknowledged::default());
        let loads = buyers.iter().map(|buyer| Load::start(&host, &seller, buyer, &acknowledged)).collect();
        let market = Self { host, acknowledged, loads, seller };
        market.goes_on().await;
        market
    }

    /// Waits until one more order is paid, which takes events of all components.
    async fn goes_on(&self) {
        self.acknowledged.more_are_paid(1).await;
    }

    /// Asserts that the host accepts a new ticket in time.
    async fn can_sell(&self) {
        let begun = Instant::now();
        let reply = self.seller.try_sell("now", 10.0).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        assert!(begun.elapsed() < LONGEST_ANSWER, "{:?}", begun.elapsed());
        self.acknowledged.record_ticket(&reply.id(), 0);
        assert_eq!(self.host.outsider().get("/readyz").await.status, 200, "the host is ready");
    }

    /// Ends the load and asserts that nothing acknowledged is lost.
    async fn close(self) -> Host {
        self.goes_on().await;
        for load in self.loads {
            load.stop().await;
        }
        self.acknowledged.is_whole_on(&self.host).await;
        println!("{:?}", self.acknowledged.counts());
        self.host
    }
}
