//! Two hosts behind a balancer, and one of them is lost.

use super::{Kind, ReverseProxy, TRUSTED};
use crate::support::{Bus, Client, Host, NatsServer, Setup, eventually, postgres, unique};
use http::Method;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

async fn two() -> [Host; 2] {
    let database = postgres::new_database().await;
    let setup = Setup::new().http(TRUSTED).in_database(&database).bus(Bus::jetstream(&NatsServer::shared().url()));
    Setup::start_all(["one", "two"].map(|name| setup.beside().variable("TICKETING_HOST_NAME", name))).await
}

/// Visitors who look at pages, and count the answers other than 200.
struct Readers {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Readers {
    fn start(proxy: &ReverseProxy) -> Self {
        let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let task = |number: usize| {
            let (visitor, stop, served) = (proxy.visitor(number.is_multiple_of(2)), stop.clone(), served.clone());
            tokio::spawn(async move {
                let mut failures = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let path = if number < 2 { "/api/tickets" } else { "/" };
                    match visitor.attempt(Method::GET, path, None).await {
                        Some(reply) if reply.status == 200 => drop(served.fetch_add(1, Ordering::Relaxed)),
                        other => failures.push(format!("{path}: {other:?}")),
                    }
                }
                failures
            })
        };
        let tasks = (0..4).map(task).collect();
        Self { stop, served, tasks }
    }

    /// Waits for some more answers.
    async fn read_on(&self) {
        let before = self.served.load(Ordering::Relaxed);
        let served = async || self.served.load(Ordering::Relaxed) - before;
        eventually("visitors get answers", served, |served| *served >= 100).await;
    }

    async fn failures(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        futures::future::join_all(self.tasks).await.into_iter().flat_map(Result::unwrap).collect()
    }
}

/// A purchase that nothing disturbs.
async fn buys(seller: &Client, buyer: &Client) {
    let ticket = seller.sell("Opera", 20.0).await;
    let order = buyer.reserve(&ticket.id).await;
    buyer.pay(&order.id).await;
}

async fn user(proxy: &ReverseProxy, name: &str) -> Client {
    let mut user = proxy.visitor(true);
    user.sign_up(&unique(name)).await;
    user
}

async fn visitors_do_not_notice_the_end_of_a_host(kind: Kind, is_killed: bool) {
    let [one, mut other] = two().await;
    let proxy = ReverseProxy::before_both(kind, [&one, &other]).await;
    let (seller, buyer) = (user(&proxy, "seller").await, user(&proxy, "buyer").await);
    buys(&seller, &buyer).await;
    let readers = Readers::start(&proxy);
    readers.read_on().await;
    match is_killed {
        true => other.kill().await,
        false => other.stop().await,
    }
    readers.read_on().await;
    assert_eq!(readers.failures().await, [""; 0], "{kind:?}");
    buys(&seller, &buyer).await;
    assert_eq!(buyer.get("/api/orders").await.json().as_array().unwrap().len(), 2);
}

#[tokio::test]
#[ignore = "needs PostgreSQL, NATS, nginx and HAProxy"]
async fn visitors_of_nginx_do_not_notice_that_a_host_is_killed() {
    visitors_do_not_notice_the_end_of_a_host(Kind::Nginx, true).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL, NATS, nginx and HAProxy"]
async fn visitors_of_haproxy_do_not_notice_that_a_host_is_killed() {
    visitors_do_not_notice_the_end_of_a_host(Kind::Haproxy, true).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL, NATS, nginx and HAProxy"]
async fn visitors_of_nginx_do_not_notice_that_a_host_stops() {
    visitors_do_not_notice_the_end_of_a_host(Kind::Nginx, false).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL, NATS, nginx and HAProxy"]
async fn visitors_of_haproxy_do_not_notice_that_a_host_stops() {
    visitors_do_not_notice_the_end_of_a_host(Kind::Haproxy, false).await;
}

/// Hosts without common state, so that the one that answers can be told by its answer.
#[tokio::test]
#[ignore = "needs nginx and HAProxy"]
async fn haproxy_sends_requests_to_ready_hosts_alone() {
    let hosts = [Setup::new(), Setup::new()].map(|setup| setup.http(TRUSTED));
    let [one, mut other] = Setup::start_all(hosts).await;
    let proxy = ReverseProxy::before_both(Kind::Haproxy, [&one, &other]).await;
    one.user("anna").await.sell("Of one", 10.0).await;
    let is_one = async || proxy.visitor(true).get("/api/tickets").await.text.contains("Of one");
    eventually("the other host answers too", is_one, |is_one| !is_one).await;
    other.stop().await;
    eventually(
        "HAProxy knows that the other host is away",
        async || proxy.log(),
        |log| log.contains("hosts/host-2 is DOWN"),
    )
    .await;
    for _ in 0..10 {
        assert!(is_one().await);
    }
}
