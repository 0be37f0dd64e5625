//! What buyers and operators notice of a plugin that attacks the host. Each
//! attack gets a host of its own, with the market and the hostile guest. While
//! it lasts, buyers list tickets and buy, and an operator lists the plugins. The
//! operator then pauses and removes the attacker, which goes on attacking. All
//! attacks run on SQLite, and again on PostgreSQL with JetStream.

mod scripts;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::attacks::scripts::{Act, Attack, Step};
use crate::client::{Connection, request};
use crate::cluster::Services;
use crate::load::{Effort, quantile};
use crate::operator::{Operator, PluginFile};
use crate::purchase;
use crate::server::{Server, Setup};

/// After this time a request counts as failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// The host is idle after this time.
const SETTLE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);
/// How long a client that does not read stays.
const DEAF: Duration = Duration::from_secs(3);
/// An attack takes this number of rounds of a benchmark.
const ROUNDS: u32 = 4;
/// More than buyers can buy meanwhile.
const TICKETS: usize = 400;

/// What was seen during one attack.
pub(crate) struct Outcome {
    pub(crate) attack: String,
    /// Of the host and its children, above the idle host.
    pub(crate) memory_mib: f64,
    pub(crate) lists: usize,
    pub(crate) list_p99_ms: f64,
    pub(crate) purchases: usize,
    /// A sign-in and a purchase.
    pub(crate) longest_purchase_s: f64,
    /// Of buyers, with the reason of the last one.
    pub(crate) failed: usize,
    pub(crate) reason: String,
    pub(crate) longest_action_s: f64,
}

/// Requests of one kind, one after another.
#[derive(Default)]
struct Seen {
    seconds: Vec<f64>,
    failed: usize,
    reason: String,
}

impl Seen {
    async fn add(&mut self, request: impl Future<Output = Result<()>>) -> bool {
        let begun = Instant::now();
        let result = timeout(PATIENCE, request).await.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer")));
        self.seconds.push(begun.elapsed().as_secs_f64());
        if let Err(error) = &result {
            self.failed += 1;
            self.reason = format!("{error:#}");
        }
        result.is_ok()
    }

    fn longest(&self) -> f64 {
        self.seconds.iter().copied().fold(0.0, f64::max)
    }
}

/// Runs one attack after another, on each engine.
pub(crate) async fn measure(effort: Effort) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for attack in scripts::attacks()? {
        outcomes.push(one(&attack, attack.what.to_owned(), None, effort).await?);
        let services = Services::start().await;
        let name = format!("{}, on PostgreSQL", attack.what);
        outcomes.push(one(&attack, name, Some(services), effort).await?);
    }
    Ok(outcomes)
}

/// Runs one attack, on SQLite or on these servers.
async fn one(attack: &Attack, name: String, services: Option<Services>, effort: Effort) -> Result<Outcome> {
    let outcome = under(attack, services.as_ref(), effort).await.with_context(|| name.clone())?;
    eprintln!("{name}: {} purchases, {:.0} MiB", outcome.purchases, outcome.memory_mib);
    Ok(Outcome { attack: name, ..outcome })
}

async fn under(attack: &Attack, services: Option<&Services>, effort: Effort) -> Result<Outcome> {
    let setup = match services {
        Some(services) => services.setup(&services.database().await, "attacked")?,
        None => Setup::new("")?,
    };
    let host = setup.start().await?;
    let tickets = purchase::offer(host.address, TICKETS).await?;
    let mut operator = Operator::open(host.operator, &setup.folder().join("data")).await?;
    let token = install(&mut operator).await?;
    sleep(SETTLE).await;
    let idle = host.family_mib()?;
    let mut attackers = begin(attack, &host, &token);
    let end = Instant::now() + effort.round * ROUNDS;
    let (memory, lists, purchases, actions) = tokio::join!(
        most_memory(&host, end),
        list(host.address, end),
        buy(host.address, &tickets, end),
        operate(&mut operator, end)
    );
    attackers.abort_all();
    ensure!(actions.failed == 0, "an operator's action failed: {}", actions.reason);
    let most = memory?.max(host.peak_mib()?);
    let outcome = Outcome {
        attack: attack.what.to_owned(),
        memory_mib: most - idle,
        lists: lists.seconds.len(),
        list_p99_ms: quantile(&mut lists.seconds.clone(), 0.99)? * 1_000.0,
        purchases: purchases.seconds.len(),
        longest_purchase_s: purchases.longest(),
        failed: lists.failed + purchases.failed,
        reason: [lists.reason, purchases.reason].concat(),
        longest_action_s: actions.longest(),
    };
    host.stop().await?;
    Ok(outcome)
}

/// Installs the hostile guest with as much as an administrator would allow it,
/// and returns a token of its author.
async fn install(operator: &mut Operator) -> Result<String> {
    let limits = json!({ "concurrency": 64, "queue": 512, "memory_mib": 128, "response_bytes": 8 << 20 });
    let policy = json!({ "policy": { "grants": ["store"], "limits": limits } });
    operator.call("PUT", "/plugins/hostile/policy", &policy.to_string()).await?.expect(200)?;
    operator.deploy("hostile", &PluginFile::guest("hostile")?).await?;
    operator.call("PUT", "/plugins/hostile/limits", &limits.to_string()).await?.expect(200)?;
    let token = json!({ "name": "author", "role": "deploy", "plugins": ["hostile"] }).to_string();
    let answer: serde_json::Value = operator.call("POST", "/tokens", &token).await?.json(201)?;
    Ok(answer.get("token").and_then(serde_json::Value::as_str).context("a token")?.to_owned())
}

/// Starts the attackers. They go on until they are aborted.
fn begin(attack: &Attack, host: &Server, token: &str) -> JoinSet<()> {
    let mut attackers = JoinSet::new();
    for act in &attack.acts {
        match act {
            Act::Requests { clients, requests } => {
                for client in 0..*clients {
                    attackers.spawn(send_without_end(host.address, requests.clone(), client));
                }
            }
            Act::Deaf { clients, request } => {
                for _ in 0..*clients {
                    attackers.spawn(send_without_reading(host.address, request.clone()));
                }
            }
            Act::Operator(steps) => {
                attackers.spawn(operate_without_end(host.operator, token.to_owned(), steps.clone()));
            }
        }
    }
    attackers
}

async fn send_without_end(address: SocketAddr, requests: Vec<Vec<u8>>, first: usize) {
    loop {
        // A connection that the host has closed is opened again.
        let Ok(mut connection) = Connection::open(address).await else {
            sleep(PAUSE).await;
            continue;
        };
        for request in requests.iter().cycle().skip(first) {
            if connection.send(request).await.is_err() {
                break;
            }
        }
        sleep(PAUSE).await;
    }
}

async fn send_without_reading(address: SocketAddr, request: Vec<u8>) {
    loop {
        if let Ok(mut connection) = Connection::open(address).await {
            // It fails when the host drops the client.
            let _ = connection.send_only(&request).await;
            sleep(DEAF).await;
        }
        sleep(PAUSE).await;
    }
}

async fn operate_without_end(address: SocketAddr, token: String, steps: Vec<Step>) {
    loop {
        if let Ok(mut operator) = Operator::with_token(address, &token).await {
            for step in &steps {
                // The host refuses most steps.
                let _ = match step {
                    Step::Upload(file) => operator.upload(file).await.map(drop),
                    Step::Call(method, path, body) => operator.call(method, path, body).await.map(drop),
                };
            }
        }
        sleep(PAUSE).await;
    }
}

async fn most_memory(host: &Server, end: Instant) -> Result<f64> {
    let mut most = 0.0_f64;
    while Instant::now() < end {
        most = most.max(host.family_mib()?);
        sleep(PAUSE).await;
    }
    Ok(most)
}

async fn list(address: SocketAddr, end: Instant) -> Seen {
    let (mut seen, mut connection) = (Seen::default(), None);
    while Instant::now() < end {
        let answered = seen.add(async {
            let connection = kept(&mut connection, address).await?;
            connection.send(&request("GET", "/api/tickets", None, None)).await?.expect(200)
        });
        if !answered.await {
            connection = None;
        }
        sleep(PAUSE).await;
    }
    seen
}

async fn buy(address: SocketAddr, tickets: &[String], end: Instant) -> Seen {
    let (mut seen, mut connection) = (Seen::default(), None);
    for ticket in tickets {
        if Instant::now() >= end {
            break;
        }
        let bought =
            seen.add(async { purchase::purchase(kept(&mut connection, address).await?, 0, ticket).await }).await;
        if !bought {
            connection = None;
        }
    }
    seen
}

async fn kept(connection: &mut Option<Connection>, address: SocketAddr) -> Result<&mut Connection> {
    if connection.is_none() {
        *connection = Some(Connection::open(address).await?);
    }
    connection.as_mut().context("no connection")
}

async fn operate(operator: &mut Operator, end: Instant) -> Seen {
    let mut seen = Seen::default();
    while Instant::now() < end {
        seen.add(act(operator, "GET", "/plugins")).await;
        sleep(5 * PAUSE).await;
    }
    seen.add(act(operator, "POST", "/plugins/hostile/pause")).await;
    seen.add(act(operator, "DELETE", "/plugins/hostile")).await;
    seen
}

async fn act(operator: &mut Operator, method: &str, path: &str) -> Result<()> {
    let status = operator.call(method, path, "").await?.status;
    ensure!((200..300).contains(&status), "{method} {path}: {status}");
    Ok(())
}
