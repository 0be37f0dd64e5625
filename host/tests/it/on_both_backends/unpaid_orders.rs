//! The limits on the reservations of one buyer.

use crate::support::{Client, Host, Reply, Setup, Status};
use futures::future::join_all;

const FULL: &str = "You already have 5 unpaid reservations. Pay or cancel one of them first";
const LET_GO: &str = "You have let this ticket go several times. Others may reserve it now, and you a little later";

async fn tickets(host: &Host, count: usize) -> (Client, Vec<String>) {
    let seller = host.user("seller").await;
    let sold = join_all((0..count).map(async |_| seller.sell("x", 10.0).await.id)).await;
    (seller, sold)
}

fn retry_after(reply: &Reply) -> u32 {
    reply.header("retry-after").expect("a time to retry").parse().unwrap()
}

#[tokio::test]
async fn of_fifty_reservations_of_one_buyer_at_once_as_many_succeed_as_are_allowed() {
    let host = Setup::new().default_unpaid_orders().start().await;
    let (_, tickets) = tickets(&host, 50).await;
    let (buyer, other) = (host.user("buyer").await, host.user("other").await);
    let replies = join_all(tickets.iter().map(|ticket| buyer.try_order(ticket))).await;
    let (made, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 201);
    assert_eq!(made.len(), 5, "{refused:?}");
    for reply in &refused {
        reply.refuses(429, FULL);
        assert!((1..=3_600).contains(&retry_after(reply)), "{reply:?}");
    }
    assert_eq!(buyer.all("/api/orders").await.len(), 5);
    // A refused reservation holds nothing: another buyer gets the ticket.
    let free: Vec<_> = {
        let held: Vec<_> = made.iter().map(|reply| reply.order().ticket.id).collect();
        tickets.into_iter().filter(|ticket| !held.contains(ticket)).collect()
    };
    other.reserve(&free[0]).await;

    // Each order that is paid or cancelled makes room for one more.
    buyer.pay(&made[0].id()).await;
    buyer.reserve(&free[1]).await;
    buyer.try_order(&free[2]).await.refuses(429, FULL);
    assert_eq!(buyer.cancel(&made[1].id()).await.status, 204);
    buyer.reserve(&free[2]).await;
    buyer.try_order(&free[3]).await.refuses(429, FULL);
    // What is wrong with the ticket is said first.
    buyer.try_order(&free[0]).await.refuses(400, "Ticket is already reserved");
}

#[tokio::test]
async fn an_expired_order_makes_room_at_the_time_that_was_said() {
    let setup = Setup::new().default_unpaid_orders().flag("--set=orders.max-unpaid-orders=1");
    let host = setup.expiration_seconds(2).start().await;
    let (_, tickets) = tickets(&host, 2).await;
    let buyer = host.user("buyer").await;
    let first = buyer.reserve(&tickets[0]).await;
    let refused = buyer.try_order(&tickets[1]).await;
    refused.refuses(429, "You already have an unpaid reservation. Pay or cancel it first");
    assert!((1..=2).contains(&retry_after(&refused)), "{refused:?}");
    buyer.order_becomes(&first.id, Status::Cancelled).await;
    buyer.reserve(&tickets[1]).await;
}

#[tokio::test]
async fn a_hold_is_renewed_after_pauses_that_grow() {
    let setup = Setup::new().default_unpaid_orders().expiration_seconds(900);
    let host = setup.start().await;
    let (_, tickets) = tickets(&host, 2).await;
    let (buyer, other) = (host.user("buyer").await, host.user("other").await);
    for _ in 0..2 {
        let order = buyer.reserve(&tickets[0]).await;
        assert_eq!(buyer.cancel(&order.id).await.status, 204);
    }
    let refused = buyer.try_order(&tickets[0]).await;
    refused.refuses(429, LET_GO);
    assert!((50..=60).contains(&retry_after(&refused)), "{refused:?}");
    buyer.reserve(&tickets[1]).await;
    let order = other.reserve(&tickets[0]).await;
    assert_eq!(other.cancel(&order.id).await.status, 204, "the pause is for one buyer");
    other.reserve(&tickets[0]).await;
}

#[tokio::test]
async fn the_pause_ends_and_the_next_one_is_longer() {
    let setup = Setup::new().default_unpaid_orders().expiration_seconds(2);
    let host = setup.start().await;
    let (_, tickets) = tickets(&host, 1).await;
    let buyer = host.user("buyer").await;
    let mut pauses = Vec::new();
    for round in 0..4 {
        let try_order = async || buyer.try_order(&tickets[0]).await;
        let mut order = try_order().await;
        if order.status == 429 {
            pauses.push(retry_after(&order));
            order = crate::support::eventually("the pause ends", try_order, |reply| reply.status == 201).await;
        }
        assert_eq!(buyer.cancel(&order.id()).await.status, 204, "round {round}");
    }
    assert!(pauses.len() == 2 && pauses[0] <= 2 && pauses[1] > pauses[0], "{pauses:?}");
}

#[tokio::test]
async fn the_limit_can_be_set_and_switched_off() {
    for (setup, most) in [
        (Setup::new().default_unpaid_orders().variable("TICKETING_MAX_UNPAID_ORDERS", "2"), Some(2)),
        (Setup::new().default_unpaid_orders().variable("TICKETING_MAX_UNPAID_ORDERS", "0"), None),
    ] {
        let host = setup.start().await;
        let (_, tickets) = tickets(&host, 8).await;
        let buyer = host.user("buyer").await;
        let replies = join_all(tickets.iter().map(|ticket| buyer.try_order(ticket))).await;
        let made = replies.iter().filter(|reply| reply.status == 201).count();
        assert_eq!(made, most.unwrap_or(8), "{replies:?}");
        if most.is_none() {
            for _ in 0..4 {
                let own = replies[0].order();
                let order = buyer.all("/api/orders").await;
                let live = order.iter().find(|order| order["ticket"]["id"] == own.ticket.id.as_str()).unwrap();
                assert_eq!(buyer.cancel(live["id"].as_str().unwrap()).await.status, 204);
                buyer.reserve(&own.ticket.id).await;
            }
        }
    }
}
