//! The marketplace's API as its users see it.

use super::{Client, Host, Reply, eventually};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

/// An email address that begins with this name and that no other account has.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{name}-{}@example.com", NEXT.fetch_add(1, Ordering::Relaxed))
}

#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Ticket {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) price: f64,
    pub(crate) user_id: String,
    pub(crate) version: i64,
    pub(crate) status: TicketStatus,
    pub(crate) order_id: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TicketStatus {
    Available,
    Reserved,
    Sold,
}

#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Created,
    #[serde(rename = "awaiting:payment")]
    AwaitingPayment,
    Complete,
    Cancelled,
}

#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) status: Status,
    pub(crate) expires_at: String,
    pub(crate) version: i64,
    pub(crate) ticket: OrderedTicket,
}

#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderedTicket {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) price: f64,
    pub(crate) version: i64,
}

impl Reply {
    #[track_caller]
    pub(crate) fn ticket(&self) -> Ticket {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn order(&self) -> Order {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Client {
    pub(crate) async fn try_sell(&self, title: &str, price: impl Into<Value>) -> Reply {
        self.post("/api/tickets", json!({ "title": title, "price": price.into() })).await
    }

    /// Offers a ticket, and waits until it can be bought.
    pub(crate) async fn sell(&self, title: &str, price: f64) -> Ticket {
        let reply = self.try_sell(title, price).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let ticket = reply.ticket();
        self.wait_until_known_to_orders(&ticket.id).await;
        ticket
    }

    /// Waits until `orders` knows the ticket. Until then, the seller's order is
    /// refused with 404. Afterwards it is refused with 400.
    pub(crate) async fn wait_until_known_to_orders(&self, ticket: &str) {
        eventually("`orders` knows the ticket", async || self.try_order(ticket).await.status, |status| *status == 400)
            .await;
    }

    pub(crate) async fn ticket(&self, id: &str) -> Ticket {
        let reply = self.get(&format!("/api/tickets/{id}")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.ticket()
    }

    pub(crate) async fn edit(&self, id: &str, title: &str, price: impl Into<Value>) -> Reply {
        self.put(&format!("/api/tickets/{id}"), json!({ "title": title, "price": price.into() })).await
    }

    pub(crate) async fn ticket_when(&self, what: &str, id: &str, holds: impl Fn(&Ticket) -> bool) -> Ticket {
        eventually(what, async || self.ticket(id).await, holds).await
    }

    pub(crate) async fn ticket_becomes(&self, id: &str, status: TicketStatus) -> Ticket {
        self.ticket_when(&format!("the ticket becomes {status:?}"), id, |ticket| ticket.status == status).await
    }

    pub(crate) async fn withdraw(&self, ticket: &str) -> Reply {
        self.delete(&format!("/api/tickets/{ticket}")).await
    }

    /// Orders the ticket if it still has this version.
    pub(crate) async fn try_order_version(&self, ticket: &str, version: i64) -> Reply {
        self.post("/api/orders", json!({ "ticketId": ticket, "version": version })).await
    }

    pub(crate) async fn try_order(&self, ticket: &str) -> Reply {
        self.post("/api/orders", json!({ "ticketId": ticket })).await
    }

    pub(crate) async fn reserve(&self, ticket: &str) -> Order {
        let reply = self.try_order(ticket).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.order()
    }

    pub(crate) async fn order(&self, id: &str) -> Order {
        let reply = self.get(&format!("/api/orders/{id}")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.order()
    }

    pub(crate) async fn order_when(&self, what: &str, id: &str, holds: impl Fn(&Order) -> bool) -> Order {
        eventually(what, async || self.order(id).await, holds).await
    }

    pub(crate) async fn order_becomes(&self, id: &str, status: Status) -> Order {
        self.order_when(&format!("the order becomes {status:?}"), id, |order| order.status == status).await
    }

    pub(crate) async fn cancel(&self, order: &str) -> Reply {
        self.send(Method::DELETE, &format!("/api/orders/{order}"), None).await
    }

    /// Pays as soon as `payments` knows the order. Until then, the answer is 404
    /// and has no effect.
    pub(crate) async fn try_pay(&self, order: &str, token: &str) -> Reply {
        let body = json!({ "orderId": order, "token": token });
        let pay = async || self.post("/api/payments", body.clone()).await;
        eventually("`payments` knows the order", pay, |reply| reply.status != 404).await
    }

    /// Pays with a good card. Returns the payment's id.
    pub(crate) async fn pay(&self, order: &str) -> String {
        let reply = self.try_pay(order, "tok_visa").await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.id()
    }

    /// All items of a list, collected from its pages.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(page) = next {
            let reply = self.get(&page).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            items.extend(reply.json().as_array().unwrap().iter().cloned());
            next = reply.next_page();
        }
        items
    }
}

impl Host {
    /// Makes a purchase, from the offer to the payment. It takes requests and
    /// events of all components. Returns the order's id.
    pub(crate) async fn makes_a_sale(&self) -> String {
        let (seller, buyer) = (self.user("seller").await, self.user("buyer").await);
        let ticket = seller.sell("x", 10.0).await;
        let order = buyer.reserve(&ticket.id).await;
        buyer.pay(&order.id).await;
        buyer.order_becomes(&order.id, Status::Complete).await;
        order.id
    }
}
