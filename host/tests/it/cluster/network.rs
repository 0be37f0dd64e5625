//! A bad network between some hosts and a server.

use super::{faults::serves, joined, knows_all, named, relay_lock};
use crate::support::{
    Acknowledged, Host, LinkState, Load, NatsServer, Proxy, Reply, Setup, Status, eventually, postgres,
};
use futures::future::join_all;
use sqlx::{Connection, postgres::PgConnectOptions};
use std::{
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

/// The delay of each portion of bytes. A statement and its answer are two
/// portions.
const DELAY: Duration = Duration::from_millis(100);
/// No request may take longer, however slow the database is.
const LONGEST_ANSWER: Duration = Duration::from_secs(20);

#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn a_host_that_is_cut_off_from_the_broker_goes_on_and_holds_up_nobody() {
    let url = postgres::new_database().await;
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
    let acknowledged = Arc::new(Acknowledged::default());
    let start = |(host, buyer)| Load::start(host, &seller, buyer, &acknowledged);
    let loads: Vec<_> = hosts.iter().zip(&buyers).map(start).collect();
    // Each host once, because each relays the events of some components.
    for (host, proxy) in hosts.iter().zip(&proxies) {
        let readiness = async || host.outsider().get("/readyz").await;
        proxy.set(LinkState::Down);
        let reported = |reply: &Reply| reply.text.contains("the event bus is out of reach");
        let cut = eventually("the host reports that it is cut off", readiness, reported).await;
        assert_eq!(cut.status, 200, "other hosts relay its events: {cut:?}");
        for host in &hosts {
            serves_in_the_end(host).await;
        }
        proxy.set(LinkState::Up);
        eventually("the host is ready again", readiness, |reply| reply.text == "ready\n").await;
        serves(host).await;
    }
    for load in loads {
        load.stop().await;
    }
    acknowledged.is_whole_on(&hosts[0]).await;
}

/// Completes a purchase through this host. While other hosts take over the events of one
/// that is cut off, a payment may take more than 2 s. Then its answer says where to ask.
async fn serves_in_the_end(host: &Host) {
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("x", 10.0).await;
    let order = buyer.reserve(&ticket.id).await.id;
    let paid = buyer.try_pay(&order, "tok_visa").await;
    match paid.status {
        201 => assert_eq!(buyer.order(&order).await.status, Status::Complete, "{paid:?}"),
        202 => {
            let location = paid.header("location").unwrap();
            let status = async || buyer.get(location).await.json()["status"].clone();
            eventually("the payment is complete", status, |status| status == "complete").await;
        }
        _ => panic!("{paid:?}"),
    }
    buyer.order_becomes(&order, Status::Complete).await;
    host.payment_ledger().await.takes(&order, 1_000).await;
}

/// The control. A connection holds the relay lock of a component and relays
/// nothing, as a host that is cut off would if it kept the lock. The events of
/// this component wait for as long, and no others do.
#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn events_wait_while_a_holder_of_the_relay_lock_relays_nothing() {
    let url = postgres::new_database().await;
    let holder = relay_lock::hold(&url, "orders").await;
    let setup = joined(Setup::new(), &url, &NatsServer::shared().url());
    let [one, two] = Setup::start_all([setup.clone(), setup.beside()]).await;
    let (seller, buyer) = (one.user("seller").await, two.user("buyer").await);
    let ticket = seller.sell("x", 10.0).await;
    let order = buyer.reserve(&ticket.id).await;
    // The events of other components arrive again and again.
    for _ in 0..3 {
        seller.sell("y", 10.0).await;
    }
    let outbox = one.database("components/orders.db").await;
    assert_eq!(outbox.number("SELECT count(*) FROM host_outbox").await, 1);
    assert_eq!(seller.ticket(&ticket.id).await.order_id, None);
    holder.close().await.unwrap();
    seller
        .ticket_when("the ticket is reserved", &ticket.id, |ticket| ticket.order_id.as_ref() == Some(&order.id))
        .await;
}

/// The answer of a client that asks again after each 503.
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
#[ignore = "needs PostgreSQL and NATS"]
async fn a_slow_database_makes_everything_slow_and_nothing_wrong() {
    let url = postgres::new_database().await;
    let port = PgConnectOptions::from_str(&url).unwrap().get_port();
    let proxy = Proxy::before(port).await;
    let behind = url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port()));
    let setup = joined(Setup::new(), &behind, &NatsServer::shared().url());
    let hosts = Setup::start_all([setup.clone(), setup.beside()]).await;
    let seller = hosts[0].user("seller").await;
    let ticket = seller.sell("x", 19.99).await;
    let buyers = [hosts[0].users("buyer", 2).await, hosts[1].users("buyer", 2).await].concat();
    seller.wait_until_known_to_orders(&ticket.id).await;

    proxy.set(LinkState::Slow(DELAY));
    let orders =
        join_all(buyers.iter().map(async |buyer| slowly(async || buyer.try_order(&ticket.id).await).await)).await;
    assert!(orders.iter().all(|reply| [201, 400].contains(&reply.status)), "{orders:?}");
    let won: Vec<_> = orders.iter().zip(&buyers).filter(|(reply, _)| reply.status == 201).collect();
    let [(reply, buyer)] = won.as_slice() else { panic!("sold {} times", won.len()) };
    let order = reply.order();
    let paid = slowly(async || buyer.try_pay(&order.id, "tok_visa").await).await;
    assert!([201, 202].contains(&paid.status), "{paid:?}");

    proxy.set(LinkState::Up);
    buyer.order_becomes(&order.id, Status::Complete).await;
    serves(&hosts[1]).await;
    hosts[0].settles().await;
    hosts[0].payment_ledger().await.takes(&order.id, 1_999).await;
    assert_eq!(seller.ticket(&ticket.id).await.order_id.as_ref(), Some(&order.id));
    assert!(hosts[0].dead_letters().await.is_empty());
}
