//! The marketplace on PostgreSQL and NATS JetStream: the latency of an event,
//! purchases on three hosts that share one machine, and purchases while one of
//! three hosts is killed.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use host_test_support::{NatsServer, PostgresServer};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::client::Connection;
use crate::latency::{self, Latency};
use crate::load::{Comparison, Effort};
use crate::native::Data;
use crate::payments::{self, Answers};
use crate::purchase::{self, BUYERS, Pace, compare, compare_busy_and_not};
use crate::server::{Server, Setup};

/// Between the start of the hosts and the measurement, so that they are idle.
const SETTLE: Duration = Duration::from_secs(2);
/// Between the end of the killed host and its new start.
const AWAY: Duration = Duration::from_secs(1);

/// The servers that hosts share.
pub(crate) struct Services {
    postgres: PostgresServer,
    nats: NatsServer,
}

impl Services {
    pub(crate) async fn start() -> Self {
        Self { postgres: PostgresServer::start().await, nats: NatsServer::start() }
    }

    /// The URL of a new database.
    pub(crate) async fn database(&self) -> String {
        self.postgres.database().await
    }

    /// The settings of a host on this database. The names of its streams begin with the prefix.
    pub(crate) fn setup(&self, database: &str, prefix: &str) -> Result<Setup> {
        Ok(Setup::new(&format!("[messaging.nats]\nsubject_prefix = {prefix:?}\n"))?.with([
            ("TICKETING_DATABASE_URL", database.to_owned()),
            ("TICKETING_NATS_URL", self.nats.url()),
            ("JWT_KEY", "the key that signs the sessions of all these hosts".to_owned()),
        ]))
    }

    /// Starts hosts that share a new database and streams of their own.
    async fn hosts(&self, count: usize, prefix: &str) -> Result<(Vec<Setup>, Vec<Server>)> {
        let database = self.database().await;
        let (mut setups, mut hosts) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let setup = self.setup(&database, prefix)?;
            hosts.push(setup.start().await?);
            setups.push(setup);
        }
        tokio::time::sleep(SETTLE).await;
        Ok((setups, hosts))
    }
}

/// The latency from the answer to `POST /api/orders` to the ticket that shows
/// its holder.
pub(crate) async fn event_latency(effort: Effort) -> Result<Latency> {
    let services = Services::start().await;
    let (_setups, mut hosts) = services.hosts(1, "latency").await?;
    latency::of(hosts.pop().context("no host")?, effort).await
}

/// The time of the answer to a payment.
pub(crate) async fn payment_answers(effort: Effort) -> Result<Answers> {
    let services = Services::start().await;
    let (_setups, mut hosts) = services.hosts(1, "payments").await?;
    payments::of(hosts.pop().context("no host")?, effort).await
}

/// Purchases on one host and on three: first as many as the hosts can serve,
/// then half as many.
pub(crate) async fn three_hosts(effort: Effort) -> Result<(Comparison, Pace)> {
    let services = Services::start().await;
    let (_one, one) = services.hosts(1, "one").await?;
    let (_three, three) = services.hosts(3, "three").await?;
    compare_busy_and_not(one, three, effort).await
}

/// Purchases on a native program and on one host.
pub(crate) async fn purchase(effort: Effort) -> Result<Comparison> {
    let services = Services::start().await;
    let data = Data::Services(services.postgres.database().await, services.nats.url());
    let native = Server::native("purchase", &data).await?;
    let (_setups, hosts) = services.hosts(1, "purchase").await?;
    compare(vec![native], hosts, effort).await
}

/// Purchases on two builds of the host.
pub(crate) async fn builds(other: &Path, effort: Effort) -> Result<Comparison> {
    let services = Services::start().await;
    let other = services.setup(&services.database().await, "other")?.of_build(other);
    let this = services.setup(&services.database().await, "this")?;
    compare(vec![other.start().await?], vec![this.start().await?], effort).await
}

/// Purchases while one of three hosts was killed and came back.
#[derive(Clone, Copy, Default)]
pub(crate) struct Outcomes {
    pub(crate) made: usize,
    /// On the hosts that went on.
    pub(crate) failed: usize,
    /// On the killed host when it was killed.
    pub(crate) cut_off: usize,
    /// On the killed host after its return.
    pub(crate) after_return: usize,
}

/// The hosts that a load balancer sends requests to, and the outcomes.
struct Balancer {
    hosts: Vec<SocketAddr>,
    tickets: Vec<String>,
    returned: Option<SocketAddr>,
    outcomes: Outcomes,
}

/// Lets all buyers buy on three hosts. One host is killed when a third of the
/// tickets is sold, and starts again.
pub(crate) async fn one_is_killed(effort: Effort) -> Result<Outcomes> {
    let services = Services::start().await;
    let (setups, mut hosts) = services.hosts(3, "killed").await?;
    let first = hosts.first().context("no host")?.address;
    let count = 3 * effort.purchases;
    let tickets = purchase::offer(first, count).await?;
    let balancer = Arc::new(Mutex::new(Balancer {
        hosts: hosts.iter().map(|host| host.address).collect(),
        tickets,
        returned: None,
        outcomes: Outcomes::default(),
    }));
    let mut buyers = JoinSet::new();
    for buyer in 0..BUYERS {
        buyers.spawn(buy_all(balancer.clone(), buyer));
    }
    while locked(&balancer, |balancer| balancer.tickets.len()) > count * 2 / 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The first host relays the events and fires the timers.
    let victim = hosts.swap_remove(0);
    locked(&balancer, |balancer| balancer.hosts.retain(|host| *host != first));
    victim.stop().await?;
    tokio::time::sleep(AWAY).await;
    let again = setups.first().context("no host")?.start().await?;
    locked(&balancer, |balancer| {
        balancer.hosts.push(again.address);
        balancer.returned = Some(again.address);
    });
    hosts.push(again);
    buyers.join_all().await.into_iter().collect::<Result<Vec<()>>>()?;
    let outcomes = locked(&balancer, |balancer| balancer.outcomes);
    ensure!(outcomes.after_return > 0, "all tickets were sold before the host was back");
    for host in hosts {
        host.stop().await?;
    }
    Ok(outcomes)
}

/// Buys until all tickets are sold, and switches to another host if one is gone.
async fn buy_all(balancer: Arc<Mutex<Balancer>>, buyer: usize) -> Result<()> {
    let mut connection: Option<(SocketAddr, Connection)> = None;
    let next = |balancer: &mut Balancer| {
        let host = balancer.hosts.get(buyer % balancer.hosts.len().max(1)).copied();
        host.zip(balancer.tickets.pop())
    };
    while let Some((host, ticket)) = locked(&balancer, next) {
        let bought = async {
            let (_, open) = match connection.take().filter(|(known, _)| *known == host) {
                Some(open) => connection.insert(open),
                None => connection.insert((host, Connection::open(host).await?)),
            };
            purchase::purchase(open, buyer, &ticket).await
        };
        let bought = bought.await;
        if let Err(error) = &bought {
            connection = None;
            if locked(&balancer, |balancer| balancer.hosts.contains(&host)) {
                eprintln!("a purchase failed on a host that was there: {error:#}");
            }
        }
        locked(&balancer, |balancer| balancer.note(host, bought.is_ok()));
    }
    Ok(())
}

impl Balancer {
    fn note(&mut self, host: SocketAddr, bought: bool) {
        let outcomes = &mut self.outcomes;
        match (bought, self.hosts.contains(&host)) {
            (true, _) => {
                outcomes.made += 1;
                outcomes.after_return += usize::from(self.returned == Some(host));
            }
            (false, true) => outcomes.failed += 1,
            (false, false) => outcomes.cut_off += 1,
        }
    }
}

fn locked<T>(balancer: &Mutex<Balancer>, work: impl FnOnce(&mut Balancer) -> T) -> T {
    work(&mut balancer.lock())
}
