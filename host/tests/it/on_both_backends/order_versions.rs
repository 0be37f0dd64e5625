//! Orders that name the version of the ticket that the buyer has seen.

use crate::support::{Client, Reply, Setup, Ticket, TicketStatus};
use serde_json::json;

/// Asserts that the order is refused, and that the answer shows this ticket.
fn shows(reply: &Reply, ticket: &Ticket) {
    assert_eq!(reply.status, 412, "{reply:?}");
    let mut envelope = reply.json();
    let current: Ticket = serde_json::from_value(envelope["ticket"].take()).unwrap();
    assert_eq!(current, *ticket);
    let errors = envelope["errors"].as_array().unwrap();
    assert_eq!((errors.len(), errors[0]["message"].as_str()), (1, Some("The ticket was changed in the meantime")));
    assert_eq!(reply.header("etag"), Some(format!("\"{}\"", ticket.version).as_str()));
}

async fn try_order_if(buyer: &Client, ticket: &Ticket, tag: &str) -> Reply {
    buyer.with_header("if-match", tag).try_order(&ticket.id).await
}

#[tokio::test]
async fn an_order_for_a_stale_version_is_refused_with_the_current_ticket() {
    let host = Setup::new().start().await;
    let (anna, berta) = (host.user("anna").await, host.user("berta").await);
    let seen = anna.sell("Kraftwerk", 20.0).await;
    let now = anna.edit(&seen.id, "Kraftwerk", 2_000).await.ticket();
    // The order waits until `orders` knows the newest version.
    shows(&berta.try_order_version(&seen.id, 99).await, &now);
    shows(&berta.try_order_version(&seen.id, seen.version).await, &now);
    for tag in ["\"0\"", "\"2\"", "W/\"1\"", "1", "\"x\"", "", "\"0\", \"2\""] {
        shows(&try_order_if(&berta, &seen, tag).await, &now);
    }
    let both = json!({ "ticketId": seen.id, "version": 0 });
    shows(&berta.with_header("if-match", "\"1\"").post("/api/orders", both).await, &now);
    assert!(berta.all("/api/orders").await.is_empty());

    let order = berta.try_order_version(&seen.id, now.version).await;
    assert_eq!(order.status, 201, "{order:?}");
    assert_eq!((order.order().ticket.price, order.order().ticket.version), (2_000.0, 1));
}

#[tokio::test]
async fn an_order_for_the_current_version_is_made() {
    let host = Setup::new().start().await;
    let (anna, berta) = (host.user("anna").await, host.user("berta").await);
    for tag in ["\"0\"", "*", "\"7\", \"0\""] {
        let ticket = anna.sell("x", 1.0).await;
        let order = try_order_if(&berta, &ticket, tag).await;
        assert_eq!(order.status, 201, "{tag}: {order:?}");
        assert_eq!(berta.cancel(&order.order().id).await.status, 204);
    }
    let ticket = anna.sell("x", 1.0).await;
    let body = json!({ "ticketId": ticket.id, "version": null });
    let order = berta.post("/api/orders", body).await;
    assert_eq!(order.status, 201, "a buyer need not name a version: {order:?}");
}

#[tokio::test]
async fn an_order_for_a_version_that_has_just_been_made_gets_its_price() {
    let host = Setup::new().start().await;
    let (anna, berta) = (host.user("anna").await, host.user("berta").await);
    for price in 2..12 {
        let ticket = anna.sell("x", 1.0).await;
        let edited = anna.edit(&ticket.id, "x", price).await.ticket();
        let order = berta.try_order_version(&ticket.id, edited.version).await;
        assert_eq!(order.status, 201, "{order:?}");
        assert_eq!(order.order().ticket.price, f64::from(price));
        assert_eq!(berta.cancel(&order.order().id).await.status, 204);
    }
}

#[tokio::test]
async fn a_buyer_never_gets_another_price_than_the_one_seen() {
    let host = Setup::new().start().await;
    let (anna, berta) = (host.user("anna").await, host.user("berta").await);
    for _ in 0..10 {
        let ticket = anna.sell("x", 20.0).await;
        let raise = anna.edit(&ticket.id, "x", 2_000);
        let (order, _) = futures::join!(berta.try_order_version(&ticket.id, 0), raise);
        match order.status {
            201 => {
                assert_eq!(order.order().ticket.price, 20.0);
                assert_eq!(berta.cancel(&order.order().id).await.status, 204);
            }
            _ => shows(&order, &anna.ticket(&ticket.id).await),
        }
    }
}

#[tokio::test]
async fn a_held_ticket_is_reserved_whatever_version_the_buyer_has_seen() {
    let host = Setup::new().start().await;
    let (anna, berta, carla) = (host.user("anna").await, host.user("berta").await, host.user("carla").await);
    let ticket = anna.sell("x", 1.0).await;
    let order = berta.reserve(&ticket.id).await;
    carla.try_order_version(&ticket.id, 0).await.refuses(400, "Ticket is already reserved");
    anna.ticket_becomes(&ticket.id, TicketStatus::Reserved).await;
    host.settles().await;
    for version in [0, 1, 2] {
        carla.try_order_version(&ticket.id, version).await.refuses(400, "Ticket is already reserved");
    }
    anna.try_order_version(&ticket.id, 7).await.refuses(400, "You cannot buy your own ticket");
    assert_eq!(berta.cancel(&order.id).await.status, 204);
    let free = anna.ticket_becomes(&ticket.id, TicketStatus::Available).await;
    host.settles().await;
    shows(&carla.try_order_version(&ticket.id, 0).await, &free);
}

#[tokio::test]
async fn a_version_is_a_whole_number() {
    let host = Setup::new().start().await;
    let (anna, berta) = (host.user("anna").await, host.user("berta").await);
    let ticket = anna.sell("x", 1.0).await;
    for version in [json!(-1), json!(0.5), json!("0"), json!(true), json!([0]), json!({}), json!(1e300)] {
        let body = json!({ "ticketId": ticket.id, "version": version });
        berta.post("/api/orders", body).await.blames(&["version"]);
    }
    berta.post("/api/orders", json!({ "version": "x" })).await.blames(&["ticketId", "version"]);
    assert!(berta.all("/api/orders").await.is_empty());
}
