//! A payment provider that does not answer, before or after it has charged.

use crate::support::{Client, Host, Order, Setup, Status};
use futures::future::join_all;
use http::Method;
use serde_json::json;

const AFTER: &str = "tok_simulate_timeout_after_charge";
const BEFORE: &str = "tok_simulate_timeout_before_charge";
const SLOW: &str = "tok_simulate_slow";

pub(super) async fn reserved(host: &Host) -> (Client, Client, Order) {
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("x", 10.0).await;
    let order = buyer.reserve(&ticket.id).await;
    (seller, buyer, order)
}

async fn is_unknown(buyer: &Client, order: &Order, token: &str) {
    let reply = buyer.try_pay(&order.id, token).await;
    assert_eq!((reply.status, reply.errors().len()), (503, 1), "{reply:?}");
    assert!(reply.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
}

#[tokio::test]
async fn a_charge_with_an_unknown_outcome_is_resolved_by_itself_and_charged_once() {
    let host = Setup::new().start().await;
    join_all([AFTER, BEFORE].map(async |token| {
        let (_, buyer, order) = reserved(&host).await;
        is_unknown(&buyer, &order, token).await;
        let ledger = host.payment_ledger().await;
        buyer.order_becomes(&order.id, Status::Complete).await;
        ledger.takes(&order.id, 1_000).await;
        assert_eq!(ledger.of(&order.id).await.len(), 1, "{token}");
    }))
    .await;
}

#[tokio::test]
async fn a_charge_with_an_unknown_outcome_can_be_repeated_and_is_made_once() {
    let host = Setup::new().start().await;
    join_all([AFTER, BEFORE].map(async |token| {
        let (_, buyer, order) = reserved(&host).await;
        is_unknown(&buyer, &order, token).await;
        let repeat = async || buyer.try_pay(&order.id, token).await;
        let done =
            crate::support::eventually("the second request is answered", repeat, |reply| reply.status != 503).await;
        // The recovery may have been faster. Then the order is paid already.
        assert!([201, 400].contains(&done.status), "{done:?}");
        buyer.order_becomes(&order.id, Status::Complete).await;
        let ledger = host.payment_ledger().await;
        ledger.takes(&order.id, 1_000).await;
        assert_eq!(ledger.of(&order.id).await.len(), 1, "{token}");
    }))
    .await;
}

#[tokio::test]
async fn a_charge_with_an_unknown_outcome_is_released_when_the_order_is_cancelled() {
    let host = Setup::new().start().await;
    join_all([AFTER, BEFORE].map(async |token| {
        let (seller, buyer, order) = reserved(&host).await;
        is_unknown(&buyer, &order, token).await;
        let cancelled = buyer.cancel(&order.id).await;
        let end = if cancelled.status == 204 { Status::Cancelled } else { Status::Complete };
        buyer.order_becomes(&order.id, end).await;
        let cents = if end == Status::Cancelled { 0 } else { 1_000 };
        host.settles().await;
        host.payment_ledger().await.takes(&order.id, cents).await;
        if end == Status::Cancelled {
            seller.ticket_when("the ticket is free", &order.ticket.id, |ticket| ticket.order_id.is_none()).await;
        }
    }))
    .await;
}

#[tokio::test]
async fn a_process_that_dies_while_the_outcome_is_unknown_resolves_it_later() {
    let mut host = Setup::new().start().await;
    let (_, buyer, order) = reserved(&host).await;
    is_unknown(&buyer, &order, AFTER).await;
    host.kill().await;
    host.start_again().await;
    host.again(&buyer).order_becomes(&order.id, Status::Complete).await;
    host.payment_ledger().await.takes(&order.id, 1_000).await;
}

#[tokio::test]
async fn a_process_that_dies_while_the_provider_is_at_work_resolves_it_later() {
    let mut host = Setup::new().start().await;
    let (_, buyer, order) = reserved(&host).await;
    let pay = {
        let (buyer, order) = (buyer.clone(), order.id.clone());
        tokio::spawn(async move {
            let body = json!({ "orderId": order, "token": SLOW });
            while let Some(reply) = buyer.attempt(Method::POST, "/api/payments", Some(body.clone())).await {
                assert_eq!(reply.status, 404, "`payments` does not know the order yet: {reply:?}");
            }
        })
    };
    buyer.order_becomes(&order.id, Status::AwaitingPayment).await;
    host.kill().await;
    pay.await.unwrap();
    host.start_again().await;
    host.again(&buyer).order_becomes(&order.id, Status::Complete).await;
    let ledger = host.payment_ledger().await;
    ledger.takes(&order.id, 1_000).await;
    assert_eq!(ledger.of(&order.id).await.len(), 1);
}

#[tokio::test]
async fn a_host_that_is_told_to_stop_finishes_the_payment_that_is_under_way() {
    let mut host = Setup::new().start().await;
    let (_, buyer, order) = reserved(&host).await;
    let (paid, ()) = futures::join!(buyer.try_pay(&order.id, SLOW), async {
        buyer.order_becomes(&order.id, Status::AwaitingPayment).await;
        host.terminate().await;
    });
    assert_eq!(paid.status, 201, "{paid:?}");
    assert_eq!(host.ended().await.code(), Some(0));
    host.start_again().await;
    host.again(&buyer).order_becomes(&order.id, Status::Complete).await;
    host.payment_ledger().await.takes(&order.id, 1_000).await;
}

#[tokio::test]
async fn a_provider_that_fails_now_and_then_loses_and_doubles_nothing() {
    let faults = "[payments.simulated.faults]\ntimeout_before_every = 7\ntimeout_after_every = 9\nduplicate_every = 5";
    let host = Setup::new().toml(faults).start().await;
    let (seller, buyer, ledger) = (host.user("seller").await, host.user("buyer").await, host.payment_ledger().await);
    join_all((0..10).map(async |_| {
        let ticket = seller.sell("x", 10.0).await;
        let order = buyer.reserve(&ticket.id).await;
        let reply = buyer.try_pay(&order.id, "tok_visa").await;
        assert!([201, 503].contains(&reply.status), "{reply:?}");
        buyer.order_becomes(&order.id, Status::Complete).await;
        ledger.takes(&order.id, 1_000).await;
    }))
    .await;
}
