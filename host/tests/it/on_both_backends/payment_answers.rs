//! The answer to a payment says how the order has ended.

use super::payment_faults::reserved;
use crate::support::{Client, Host, Order, Reply, Setup, Status};
use futures::future::{join, join_all};
use serde_json::json;
use std::time::{Duration, Instant};

/// Rounds of the races. `TICKETING_TESTS_ROUNDS` sets another number.
fn rounds(default: u32) -> u32 {
    std::env::var("TICKETING_TESTS_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(default)
}

/// Waits until `payments` knows the order. Somebody else is refused then.
async fn is_known_to_payments(seller: &Client, order: &Order) {
    seller.try_pay(&order.id, "tok_visa").await.refuses(401, "Not authorized");
}

#[tokio::test]
async fn a_paid_order_is_complete_and_cannot_be_cancelled() {
    let host = Setup::new().start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    for _ in 0..rounds(25) {
        let ticket = seller.sell("x", 10.0).await;
        let order = buyer.reserve(&ticket.id).await;
        buyer.pay(&order.id).await;
        let (cancelled, shown) = join(buyer.cancel(&order.id), buyer.order(&order.id)).await;
        cancelled.refuses(400, "Cannot cancel a completed order");
        assert_eq!(shown.status, Status::Complete);
    }
}

/// The time of a payment on this machine.
async fn time_of_a_payment(seller: &Client, buyer: &Client) -> Duration {
    let ticket = seller.sell("x", 10.0).await;
    let order = buyer.reserve(&ticket.id).await;
    is_known_to_payments(seller, &order).await;
    let begun = Instant::now();
    buyer.pay(&order.id).await;
    begun.elapsed()
}

/// What the two requests answered agrees with what the order and the money say.
async fn check_end(host: &Host, buyer: &Client, order: &Order, paid: &Reply) -> bool {
    let end = buyer.order(&order.id).await;
    let complete = paid.status == 201;
    assert_eq!(end.status, if complete { Status::Complete } else { Status::Cancelled }, "{paid:?}");
    if !complete {
        let message = &paid.errors()[0].0;
        assert!(["Cannot pay for a cancelled order", "The order has expired"].contains(&message.as_str()), "{paid:?}");
    }
    host.payment_ledger().await.takes(&order.id, if complete { 1_000 } else { 0 }).await;
    complete
}

#[tokio::test]
async fn of_a_payment_and_a_cancellation_at_once_exactly_one_wins() {
    let host = Setup::new().start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let whole = time_of_a_payment(&seller, &buyer).await;
    let mut paid_orders = 0;
    let rounds = rounds(48);
    for round in 0..rounds {
        let ticket = seller.sell("x", 10.0).await;
        let order = buyer.reserve(&ticket.id).await;
        is_known_to_payments(&seller, &order).await;
        // The requests meet at another point in each round.
        let cancel = async {
            tokio::time::sleep(whole * (round % 16) / 12).await;
            buyer.cancel(&order.id).await
        };
        let (paid, cancelled) = join(buyer.try_pay(&order.id, "tok_visa"), cancel).await;
        assert_eq!(
            [paid.status, cancelled.status].iter().filter(|status| **status == 400).count(),
            1,
            "exactly one wins: {paid:?}, {cancelled:?}"
        );
        paid_orders += u32::from(check_end(&host, &buyer, &order, &paid).await);
    }
    println!("{paid_orders} of {rounds} were paid");
}

#[tokio::test]
async fn of_a_payment_and_the_expiry_at_once_exactly_one_wins() {
    const AT_ONCE: u32 = 12;
    let host = Setup::new().expiration_seconds(1).start().await;
    let (seller, first) = (host.user("seller").await, host.user("buyer").await);
    let whole = time_of_a_payment(&seller, &first).await;
    let mut paid_orders = 0;
    for round in 0..rounds(24).div_ceil(AT_ONCE) {
        let buyers = host.users("buyer", AT_ONCE as usize).await;
        let paid = join_all((0..AT_ONCE).zip(&buyers).map(async |(number, buyer)| {
            let ticket = seller.sell("x", 10.0).await;
            let order = buyer.reserve(&ticket.id).await;
            let made = Instant::now();
            is_known_to_payments(&seller, &order).await;
            let before = whole * (2 * number + round % 2) / AT_ONCE;
            let due = Duration::from_millis(990).saturating_sub(before);
            tokio::time::sleep(due.saturating_sub(made.elapsed())).await;
            let paid = buyer.try_pay(&order.id, "tok_visa").await;
            // A payment that comes too late is refused before the order is cancelled.
            buyer
                .order_when("the order ends", &order.id, |order| {
                    matches!(order.status, Status::Complete | Status::Cancelled)
                })
                .await;
            check_end(&host, buyer, &order, &paid).await
        }))
        .await;
        paid_orders += paid.into_iter().filter(|paid| *paid).count();
    }
    println!("{paid_orders} were paid in time");
}

#[tokio::test]
async fn a_payment_that_takes_long_is_pending_and_says_where_to_ask() {
    let host = Setup::new().start().await;
    let (seller, buyer, order) = reserved(&host).await;
    is_known_to_payments(&seller, &order).await;
    let operator = host.operator();
    assert_eq!(operator.post("/plugins/orders/pause", json!({})).await.status, 200);
    let begun = Instant::now();
    let reply = buyer.try_pay(&order.id, "tok_visa").await;
    assert_eq!(reply.status, 202, "{reply:?}");
    assert!(begun.elapsed() >= Duration::from_millis(1_900), "{:?}", begun.elapsed());
    assert_eq!(reply.json(), json!({ "id": reply.id(), "status": "pending" }));
    let location = reply.header("location").unwrap().to_owned();
    assert_eq!(location, format!("/api/payments/{}", reply.id()));

    let status = async || buyer.get(&location).await.json()["status"].as_str().unwrap().to_owned();
    assert_eq!(status().await, "pending");
    let again = buyer.try_pay(&order.id, "tok_mastercard").await;
    assert_eq!((again.status, again.id()), (202, reply.id()), "it is not paid yet, and not charged again");
    seller.get(&location).await.refuses(401, "Not authorized");
    host.visitor().get(&location).await.refuses(401, "Not authorized");
    for unknown in ["nonsense", "018bcfe5-6800-7000-8000-000000000000"] {
        buyer.get(&format!("/api/payments/{unknown}")).await.refuses(404, "Not Found");
    }

    assert_eq!(operator.post("/plugins/orders/resume", json!({})).await.status, 200);
    buyer.order_becomes(&order.id, Status::Complete).await;
    crate::support::eventually("the payment is complete", status, |status| status == "complete").await;
    assert_eq!(buyer.get(&location).await.json()["orderId"], json!(order.id));
    buyer.try_pay(&order.id, "tok_visa").await.refuses(400, "The order is already paid");
    host.payment_ledger().await.takes(&order.id, 1_000).await;
    assert_eq!(host.payment_ledger().await.of(&order.id).await.len(), 1);
}

#[tokio::test]
async fn the_state_of_a_payment_after_a_declined_one_can_be_asked() {
    let host = Setup::new().start().await;
    let (_, buyer, order) = reserved(&host).await;
    buyer.try_pay(&order.id, "tok_chargeDeclined").await.refuses(402, "Your card was declined.");
    let payment = buyer.pay(&order.id).await;
    let shown = buyer.get(&format!("/api/payments/{payment}")).await;
    assert_eq!(shown.json(), json!({ "id": payment, "orderId": order.id, "status": "complete" }));
}

/// A payment waits for an event of its own component. That must not wait for the
/// payment.
#[tokio::test]
async fn payments_are_answered_at_a_concurrency_of_one() {
    let host = Setup::new().toml("[plugins.payments.limits]\nconcurrency = 1").start().await;
    let seller = host.user("seller").await;
    let buyers = host.users("buyer", 3).await;
    for _ in 0..4 {
        let replies = join_all(buyers.iter().map(async |buyer| {
            let ticket = seller.sell("x", 10.0).await;
            let order = buyer.reserve(&ticket.id).await;
            buyer.try_pay(&order.id, "tok_visa").await
        }))
        .await;
        assert!(replies.iter().all(|reply| reply.status == 201), "{replies:?}");
    }
}

/// The machine may be busy, so only the fastest quarter counts. The report of a run
/// shows the times.
#[tokio::test]
async fn a_payment_is_answered_soon_after_its_order_is_complete() {
    let host = Setup::new().start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let mut times = Vec::new();
    for _ in 0..rounds(40) {
        let ticket = seller.sell("x", 10.0).await;
        let order = buyer.reserve(&ticket.id).await;
        is_known_to_payments(&seller, &order).await;
        host.settles().await;
        let begun = Instant::now();
        buyer.pay(&order.id).await;
        times.push(begun.elapsed());
    }
    times.sort();
    let [fast, median, worst] = [times.len() / 4, times.len() / 2, times.len() - 1].map(|rank| times[rank]);
    println!("payments were answered in {median:?}, at most in {worst:?}");
    // A wait that is not notified reads again after 250 ms, so it would be in no time below.
    assert!(fast < Duration::from_millis(200), "{times:?}");
}
