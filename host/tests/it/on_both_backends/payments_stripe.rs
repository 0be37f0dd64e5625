//! Payments through Stripe. A server of the tests stands in for Stripe.

use crate::support::{Client, Host, Order, Setup, Status, eventually};
use http::Method;
use serde_json::json;
use std::time::Duration;
use stripe_stand_in::{Endpoint, Fault, Payment, StandIn};

const KEY: &str = "sk_test_thatNobodyMaySeeAnywhere";

struct Shop {
    host: Host,
    stripe: StandIn,
}

impl Shop {
    async fn open() -> Self {
        Self::open_with(|setup| setup).await
    }

    async fn open_with(further: impl FnOnce(Setup) -> Setup) -> Self {
        let stripe = StandIn::start(KEY).await.unwrap();
        let settings = format!("[payments]\nprovider = \"stripe\"\n[payments.stripe]\napi_url = \"{}\"", stripe.url());
        let host = further(Setup::new().toml(&settings).variable("STRIPE_KEY", KEY)).start().await;
        Self { host, stripe }
    }

    async fn reserved(&self) -> (Client, Client, Order) {
        let (seller, buyer) = (self.host.user("seller").await, self.host.user("buyer").await);
        let ticket = seller.sell("x", 10.0).await;
        let order = buyer.reserve(&ticket.id).await;
        (seller, buyer, order)
    }

    /// The payments of an order that have a card.
    fn of(&self, order: &Order) -> Vec<Payment> {
        let mut payments = self.stripe.payments();
        let key = format!("ticketing_key=payments/{}:", order.id);
        payments.retain(|payment| payment.metadata.iter().any(|pair| pair.starts_with(&key)));
        payments
    }

    /// Waits until the single payment of an order has this status and sum.
    async fn ends_as(&self, order: &Order, status: &str, received: u64) {
        let what = format!("the payment is {status}");
        let ends = |payments: &Vec<Payment>| payments.len() == 1 && payments[0].status == status;
        let payments = eventually(&what, async || self.of(order), ends).await;
        assert_eq!((payments[0].received, payments[0].refunded), (received, 0));
    }
}

async fn is_unknown(buyer: &Client, order: &Order) {
    let reply = buyer.try_pay(&order.id, "tok_visa").await;
    assert_eq!((reply.status, reply.errors().len()), (503, 1), "{reply:?}");
}

#[tokio::test]
async fn an_order_is_paid_through_stripe_to_the_cent() {
    let shop = Shop::open().await;
    let (seller, buyer) = (shop.host.user("seller").await, shop.host.user("buyer").await);
    let ticket = seller.sell("Kraftwerk", 19.99).await;
    let order = buyer.reserve(&ticket.id).await;
    let reply = buyer.try_pay(&order.id, "pm_card_visa").await;
    assert_eq!(reply.status, 201, "{reply:?}");
    buyer.order_becomes(&order.id, Status::Complete).await;
    shop.ends_as(&order, "succeeded", 1_999).await;
    assert!(shop.host.setup.data().join("payments.db").exists() || crate::support::on_postgres());
}

#[tokio::test]
async fn a_card_that_stripe_declines_is_refused_and_another_one_pays() {
    let shop = Shop::open().await;
    let (_, buyer, order) = shop.reserved().await;
    for (token, message) in [
        ("tok_chargeDeclinedInsufficientFunds", "Your card has insufficient funds."),
        ("tok_chargeDeclined", "Your card was declined."),
        ("tok_threeDSecure2Required", "Your card was declined. This transaction requires authentication."),
    ] {
        buyer.try_pay(&order.id, token).await.refuses(402, message);
    }
    buyer.try_pay(&order.id, "tok_thatNobodyKnows").await.blames(&["token"]);
    buyer.pay(&order.id).await;
    buyer.order_becomes(&order.id, Status::Complete).await;
    let charged = async || {
        let mut payments = shop.of(&order);
        payments.retain(|payment| payment.status != "requires_payment_method");
        payments
    };
    let taken = |payments: &Vec<Payment>| payments.iter().all(|payment| payment.status == "succeeded");
    assert_eq!(eventually("the money is captured", charged, taken).await.len(), 1);
}

#[tokio::test]
async fn a_charge_at_stripe_whose_answer_is_lost_is_made_once() {
    let shop = Shop::open().await;
    for fault in [Fault::CutAfter, Fault::CutBefore, Fault::ErrorAfter] {
        let (_, buyer, order) = shop.reserved().await;
        shop.stripe.next(Endpoint::Confirm, fault);
        is_unknown(&buyer, &order).await;
        buyer.order_becomes(&order.id, Status::Complete).await;
        shop.ends_as(&order, "succeeded", 1_000).await;
    }
}

#[tokio::test]
async fn an_order_that_is_cancelled_while_stripe_is_at_work_is_not_charged() {
    let shop = Shop::open().await;
    let (seller, buyer, order) = shop.reserved().await;
    shop.stripe.next(Endpoint::Confirm, Fault::Late(Duration::from_secs(2)));
    let (paid, ()) = futures::join!(buyer.try_pay(&order.id, "tok_visa"), async {
        eventually(
            "the money is reserved",
            async || shop.of(&order),
            |payments| payments.iter().any(|payment| payment.status == "requires_capture"),
        )
        .await;
        assert_eq!(buyer.cancel(&order.id).await.status, 204);
    });
    paid.refuses(400, "Cannot pay for a cancelled order");
    buyer.order_becomes(&order.id, Status::Cancelled).await;
    shop.ends_as(&order, "canceled", 0).await;
    seller.ticket_when("the ticket is free", &order.ticket.id, |ticket| ticket.order_id.is_none()).await;
}

#[tokio::test]
async fn a_host_that_is_killed_between_charge_and_record_has_charged_once() {
    let mut shop = Shop::open().await;
    let (_, buyer, order) = shop.reserved().await;
    shop.stripe.next(Endpoint::Confirm, Fault::Late(Duration::from_secs(600)));
    let pay = {
        let (buyer, order) = (buyer.clone(), order.id.clone());
        tokio::spawn(async move {
            let body = json!({ "orderId": order, "token": "tok_visa" });
            while let Some(reply) = buyer.attempt(Method::POST, "/api/payments", Some(body.clone())).await {
                assert_eq!(reply.status, 404, "`payments` does not know the order yet: {reply:?}");
            }
        })
    };
    eventually(
        "the money is reserved",
        async || shop.of(&order),
        |payments| payments.iter().any(|payment| payment.status == "requires_capture"),
    )
    .await;
    shop.host.kill().await;
    pay.await.unwrap();
    shop.host.start_again().await;
    shop.host.again(&buyer).order_becomes(&order.id, Status::Complete).await;
    shop.ends_as(&order, "succeeded", 1_000).await;
}

#[tokio::test]
async fn a_key_that_stripe_does_not_accept_is_reported_to_operators_alone_and_loses_nothing() {
    let shop = Shop::open().await;
    let (_, buyer, order) = shop.reserved().await;
    shop.stripe.change_key("sk_test_anotherOneAltogether");
    is_unknown(&buyer, &order).await;
    let told = |log: &String| log.contains("ERROR") && log.contains("set STRIPE_KEY to a key with");
    eventually("the log says it to the operator", async || shop.host.log(), told).await;
    shop.stripe.change_key(KEY);
    buyer.order_becomes(&order.id, Status::Complete).await;
    shop.ends_as(&order, "succeeded", 1_000).await;
    assert!(!shop.host.log().contains("thatNobodyMaySee"), "the key is in the log");
}

#[tokio::test]
async fn an_amount_that_stripe_does_not_take_is_blamed_and_the_card_is_not() {
    let shop = Shop::open_with(|setup| setup.flag("--set=tickets.minimum-price-cents=1")).await;
    let (seller, buyer) = (shop.host.user("seller").await, shop.host.user("buyer").await);
    let ticket = seller.sell("x", 0.3).await;
    let order = buyer.reserve(&ticket.id).await;
    for token in ["tok_visa", "pm_card_visa"] {
        let reply = buyer.try_pay(&order.id, token).await;
        let (message, field) = reply.errors().remove(0);
        assert!(reply.status == 400 && message.contains("does not take this amount") && field.is_none(), "{reply:?}");
    }
    assert!(shop.of(&order).is_empty());
}
