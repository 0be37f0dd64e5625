//! Reservations and cancellations.

use crate::support::{Order, Setup, Status};
use serde_json::json;

#[tokio::test]
async fn a_reservation_is_an_order_with_its_ticket_and_its_end() {
    let host = Setup::new().expiration_seconds(900).start().await;
    let (anna, berta) = (host.user("anna").await, host.user("berta").await);
    let ticket = anna.sell("Kraftwerk", 19.99).await;
    let begun = seconds_now();
    let reply = berta.try_order(&ticket.id).await;
    assert_eq!((reply.status, reply.header("etag")), (201, Some("\"0\"")));
    let order = reply.order();
    assert_eq!((order.user_id.as_str(), order.status, order.version), (berta.id.as_str(), Status::Created, 0));
    assert_eq!((order.ticket.id.as_str(), order.ticket.title.as_str()), (ticket.id.as_str(), "Kraftwerk"));
    assert!(reply.text.contains("\"price\":19.99"), "{reply:?}");
    let ends = seconds_of(&order.expires_at);
    assert!((begun + 899..=seconds_now() + 901).contains(&ends), "{}", order.expires_at);
    let shown = berta.get(&format!("/api/orders/{}", order.id)).await;
    assert_eq!((shown.order(), shown.header("etag")), (order, Some("\"0\"")));
}

fn seconds_now() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64
}

/// Seconds since the epoch of a time of the form `2026-01-02T03:04:05.678Z`.
fn seconds_of(time: &str) -> i64 {
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    let part = |from: usize, to: usize| time[from..to].parse::<i64>().unwrap();
    let (year, month, day) = (part(0, 4), part(5, 7), part(8, 10));
    // Days from a civil date, with years that begin in March (H. Hinnant).
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    days * 86_400 + part(11, 13) * 3_600 + part(14, 16) * 60 + part(17, 19)
}

#[tokio::test]
async fn a_second_buyer_is_refused_and_so_is_the_same_one_again() {
    let host = Setup::new().start().await;
    let (anna, berta, carla) = (host.user("anna").await, host.user("berta").await, host.user("carla").await);
    let ticket = anna.sell("x", 1.0).await;
    berta.reserve(&ticket.id).await;
    carla.try_order(&ticket.id).await.refuses(400, "Ticket is already reserved");
    berta.try_order(&ticket.id).await.refuses(400, "Ticket is already reserved");
    assert_eq!(berta.all("/api/orders").await.len(), 1);
}

#[tokio::test]
async fn nobody_buys_their_own_ticket() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let ticket = anna.sell("x", 1.0).await;
    anna.try_order(&ticket.id).await.refuses(400, "You cannot buy your own ticket");
    assert!(anna.all("/api/orders").await.is_empty());
}

#[tokio::test]
async fn an_order_is_for_its_buyer_alone() {
    let host = Setup::new().start().await;
    let (anna, berta, carla) = (host.user("anna").await, host.user("berta").await, host.user("carla").await);
    let ticket = anna.sell("x", 1.0).await;
    let order = berta.reserve(&ticket.id).await;
    for other in [&anna, &carla] {
        other.get(&format!("/api/orders/{}", order.id)).await.refuses(401, "Not authorized");
        other.cancel(&order.id).await.refuses(401, "Not authorized");
        other.try_pay(&order.id, "tok_visa").await.refuses(401, "Not authorized");
    }
    assert_eq!(berta.order(&order.id).await, order);
}

#[tokio::test]
async fn a_cancelled_order_frees_its_ticket_for_the_seller_and_the_next_buyer() {
    let host = Setup::new().start().await;
    let (anna, berta, carla) = (host.user("anna").await, host.user("berta").await, host.user("carla").await);
    let ticket = anna.sell("x", 1.0).await;
    let order = berta.reserve(&ticket.id).await;
    anna.ticket_when("the ticket is held", &ticket.id, |ticket| ticket.order_id.is_some()).await;
    anna.edit(&ticket.id, "y", 2).await.refuses(400, "Cannot edit a reserved ticket");

    let reply = berta.cancel(&order.id).await;
    assert_eq!((reply.status, reply.text.as_str()), (204, ""));
    let cancelled = berta.order(&order.id).await;
    assert_eq!(cancelled, Order { status: Status::Cancelled, version: order.version + 1, ..order.clone() });
    let free = anna.ticket_when("the ticket is free", &ticket.id, |ticket| ticket.order_id.is_none()).await;
    assert_eq!(host.visitor().all("/api/tickets").await.len(), 1);
    let edited = anna.edit(&ticket.id, "y", 2).await;
    assert_eq!((edited.status, edited.ticket().version), (200, free.version + 1));

    let again = berta.cancel(&order.id).await;
    assert_eq!((again.status, again.text.as_str()), (204, ""), "a second cancellation has no effect");
    assert_eq!(berta.order(&order.id).await, cancelled);

    let next = carla.order_of_new_price(&ticket.id, 2.0).await;
    assert_eq!(next.ticket.title, "y");
    assert_eq!(berta.cancel(&order.id).await.status, 204, "a second cancellation does not touch the next buyer's hold");
    assert_eq!(carla.order(&next.id).await.status, Status::Created);
    carla.try_order(&ticket.id).await.refuses(400, "Ticket is already reserved");
}

impl crate::support::Client {
    /// Reserves the ticket once `orders` knows its new price. Cancels the orders
    /// that still have the old price.
    async fn order_of_new_price(&self, ticket: &str, price: f64) -> Order {
        let reserve = async || {
            let order = self.reserve(ticket).await;
            if order.ticket.price != price {
                self.cancel(&order.id).await;
            }
            order
        };
        crate::support::eventually("`orders` knows the new price", reserve, |order| order.ticket.price == price).await
    }
}

#[tokio::test]
async fn an_order_keeps_the_title_and_price_of_its_reservation() {
    let host = Setup::new().start().await;
    let (anna, berta) = (host.user("anna").await, host.user("berta").await);
    for round in 0..10 {
        let ticket = anna.sell(&format!("old {round}"), 10.0).await;
        // `tickets` accepts an edit until it knows of the order.
        let (order, _) = futures::future::join(berta.reserve(&ticket.id), anna.edit(&ticket.id, "new", 99)).await;
        berta.pay(&order.id).await;
        let paid = berta.order_becomes(&order.id, Status::Complete).await;
        assert_eq!(paid.ticket, order.ticket, "neither the title nor the price changes");
    }
}

#[tokio::test]
async fn a_ticket_that_nobody_sells_cannot_be_ordered() {
    let host = Setup::new().start().await;
    let berta = host.user("berta").await;
    berta.try_order("018bcfe5-6800-7000-8000-000000000000").await.refuses(404, "Not Found");
    berta.post("/api/orders", json!({ "ticketId": 7 })).await.blames(&["ticketId"]);
    berta.post("/api/orders", json!({ "ticketId": null })).await.blames(&["ticketId"]);
}
