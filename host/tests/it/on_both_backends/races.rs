//! The marketplace's rules under concurrent requests.

use crate::support::{Host, Setup, Status, edit_database, on_postgres};
use futures::future::join_all;
use std::time::{Duration, Instant};

const BUYERS: usize = 50;

/// Lets all buyers reserve the same ticket at once. Returns the statuses.
async fn rush(host: &Host) -> Vec<u16> {
    let seller = host.user("seller").await;
    let ticket = seller.sell("the only one", 10.0).await;
    let buyers = host.users("buyer", BUYERS).await;
    let replies = join_all(buyers.iter().map(|buyer| buyer.try_order(&ticket.id))).await;
    for reply in replies.iter().filter(|reply| reply.status == 400) {
        reply.refuses(400, "Ticket is already reserved");
    }
    replies.iter().map(|reply| reply.status).collect()
}

fn count(statuses: &[u16], wanted: u16) -> usize {
    statuses.iter().filter(|status| **status == wanted).count()
}

#[tokio::test]
async fn of_fifty_buyers_of_one_ticket_exactly_one_gets_it() {
    let host = Setup::new().start().await;
    let statuses = rush(&host).await;
    assert_eq!((count(&statuses, 201), count(&statuses, 400)), (1, BUYERS - 1), "{statuses:?}");
}

/// The control of the test above: without the unique index, the rule breaks.
#[tokio::test]
async fn without_the_unique_index_a_ticket_is_sold_more_than_once() {
    let mut host = Setup::new().start().await;
    host.stop().await;
    edit_database(&host.setup, "components/orders.db", async |database| {
        let unique = if on_postgres() {
            "SELECT indexname::TEXT FROM pg_indexes WHERE schemaname = 'c_orders' AND tablename = 'orders'
             AND indexdef LIKE 'CREATE UNIQUE INDEX%WHERE%'"
        } else {
            "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'orders'
             AND sql LIKE 'CREATE UNIQUE INDEX%WHERE%'"
        };
        let index: String = sqlx::query_scalar(unique).fetch_one(&mut *database).await.unwrap();
        let drop = sqlx::AssertSqlSafe(format!("DROP INDEX {index}"));
        sqlx::query(drop).execute(database).await.unwrap();
    })
    .await;
    host.start_again().await;
    let statuses = rush(&host).await;
    assert!(count(&statuses, 201) > 1, "{statuses:?}");
}

#[tokio::test]
async fn a_ticket_changes_hands_many_times_and_is_never_held_twice() {
    let host = Setup::new().start().await;
    let seller = host.user("seller").await;
    let ticket = seller.sell("the only one", 10.0).await;
    let buyers = host.users("buyer", 6).await;
    join_all(buyers.iter().map(async |buyer| {
        for _ in 0..8 {
            let reply = buyer.try_order(&ticket.id).await;
            if reply.status == 201 {
                assert_eq!(buyer.cancel(&reply.id()).await.status, 204);
            } else {
                reply.refuses(400, "Ticket is already reserved");
            }
        }
    }))
    .await;
    host.settles().await;
    let free = seller.ticket(&ticket.id).await;
    assert_eq!(free.order_id, None);
    let orders = host.database("components/orders.db").await;
    let made = orders.number("SELECT count(*) FROM orders").await;
    // Each reservation and each release adds one version. If the release
    // arrives first, neither of the two adds one.
    assert!(free.version % 2 == 0 && free.version <= 2 * made, "{} after {made} orders", free.version);
}

#[tokio::test]
async fn an_order_that_is_paid_and_cancelled_at_once_is_either_and_never_both() {
    let host = Setup::new().start().await;
    let seller = host.user("seller").await;
    let buyer = host.user("buyer").await;
    let ledger = host.payment_ledger().await;
    // The time of a payment on this machine.
    let ticket = seller.sell("x", 10.0).await;
    let order = buyer.reserve(&ticket.id).await;
    seller.try_pay(&order.id, "tok_visa").await.refuses(401, "Not authorized");
    let begun = Instant::now();
    buyer.pay(&order.id).await;
    buyer.order_becomes(&order.id, Status::Complete).await;
    let whole = begun.elapsed();

    let mut ends = [0, 0];
    for round in 0..32 {
        let ticket = seller.sell("x", 10.0).await;
        let order = buyer.reserve(&ticket.id).await;
        // The answer 401 in place of 404 shows that `payments` knows the order.
        seller.try_pay(&order.id, "tok_visa").await.refuses(401, "Not authorized");
        // The two requests meet at another point in each round.
        let late_cancel = async {
            tokio::time::sleep(whole * (round % 16) / 12).await;
            buyer.cancel(&order.id).await
        };
        let (paid, cancelled) = futures::future::join(buyer.try_pay(&order.id, "tok_visa"), late_cancel).await;
        assert!([201, 400].contains(&paid.status), "{paid:?}");
        assert!([204, 400].contains(&cancelled.status), "{cancelled:?}");
        let end = buyer
            .order_when("the order ends", &order.id, |order| {
                matches!(order.status, Status::Complete | Status::Cancelled)
            })
            .await;
        let complete = end.status == Status::Complete;
        ends[usize::from(complete)] += 1;
        assert_eq!(cancelled.status == 204, !complete, "{end:?}, {paid:?}");
        ledger.takes(&order.id, if complete { 1_000 } else { 0 }).await;
        if !complete {
            seller.ticket_when("the ticket is free", &ticket.id, |ticket| ticket.order_id.is_none()).await;
        }
    }
    println!("cancelled {}, complete {}", ends[0], ends[1]);
}

#[tokio::test]
async fn many_clicks_on_pay_charge_once() {
    let host = Setup::new().start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("x", 10.0).await;
    let order = buyer.reserve(&ticket.id).await;
    let replies = join_all((0..20).map(|_| buyer.try_pay(&order.id, "tok_visa"))).await;
    let statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
    assert!(count(&statuses, 201) >= 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [201, 400, 503].contains(status)), "{statuses:?}");
    let mut ids: Vec<_> = replies.iter().filter(|reply| reply.status == 201).map(|reply| reply.id()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "every answer names the same payment");
    buyer.order_becomes(&order.id, Status::Complete).await;
    host.settles().await;
    host.payment_ledger().await.takes(&order.id, 1_000).await;
    assert_eq!(host.payment_ledger().await.of(&order.id).await.len(), 1);
}

#[tokio::test]
async fn an_order_that_is_paid_as_it_expires_is_either_and_never_both() {
    let host = Setup::new().expiration_seconds(1).start().await;
    let seller = host.user("seller").await;
    let buyers = host.users("buyer", 24).await;
    let ledger = host.payment_ledger().await;
    join_all(buyers.iter().zip(0_u64..).map(async |(buyer, number)| {
        let ticket = seller.sell("x", 10.0).await;
        let order = buyer.reserve(&ticket.id).await;
        tokio::time::sleep(Duration::from_millis(850 + number * 10)).await;
        let paid = buyer.try_pay(&order.id, "tok_visa").await;
        assert!([201, 400].contains(&paid.status), "{paid:?}");
        let end = buyer
            .order_when("the order ends", &order.id, |order| {
                matches!(order.status, Status::Complete | Status::Cancelled)
            })
            .await;
        let complete = end.status == Status::Complete;
        assert!(!complete || paid.status == 201, "{end:?}, {paid:?}");
        ledger.takes(&order.id, if complete { 1_000 } else { 0 }).await;
        let what = "the ticket is free, or sold to this order";
        seller.ticket_when(what, &ticket.id, |ticket| ticket.order_id.is_some() == complete).await;
    }))
    .await;
}
