//! The status of a ticket: available, reserved or sold.

use super::events::{forged, publish};
use crate::support::{Client, Host, Order, Setup, Status, Ticket, TicketStatus, edit_database};
use serde_json::{Value, json};

/// Sells a ticket. Returns the seller, the ticket and the order.
async fn sold(host: &Host) -> (Client, Ticket, Order) {
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("x", 10.0).await;
    let order = buyer.reserve(&ticket.id).await;
    buyer.pay(&order.id).await;
    let ticket = seller.ticket_becomes(&ticket.id, TicketStatus::Sold).await;
    (seller, ticket, order)
}

#[tokio::test]
async fn a_ticket_is_available_then_reserved_then_sold() {
    let host = Setup::new().start().await;
    let (anna, berta, carla) = (host.user("anna").await, host.user("berta").await, host.user("carla").await);
    let ticket = anna.sell("x", 10.0).await;
    assert_eq!((ticket.status, ticket.version), (TicketStatus::Available, 0));
    let given_up = berta.reserve(&ticket.id).await;
    let held = host.visitor().ticket_becomes(&ticket.id, TicketStatus::Reserved).await;
    assert_eq!((held.order_id, held.version), (Some(given_up.id.clone()), 1));
    assert_eq!(berta.cancel(&given_up.id).await.status, 204);
    let free = anna.ticket_becomes(&ticket.id, TicketStatus::Available).await;
    assert_eq!((free.order_id, free.version), (None, 2));

    let order = carla.reserve(&ticket.id).await;
    // The end of a sale can overtake its beginning, and the two are one version then.
    anna.ticket_becomes(&ticket.id, TicketStatus::Reserved).await;
    carla.pay(&order.id).await;
    carla.order_becomes(&order.id, Status::Complete).await;
    let sold = anna.ticket_becomes(&ticket.id, TicketStatus::Sold).await;
    assert_eq!((sold.order_id, sold.version), (Some(order.id), 4));
    anna.edit(&ticket.id, "y", 20).await.refuses(400, "Cannot edit a reserved ticket");
    anna.withdraw(&ticket.id).await.refuses(400, "Cannot withdraw a sold ticket");
    berta.try_order(&ticket.id).await.refuses(400, "Ticket is already reserved");
    assert!(host.visitor().all("/api/tickets").await.is_empty());
    host.settles().await;
    assert!(host.dead_letters().await.is_empty());
}

#[tokio::test]
async fn tickets_that_were_sold_before_tickets_had_a_status_are_sold() {
    let mut host = Setup::new().expiration_seconds(900).start().await;
    let (seller, ticket, order) = sold(&host).await;
    let more = [sold(&host).await, sold(&host).await];
    let buyer = host.user("carla").await;
    let open = seller.sell("open", 10.0).await;
    let open_order = buyer.reserve(&open.id).await;
    seller.ticket_becomes(&open.id, TicketStatus::Reserved).await;
    host.settles().await;
    host.stop().await;
    // The rows as earlier revisions have left them: a sale changed no ticket.
    edit_database(&host.setup, "components/tickets.db", async |database| {
        for update in ["UPDATE tickets SET version = version - 1 WHERE sold = 1", "UPDATE tickets SET sold = NULL"] {
            sqlx::query(update).execute(&mut *database).await.unwrap();
        }
    })
    .await;
    host.start_again().await;

    let (seller, buyer) = (host.again(&seller), host.again(&buyer));
    assert_eq!(host.visitor().ticket(&ticket.id).await, ticket, "the first answer is right");
    assert_eq!(ticket.order_id, Some(order.id));
    for (seller, ticket, _) in &more {
        let listed = host.again(seller).all("/api/tickets?seller=me").await;
        assert_eq!(listed.iter().map(|ticket| &ticket["status"]).collect::<Vec<_>>(), ["sold"]);
        host.again(seller).edit(&ticket.id, "y", 20).await.refuses(400, "Cannot edit a reserved ticket");
    }
    assert_eq!(seller.ticket(&open.id).await.status, TicketStatus::Reserved);
    buyer.pay(&open_order.id).await;
    seller.ticket_becomes(&open.id, TicketStatus::Sold).await;
    host.settles().await;
    assert!(host.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_sale_is_applied_once_in_whatever_order_its_events_arrive() {
    let mut host = Setup::new().start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("x", 10.0).await;
    host.settles().await;
    let id = "018bcfe5-6800-7000-8000-00000000000a";
    let named = json!({ "id": ticket.id });
    let created = json!({
        "id": id, "version": 0, "status": "created", "userId": buyer.id, "expiresAt": "2099-01-01T00:00:00.000Z",
        "ticket": { "id": ticket.id, "amount": 1_000, "currency": "usd" },
    });
    let completed = json!({ "id": id, "version": 2, "ticket": named });
    // The handlers of events that are there at once run beside each other. So the end of the
    // sale is applied before its beginning is published.
    publish(&mut host, "orders", &[forged("order.completed", &completed)]).await;
    host.settles().await;
    let late: [(&str, &Value); 4] = [
        ("order.created", &created),
        ("order.completed", &completed),
        ("order.created", &created),
        ("order.cancelled", &json!({ "id": id, "version": 3, "ticket": named, "reason": "user" })),
    ];
    publish(&mut host, "orders", &late.map(|(subject, payload)| forged(subject, payload))).await;
    host.settles().await;
    let sold = host.again(&seller).ticket(&ticket.id).await;
    assert_eq!((sold.status, sold.order_id.as_deref(), sold.version), (TicketStatus::Sold, Some(id), 1));
    assert!(host.dead_letters().await.is_empty());
}
