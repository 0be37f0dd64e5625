//! A standby takes over from the primary behind an address that stays, while
//! users buy and sell.

use crate::support::{Bus, Client, Host, PostgresServer, Reply, Setup, eventually};
use host_test_support::Forwarder;
use http::Method;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{task::JoinHandle, time::sleep};

/// The limit of a request is 10 s, and of the wait for a connection 5 s. The
/// machine of the tests may be busy.
const LONGEST_REQUEST: Duration = Duration::from_secs(14);
/// The promise is 10 s.
const LONGEST_CHANGE: Duration = Duration::from_secs(10);

/// A primary, its standby, and the address of both. A commit waits for the
/// standby, so that no acknowledged commit is lost.
struct Pair {
    primary: PostgresServer,
    standby: PostgresServer,
    address: Forwarder,
    url: String,
}

impl Pair {
    async fn start() -> Self {
        let primary = PostgresServer::start().await;
        let url = primary.database().await;
        let standby = primary.standby().await;
        primary.execute(&["ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"]).await;
        let address = Forwarder::to(primary.port()).await;
        let url = url.replace(&primary.port().to_string(), &address.port().to_string());
        Self { primary, standby, address, url }
    }

    /// A host whose limits are the defaults.
    async fn host(&self) -> Host {
        Setup::new().impatient().in_database(&self.url).bus(Bus::Embedded).start().await
    }

    /// Makes the primary refuse writes, as the tools of a failover do.
    async fn fence_primary(&self) {
        self.primary.execute(&["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"]).await;
    }

    async fn promote(&self) {
        self.standby.execute(&["SELECT pg_promote(true, 60)"]).await;
    }
}

/// When each request began, how long it took, and its reply.
type Replies = Vec<(Instant, Duration, Reply)>;

/// Users and administrators who send requests one after another, until they are
/// stopped.
struct Load {
    stop: Arc<AtomicBool>,
    users: Vec<JoinHandle<Replies>>,
    administrators: Vec<JoinHandle<Replies>>,
}

impl Load {
    async fn start(host: &Host) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut users = Vec::new();
        for seller in host.users("seller", 3).await {
            users.push(tokio::spawn(repeat(seller, Method::POST, "/api/tickets", stop.clone())));
        }
        for _ in 0..2 {
            users.push(tokio::spawn(repeat(host.visitor(), Method::GET, "/api/tickets", stop.clone())));
        }
        let policies = repeat_with(host.operator(), stop.clone(), |_| {
            (Method::PUT, "/plugins/absent/policy", Some(json!({ "policy": { "grants": ["store"] } })))
        });
        let tokens = repeat_with(host.operator(), stop.clone(), |number| {
            let token = json!({ "name": format!("token-{number}"), "role": "view", "expires_after_seconds": 3600 });
            (Method::POST, "/tokens", Some(token))
        });
        Self { stop, users, administrators: vec![tokio::spawn(policies), tokio::spawn(tokens)] }
    }

    /// The replies to the sellers and to the readers.
    async fn end(self) -> (Replies, Replies) {
        self.stop.store(true, Ordering::Relaxed);
        for (administrator, success) in self.administrators.into_iter().zip([200, 201]) {
            check_each(&administrator.await.unwrap(), success);
        }
        let mut replies = futures::future::join_all(self.users).await.into_iter().map(Result::unwrap);
        let writes = replies.by_ref().take(3).flatten().collect();
        (writes, replies.flatten().collect())
    }

    /// Ends the load some time after the new primary takes writes, and checks that
    /// they work by then. Returns the replies like [`Load::end`].
    async fn recovers(self) -> (Replies, Replies) {
        let change = Instant::now();
        sleep(LONGEST_CHANGE + Duration::from_secs(2)).await;
        let (writes, reads) = self.end().await;
        let took = until_well(&writes, change);
        println!("writes worked again after {took:?}");
        check_each(&writes, 201);
        check_each(&reads, 200);
        assert!(took < LONGEST_CHANGE, "{took:?}");
        (writes, reads)
    }
}

async fn repeat(user: Client, method: Method, path: &'static str, stop: Arc<AtomicBool>) -> Replies {
    repeat_with(user, stop, |_| {
        let body = (method == Method::POST).then(|| json!({"title": "x", "price": 10}));
        (method.clone(), path, body)
    })
    .await
}

/// Sends the requests that `request` makes of their numbers.
async fn repeat_with(
    user: Client,
    stop: Arc<AtomicBool>,
    request: impl Fn(usize) -> (Method, &'static str, Option<Value>),
) -> Replies {
    let mut replies = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let (method, path, body) = request(replies.len());
        let begun = Instant::now();
        let reply = user.send(method, path, body).await;
        replies.push((begun, begun.elapsed(), reply));
        sleep(Duration::from_millis(20)).await;
    }
    replies
}

fn check_each(replies: &[(Instant, Duration, Reply)], success: u16) {
    let mut statuses = BTreeMap::<u16, usize>::new();
    for (_, took, reply) in replies {
        *statuses.entry(reply.status).or_default() += 1;
        assert!(*took < LONGEST_REQUEST, "{took:?}: {reply:?}");
        match reply.status {
            503 => assert!(reply.header("retry-after").is_some(), "{reply:?}"),
            status => assert_eq!(status, success, "{reply:?}"),
        }
    }
    println!("{statuses:?}");
}

/// How long after `change` no more writes failed.
fn until_well(writes: &[(Instant, Duration, Reply)], change: Instant) -> Duration {
    let failed = writes.iter().filter(|(_, _, reply)| reply.status != 201);
    failed.map(|(begun, took, _)| (*begun + *took).saturating_duration_since(change)).max().unwrap_or_default()
}

async fn readiness(host: &Host) -> Reply {
    host.outsider().get("/readyz").await
}

/// Checks that the host is well and stays so, and that it has kept everything.
async fn check_after(host: &Host, writes: &[(Instant, Duration, Reply)]) {
    eventually("the host is ready", async || readiness(host).await.status, |status| *status == 200).await;
    for _ in 0..30 {
        let ready = readiness(host).await;
        assert_eq!(ready.status, 200, "{ready:?}");
        sleep(Duration::from_millis(100)).await;
    }
    let sold: Vec<String> =
        writes.iter().filter(|(_, _, reply)| reply.status == 201).map(|(_, _, reply)| reply.ticket().id).collect();
    let listed = host.visitor().all("/api/tickets?limit=100").await;
    for id in &sold {
        assert!(listed.iter().any(|ticket| ticket["id"] == id.as_str()), "{id} is lost");
    }
    // Events go on: the component of the orders hears of the newest ticket.
    let buyer = host.user("buyer").await;
    let ordered = async || buyer.try_order(sold.last().unwrap()).await.status;
    eventually("an order of the newest ticket", ordered, |status| *status == 201).await;
    let plugins = host.operator().get("/plugins").await.json();
    assert!(!plugins.to_string().contains("quarantined\":\""), "{plugins}");
    let metrics = host.outsider().get("/metrics").await.text;
    let blamed: Vec<&str> = metrics
        .lines()
        .filter(|line| line.starts_with("plugin_failures_total") && line.contains("blame=\"guest\""))
        .filter(|line| !line.ends_with(" 0"))
        .collect();
    assert!(blamed.is_empty(), "{blamed:?}");
}

/// The address first leads to the standby, which only reads, then the standby is
/// promoted. The old primary lives and keeps its connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs PostgreSQL"]
async fn reads_go_on_and_writes_work_again_after_a_standby_is_promoted() {
    let pair = Pair::start().await;
    let host = pair.host().await;
    let load = Load::start(&host).await;
    sleep(Duration::from_secs(2)).await;
    let begun = Instant::now();
    pair.fence_primary().await;
    pair.address.lead_to(pair.standby.port());
    let not_ready = async || readiness(&host).await;
    let refusal = eventually("the host is not ready", not_ready, |ready| ready.status == 503).await;
    assert!(refusal.text.contains("only reads"), "{refusal:?}");
    for _ in 0..20 {
        assert_eq!(readiness(&host).await.status, 503, "the readiness flaps");
        sleep(Duration::from_millis(100)).await;
    }
    pair.promote().await;
    let (writes, reads) = load.recovers().await;
    // Reads fail at most while their connection changes.
    let failed_reads = reads.iter().filter(|(at, _, reply)| *at > begun && reply.status != 200).count();
    assert!(failed_reads * 10 < reads.len(), "{failed_reads} of {} reads failed", reads.len());
    check_after(&host, &writes).await;
}

/// The connections to the old primary stay and are silent.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs PostgreSQL"]
async fn silent_connections_are_found_and_blamed_on_the_database() {
    let pair = Pair::start().await;
    let host = pair.host().await;
    let load = Load::start(&host).await;
    sleep(Duration::from_secs(2)).await;
    pair.address.silence_connections();
    pair.address.lead_to(pair.standby.port());
    pair.promote().await;
    let (writes, _) = load.recovers().await;
    check_after(&host, &writes).await;
}

/// The old primary dies, and its connections break.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs PostgreSQL"]
async fn a_primary_that_dies_costs_no_acknowledged_write() {
    let mut pair = Pair::start().await;
    let host = pair.host().await;
    let load = Load::start(&host).await;
    sleep(Duration::from_secs(2)).await;
    pair.primary.stop();
    sleep(Duration::from_secs(1)).await;
    pair.address.lead_to(pair.standby.port());
    pair.promote().await;
    let (writes, _) = load.recovers().await;
    check_after(&host, &writes).await;
}
