//! Hosts between which and a server the network is bad, while the others'
//! is not.

use super::{
    faults::{self, serves},
    joined, knows_all, named, right_to_carry,
};
use crate::{
    crash::facts::Facts,
    support::{NatsServer, Proxy, Reply, Setup, Status, Way, eventually, postgres},
};
use futures::future::join_all;
use sqlx::{Connection, postgres::PgConnectOptions};
use std::{
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

/// For one portion of bytes. A statement and its answer are two.
const DELAY: Duration = Duration::from_millis(100);
/// However slow the database is, nobody waits longer for an answer.
const LONGEST_ANSWER: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_host_that_is_cut_off_from_the_broker_goes_on_and_holds_up_nobody() {
    let Some(url) = postgres::database().await else { return };
    let server = NatsServer::start();
    let setup = joined(Setup::new(), &url, &server.url());
    let proxies =
        [Proxy::before(server.port()).await, Proxy::before(server.port()).await, Proxy::before(server.port()).await];
    let [one, two, three] = named(&setup);
    let [to_one, to_two, to_three] = proxies.each_ref().map(Proxy::url);
    let hosts = Setup::start_all([one.bus_at(&to_one), two.bus_at(&to_two), three.bus_at(&to_three)]).await;
    knows_all(&hosts[0]).await;
    let seller = hosts[0].user("seller").await;
    let buyers = hosts[0].users("buyer", hosts.len()).await;
    let facts = Arc::new(Facts::default());
    let loads: Vec<_> =
        hosts.iter().zip(&buyers).map(|(host, buyer)| faults::load(host, &seller, buyer, &facts)).collect();
    // Each of them once, as each carries events of some components.
    for (host, proxy) in hosts.iter().zip(&proxies) {
        let readiness = async || host.outsider().get("/readyz").await;
        proxy.set(Way::Cut);
        let told = |reply: &Reply| reply.text.contains("the event bus is out of reach");
        let cut = eventually("it says that it is cut off", readiness, told).await;
        assert_eq!(cut.status, 200, "what it does not carry, others do: {cut:?}");
        for host in &hosts {
            serves(host).await;
        }
        proxy.set(Way::Open);
        eventually("it is as before", readiness, |reply| reply.text == "ready\n").await;
        serves(host).await;
    }
    for task in loads {
        assert!(!task.is_finished(), "somebody's connection broke");
        task.abort();
        assert!(task.await.is_err_and(|end| end.is_cancelled()), "somebody was answered badly");
    }
    faults::is_whole(&hosts[0], &facts).await;
}

/// The control: were the right to carry a component's events kept by somebody
/// who carries none, as a host that is cut off would if it did not give it up,
/// they would wait for as long, and nothing but they.
#[tokio::test]
async fn events_wait_for_as_long_as_the_right_to_carry_them_is_kept() {
    let Some(url) = postgres::database().await else { return };
    let keeper = right_to_carry::keep(&url, "orders").await;
    let setup = joined(Setup::new(), &url, &NatsServer::shared().url());
    let [one, two] = Setup::start_all([setup.clone(), setup.beside()]).await;
    let (seller, buyer) = (one.user("seller").await, two.user("buyer").await);
    let ticket = seller.sell("x", 10.0).await;
    let order = buyer.reserve(&ticket.id).await;
    // Those of other components are on their way again and again.
    for _ in 0..3 {
        seller.sell("y", 10.0).await;
    }
    let outbox = one.database("components/orders.db").await;
    assert_eq!(outbox.number("SELECT count(*) FROM host_outbox").await, 1);
    assert_eq!(seller.ticket(&ticket.id).await.order_id, None);
    keeper.close().await.unwrap();
    seller.ticket_when("it is reserved", &ticket.id, |ticket| ticket.order_id.as_ref() == Some(&order.id)).await;
}

/// The answer of those who come again as often as they are told to.
async fn slowly(ask: impl AsyncFn() -> Reply) -> Reply {
    loop {
        let begun = Instant::now();
        let reply = ask().await;
        let took = begun.elapsed();
        assert!(took < LONGEST_ANSWER, "{took:?} {reply:?}");
        if reply.status != 503 {
            assert!(took > DELAY, "{took:?} {reply:?}");
            return reply;
        }
        assert!(reply.header("retry-after").is_some(), "{reply:?}");
    }
}

#[tokio::test]
async fn a_slow_database_makes_everything_slow_and_nothing_wrong() {
    let Some(url) = postgres::database().await else { return };
    let port = PgConnectOptions::from_str(&url).unwrap().get_port();
    let proxy = Proxy::before(port).await;
    let behind = url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port()));
    let setup = joined(Setup::new(), &behind, &NatsServer::shared().url());
    let hosts = Setup::start_all([setup.clone(), setup.beside()]).await;
    let seller = hosts[0].user("seller").await;
    let ticket = seller.sell("x", 19.99).await;
    let buyers = [hosts[0].users("buyer", 2).await, hosts[1].users("buyer", 2).await].concat();
    seller.wait_until_known_to_orders(&ticket.id).await;

    proxy.set(Way::Slow(DELAY));
    let orders =
        join_all(buyers.iter().map(async |buyer| slowly(async || buyer.try_order(&ticket.id).await).await)).await;
    assert!(orders.iter().all(|reply| [201, 400].contains(&reply.status)), "{orders:?}");
    let won: Vec<_> = orders.iter().zip(&buyers).filter(|(reply, _)| reply.status == 201).collect();
    let [(reply, buyer)] = won.as_slice() else { panic!("sold {} times", won.len()) };
    let order = reply.order();
    let paid = slowly(async || buyer.try_pay(&order.id, "tok_visa").await).await;
    assert_eq!(paid.status, 201, "{paid:?}");

    proxy.set(Way::Open);
    buyer.order_becomes(&order.id, Status::Complete).await;
    serves(&hosts[1]).await;
    hosts[0].settles().await;
    hosts[0].ledger().await.takes(&order.id, 1_999).await;
    assert_eq!(seller.ticket(&ticket.id).await.order_id.as_ref(), Some(&order.id));
    assert!(hosts[0].dead_letters().await.is_empty());
}
