//! Orders that are not paid in time, also when the process ends meanwhile.

use crate::support::{Setup, Status};
use std::time::{Duration, Instant};

#[tokio::test]
async fn an_order_expires_and_cannot_be_paid_after() {
    let host = Setup::new().expiration_seconds(1).start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("x", 10.0).await;
    let begun = Instant::now();
    let order = buyer.reserve(&ticket.id).await;
    let expired = buyer.order_becomes(&order.id, Status::Cancelled).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(950), "the order expires too early: {took:?}");
    assert!(took < Duration::from_secs(4), "the order expires too late: {took:?}");
    assert_eq!(expired.version, order.version + 1);
    seller.ticket_when("the ticket is free", &ticket.id, |ticket| ticket.order_id.is_none()).await;

    host.settles().await;
    buyer.try_pay(&order.id, "tok_visa").await.refuses(400, "Cannot pay for a cancelled order");
    assert!(host.payment_ledger().await.of(&order.id).await.is_empty());
    assert_eq!(buyer.cancel(&order.id).await.status, 204, "the order is cancelled already");
    assert_eq!(buyer.order(&order.id).await, expired);
}

#[tokio::test]
async fn an_order_that_expired_while_no_process_ran_is_cancelled_at_the_start() {
    let mut host = Setup::new().expiration_seconds(1).start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("x", 10.0).await;
    let begun = Instant::now();
    let order = buyer.reserve(&ticket.id).await;
    host.kill().await;
    // The time to pay passes while no process runs.
    tokio::time::sleep(Duration::from_millis(1_200).saturating_sub(begun.elapsed())).await;

    host.start_again().await;
    let started = Instant::now();
    let (seller, buyer) = (host.again(&seller), host.again(&buyer));
    let late = buyer.try_pay(&order.id, "tok_visa").await;
    assert_eq!(late.status, 400, "{late:?}");
    buyer.order_becomes(&order.id, Status::Cancelled).await;
    seller.ticket_when("the ticket is free", &ticket.id, |ticket| ticket.order_id.is_none()).await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(host.payment_ledger().await.all().await.is_empty());
}

#[tokio::test]
async fn a_restart_does_not_shorten_or_lengthen_the_time_to_pay() {
    let mut host = Setup::new().expiration_seconds(3).start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("x", 10.0).await;
    let begun = Instant::now();
    let order = buyer.reserve(&ticket.id).await;
    for _ in 0..2 {
        host.kill().await;
        host.start_again().await;
        if begun.elapsed() < Duration::from_millis(2_500) {
            let shown = host.again(&buyer).order(&order.id).await;
            assert_eq!((shown.status, &shown.expires_at), (Status::Created, &order.expires_at));
        }
    }
    host.again(&buyer).order_becomes(&order.id, Status::Cancelled).await;
    assert!(begun.elapsed() >= Duration::from_millis(2_950), "{:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(7), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn the_expiry_of_an_order_does_not_touch_the_next_one() {
    let host = Setup::new().expiration_seconds(2).start().await;
    let (seller, one, other) = (host.user("seller").await, host.user("one").await, host.user("other").await);
    let ticket = seller.sell("x", 10.0).await;
    let first = one.reserve(&ticket.id).await;
    assert_eq!(one.cancel(&first.id).await.status, 204);
    tokio::time::sleep(Duration::from_millis(700)).await;
    let second = other.reserve(&ticket.id).await;
    other.pay(&second.id).await;
    let sold = other.order_becomes(&second.id, Status::Complete).await;

    // An order that is made now expires after both of them.
    let marker = seller.sell("marker", 1.0).await;
    let marker = one.reserve(&marker.id).await;
    one.order_becomes(&marker.id, Status::Cancelled).await;
    host.settles().await;
    assert_eq!(other.order(&second.id).await, sold);
    assert_eq!(seller.ticket(&ticket.id).await.order_id, Some(second.id));
    assert_eq!(one.order(&first.id).await.status, Status::Cancelled);
}

#[tokio::test]
async fn the_environment_sets_the_time_to_pay() {
    let setup = Setup::new().default_expiration().variable("TICKETING_ORDER_EXPIRATION_SECONDS", "1");
    let host = setup.start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("x", 10.0).await;
    let order = buyer.reserve(&ticket.id).await;
    buyer.order_becomes(&order.id, Status::Cancelled).await;
}
