//! Somebody sets the clock of a host's machine by hours, forwards and backwards,
//! while users buy.

use crate::support::{Acknowledged, Client, Host, Load, MachineClock, Order, PATIENCE, Setup, Status, eventually};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// How far the host's time may follow a clock that was set.
const DRIFT: Duration = Duration::from_secs(3);
const MONTH_HOURS: i64 = 30 * 24;

/// Sets the clock, and waits until the host notices.
pub(crate) async fn set(host: &Host, clock: &MachineClock, hours: i64) {
    let seen = || host.log().matches("the machine's clock differs from the host's clock").count();
    let before = seen();
    clock.set(hours);
    eventually("the host notices that its clock was set", async || seen(), |now| *now > before).await;
}

/// Waits until a new order expires. By the true clock, that must happen at the
/// time that the order names, and after it was held for so long.
pub(crate) async fn ends_when_it_was_said(buyer: &Client, order: &Order, held: Duration) {
    let end = humantime::parse_rfc3339(&order.expires_at).unwrap();
    let now = SystemTime::now();
    assert!(end < now + held + DRIFT, "the order is held for too long: {order:?}");
    assert!(now < end + PATIENCE, "the order was never held: {order:?}");
    buyer.order_becomes(&order.id, Status::Cancelled).await;
    assert!(end < SystemTime::now() + DRIFT, "the order has expired too soon: {order:?}");
    assert_eq!(buyer.try_pay(&order.id, "tok_visa").await.status, 400, "an expired order cannot be paid");
}

#[tokio::test]
async fn a_clock_that_is_set_by_hours_disturbs_nobody_who_buys() {
    let clock = MachineClock::new();
    let host = Setup::new().on_machine_of(&clock).start().await;
    let seller = host.user("seller").await;
    let buyers = host.users("buyer", 3).await;
    let acknowledged = Arc::new(Acknowledged::default());
    let loads: Vec<_> = buyers[1..].iter().map(|buyer| Load::start(&host, &seller, buyer, &acknowledged)).collect();
    for hours in [5, -5, 0] {
        let ticket = seller.sell("x", 10.0).await;
        let order = buyers[0].reserve(&ticket.id).await;
        set(&host, &clock, hours).await;
        buyers[0].pay(&order.id).await;
        buyers[0].order_becomes(&order.id, Status::Complete).await;
        acknowledged.more_are_paid(3).await;
    }
    for load in loads {
        load.stop().await;
    }
    acknowledged.is_whole_on(&host).await;
}

#[tokio::test]
async fn an_order_ends_when_it_was_said_however_the_clock_is_set() {
    let held = Duration::from_secs(4);
    let clock = MachineClock::new();
    let host = Setup::new().expiration_seconds(4).on_machine_of(&clock).start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    for hours in [-5, 5, 0] {
        let ticket = seller.sell("x", 10.0).await;
        let before = buyer.reserve(&ticket.id).await;
        set(&host, &clock, hours).await;
        ends_when_it_was_said(&buyer, &before, held).await;
        seller.ticket_when("the ticket is free", &ticket.id, |ticket| ticket.order_id.is_none()).await;
        let after = buyer.reserve(&ticket.id).await;
        ends_when_it_was_said(&buyer, &after, held).await;
    }
    host.settles().await;
    assert!(host.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_session_lasts_and_ends_however_the_clock_is_set() {
    let clock = MachineClock::new();
    let mut host = Setup::new().on_machine_of(&clock).start().await;
    let (stays, ends) = (host.user("stays").await, host.user("ends").await);
    assert_eq!(ends.post("/api/users/signout", json!({})).await.status, 200);
    for hours in [MONTH_HOURS, -MONTH_HOURS, 0] {
        set(&host, &clock, hours).await;
        assert!(stays.current_user().await.is_object(), "{hours}");
        assert!(ends.current_user().await.is_null(), "{hours}");
    }
    // A start with a clock that is hours ahead forgets no session.
    host.stop().await;
    clock.set(20);
    host.start_again().await;
    host.stop().await;
    clock.set(0);
    host.start_again().await;
    assert!(host.again(&stays).current_user().await.is_object());
    assert!(host.again(&ends).current_user().await.is_null());
}
