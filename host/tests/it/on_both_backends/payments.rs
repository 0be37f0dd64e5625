//! Payments and their refusals.

use crate::support::{Client, Host, Order, Setup, Status};
use serde_json::json;

async fn reserved(host: &Host, price: f64) -> (Client, Client, Order) {
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("Kraftwerk", price).await;
    let order = buyer.reserve(&ticket.id).await;
    (seller, buyer, order)
}

#[tokio::test]
async fn an_order_is_paid_once() {
    let host = Setup::new().start().await;
    let (_, buyer, order) = reserved(&host, 10.0).await;
    buyer.pay(&order.id).await;
    buyer.try_pay(&order.id, "tok_visa").await.refuses(400, "The order is already paid");
    buyer.order_becomes(&order.id, Status::Complete).await;
    buyer.try_pay(&order.id, "tok_mastercard").await.refuses(400, "The order is already paid");
    host.payment_ledger().await.takes(&order.id, 1_000).await;
    assert_eq!(host.payment_ledger().await.of(&order.id).await.len(), 1);
}

#[tokio::test]
async fn the_order_of_another_cannot_be_paid() {
    let host = Setup::new().start().await;
    let (seller, buyer, order) = reserved(&host, 10.0).await;
    seller.try_pay(&order.id, "tok_visa").await.refuses(401, "Not authorized");
    assert_eq!(buyer.order(&order.id).await, order);
    assert!(host.payment_ledger().await.of(&order.id).await.is_empty());
}

#[tokio::test]
async fn a_cancelled_order_cannot_be_paid() {
    let host = Setup::new().start().await;
    let (_, buyer, order) = reserved(&host, 10.0).await;
    assert_eq!(buyer.cancel(&order.id).await.status, 204);
    host.settles().await;
    buyer.try_pay(&order.id, "tok_visa").await.refuses(400, "Cannot pay for a cancelled order");
    assert!(host.payment_ledger().await.of(&order.id).await.is_empty());
}

#[tokio::test]
async fn a_payment_names_an_order_and_a_card() {
    let host = Setup::new().start().await;
    let (_, buyer, order) = reserved(&host, 10.0).await;
    let pay = async |body| buyer.post("/api/payments", body).await;
    pay(json!({})).await.blames(&["orderId", "token"]);
    pay(json!({ "orderId": 1, "token": null })).await.blames(&["orderId", "token"]);
    pay(json!({ "orderId": order.id, "token": "" })).await.blames(&["token"]);
    pay(json!({ "orderId": "018bcfe5-6800-7000-8000-000000000000", "token": "tok_visa" }))
        .await
        .refuses(404, "Not Found");
    buyer.try_pay(&order.id, "tok_that_nobody_knows").await.blames(&["token"]);
    buyer.order_becomes(&order.id, Status::Created).await;
    buyer.pay(&order.id).await;
    buyer.order_becomes(&order.id, Status::Complete).await;
}

#[tokio::test]
async fn amounts_are_exact_up_to_the_highest_price() {
    let host = Setup::new().start().await;
    for (price, cents) in [(19.99, 1_999), (0.5, 50), (4.35, 435), (1.15, 115), (999_999.99, 99_999_999)] {
        let (_, buyer, order) = reserved(&host, price).await;
        buyer.pay(&order.id).await;
        host.payment_ledger().await.takes(&order.id, cents).await;
    }
}

#[tokio::test]
async fn an_order_that_cannot_be_charged_blames_the_amount_and_not_the_card() {
    let host = Setup::new().flag("--set=tickets.minimum-price-cents=1").start().await;
    for price in [0.01, 0.49] {
        let (_, buyer, order) = reserved(&host, price).await;
        for token in ["tok_visa", "tok_chargeDeclined", "tok_that_nobody_knows"] {
            let reply = buyer.try_pay(&order.id, token).await;
            assert_eq!(reply.status, 400, "{token}: {reply:?}");
            let (message, field) = reply.errors().remove(0);
            assert!(message.contains("does not take this amount") && field.is_none(), "{token}: {reply:?}");
        }
        assert!(host.payment_ledger().await.of(&order.id).await.is_empty());
        buyer.order_becomes(&order.id, Status::Created).await;
        assert_eq!(buyer.cancel(&order.id).await.status, 204);
    }
}
