//! The marketplace on PostgreSQL and NATS JetStream: how long an event takes,
//! and what three hosts do on the machine of one.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::latency::{self, Latency};
use crate::load::{Comparison, Effort};
use crate::native::Data;
use crate::nats::NatsServer;
use crate::postgres::OwnServer;
use crate::purchase::compare;
use crate::server::{Server, Setup};

/// Hosts that beat and listen, and do nothing else, before they are measured.
const SETTLE: Duration = Duration::from_secs(2);

/// The servers that hosts share.
struct Services {
    postgres: OwnServer,
    nats: NatsServer,
}

impl Services {
    async fn start() -> Result<Self> {
        let postgres = OwnServer::start().await.context("PostgreSQL is left out: TICKETING_TESTS_EMBEDDED is set")?;
        Ok(Self { postgres, nats: NatsServer::start() })
    }

    /// Hosts that share a database and streams of their own.
    async fn hosts(&self, count: usize, prefix: &str) -> Result<(Vec<Setup>, Vec<Server>)> {
        let database = self.postgres.database().await;
        let (mut setups, mut hosts) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let setup = Setup::new(&format!("[messaging.nats]\nsubject_prefix = {prefix:?}\n"))?.with([
                ("TICKETING_DATABASE_URL", database.clone()),
                ("TICKETING_NATS_URL", self.nats.url()),
                ("JWT_KEY", "the key that signs the sessions of all these hosts".to_owned()),
            ]);
            hosts.push(setup.start().await?);
            setups.push(setup);
        }
        tokio::time::sleep(SETTLE).await;
        Ok((setups, hosts))
    }
}

/// From the answer to `POST /api/orders` to the ticket that shows its holder.
pub(crate) async fn event_latency(effort: Effort) -> Result<Latency> {
    let services = Services::start().await?;
    let (_setups, mut hosts) = services.hosts(1, "latency").await?;
    latency::of(hosts.pop().context("no host")?, effort).await
}

/// Purchases on one host, and on three.
pub(crate) async fn three_hosts(effort: Effort) -> Result<Comparison> {
    let services = Services::start().await?;
    let (_one, one) = services.hosts(1, "one").await?;
    let (_three, three) = services.hosts(3, "three").await?;
    compare(one, three, effort).await
}

/// Purchases by a native program, and on one host.
pub(crate) async fn purchase(effort: Effort) -> Result<Comparison> {
    let services = Services::start().await?;
    let data = Data::Services(services.postgres.database().await, services.nats.url());
    let native = Server::native("purchase", &data).await?;
    let (_setups, hosts) = services.hosts(1, "purchase").await?;
    compare(vec![native], hosts, effort).await
}
