//! A purchase from the account to the charge.

use crate::support::{Setup, Status};
use serde_json::json;

#[tokio::test]
async fn a_person_buys_a_ticket() {
    let host = Setup::new().expiration_seconds(3).start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("Kraftwerk", 19.99).await;
    assert_eq!(buyer.all("/api/tickets").await.len(), 1);

    let order = buyer.reserve(&ticket.id).await;
    let payment = buyer.try_pay(&order.id, "tok_visa").await;
    assert_eq!(payment.status, 201, "{payment:?}");
    assert_eq!(payment.json(), json!({ "id": payment.id() }));
    let complete = buyer.order_becomes(&order.id, Status::Complete).await;
    assert!(complete.version > order.version);
    host.payment_ledger().await.takes(&order.id, 1_999).await;

    let sold = seller.ticket(&ticket.id).await;
    assert_eq!(sold.order_id, Some(order.id.clone()));
    assert!(buyer.all("/api/tickets").await.is_empty());
    seller.edit(&ticket.id, "too late", 1).await.refuses(400, "Cannot edit a reserved ticket");
    buyer.cancel(&order.id).await.refuses(400, "Cannot cancel a completed order");

    // Another order, made later with the same time to pay, has expired. The end
    // of this one has therefore passed, too.
    let other = seller.sell("later", 1.0).await;
    let later = buyer.reserve(&other.id).await;
    buyer.order_becomes(&later.id, Status::Cancelled).await;
    host.settles().await;
    assert_eq!(buyer.order(&order.id).await, complete);
    assert_eq!(seller.ticket(&ticket.id).await, sold);
    host.payment_ledger().await.takes(&order.id, 1_999).await;
}

#[tokio::test]
async fn a_new_ticket_can_be_bought_and_paid_at_once() {
    let host = Setup::new().start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    for _ in 0..10 {
        let ticket = seller.try_sell("Kraftwerk", 1).await.ticket();
        let order = buyer.try_order(&ticket.id).await;
        assert_eq!(order.status, 201, "{order:?}");
        let body = json!({ "orderId": order.id(), "token": "tok_visa" });
        let payment = buyer.post("/api/payments", body).await;
        assert_eq!(payment.status, 201, "{payment:?}");
        buyer.order_becomes(&order.id(), Status::Complete).await;
    }
}

#[tokio::test]
async fn a_declined_card_is_reported_and_a_second_one_works() {
    let host = Setup::new().start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("Kraftwerk", 42.0).await;
    let order = buyer.reserve(&ticket.id).await;
    for (card, message) in [
        ("tok_chargeDeclined", "Your card was declined."),
        ("tok_chargeDeclinedInsufficientFunds", "Your card has insufficient funds."),
    ] {
        buyer.try_pay(&order.id, card).await.refuses(402, message);
        buyer.order_becomes(&order.id, Status::Created).await;
        seller.edit(&ticket.id, "mine", 1).await.refuses(400, "Cannot edit a reserved ticket");
    }
    buyer.pay(&order.id).await;
    buyer.order_becomes(&order.id, Status::Complete).await;
    host.payment_ledger().await.takes(&order.id, 4_200).await;
}

#[tokio::test]
async fn an_order_can_be_given_up_after_a_decline() {
    let host = Setup::new().start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("Kraftwerk", 42.0).await;
    let order = buyer.reserve(&ticket.id).await;
    assert_eq!(buyer.try_pay(&order.id, "tok_chargeDeclined").await.status, 402);
    assert_eq!(buyer.cancel(&order.id).await.status, 204);
    seller.ticket_when("the ticket is free", &ticket.id, |ticket| ticket.order_id.is_none()).await;
    host.payment_ledger().await.takes(&order.id, 0).await;
}

#[tokio::test]
async fn only_a_user_who_is_signed_in_buys_and_sells() {
    let host = Setup::new().start().await;
    let seller = host.user("seller").await;
    let ticket = seller.sell("Kraftwerk", 42.0).await;
    let visitor = host.visitor();
    assert_eq!(visitor.ticket(&ticket.id).await, ticket);
    visitor.try_sell("x", 1).await.refuses(401, "Not authorized");
    visitor.try_order(&ticket.id).await.refuses(401, "Not authorized");
    visitor.get("/api/orders").await.refuses(401, "Not authorized");
}

#[tokio::test]
async fn a_request_for_a_new_ticket_or_order_waits_for_its_event() {
    let host = Setup::new().start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    for round in 0..20 {
        let ticket = seller.try_sell(&format!("round {round}"), 5.0).await.ticket();
        let order = buyer.try_order(&ticket.id).await;
        assert_eq!(order.status, 201, "{order:?}");
        let body = json!({ "orderId": order.order().id, "token": "tok_visa" });
        let payment = buyer.post("/api/payments", body).await;
        assert_eq!(payment.status, 201, "{payment:?}");
    }
}
