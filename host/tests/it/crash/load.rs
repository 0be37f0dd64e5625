//! What a buyer does until the connection breaks.

use super::facts::{End, Facts};
use crate::support::{Client, Reply};
use http::Method;
use rand::{RngExt, rngs::StdRng};
use serde_json::json;
use std::{sync::Arc, time::Duration};

pub(crate) struct Load {
    pub(crate) seller: Client,
    pub(crate) buyer: Client,
    pub(crate) facts: Arc<Facts>,
    pub(crate) random: StdRng,
}

impl Load {
    pub(crate) async fn run(mut self) {
        while self.step().await.is_some() {}
    }

    /// None when the connection is broken.
    async fn step(&mut self) -> Option<()> {
        match self.random.random_range(0..10) {
            0..3 => self.sell().await,
            3 => self.edit().await,
            _ => self.buy().await,
        }
    }

    async fn sell(&mut self) -> Option<()> {
        let body = json!({ "title": "x", "price": 10 });
        let reply = self.seller.attempt(Method::POST, "/api/tickets", Some(body)).await?;
        expect(&reply, &[201]);
        if reply.status == 201 {
            self.facts.ticket(&reply.id(), 0);
        }
        Some(())
    }

    async fn edit(&mut self) -> Option<()> {
        let Some(ticket) = self.facts.some_ticket(&mut self.random) else { return Some(()) };
        let body = json!({ "title": "y", "price": 10 });
        let reply = self.seller.attempt(Method::PUT, &format!("/api/tickets/{ticket}"), Some(body)).await?;
        expect(&reply, &[200, 400]);
        if reply.status == 200 {
            self.facts.ticket(&ticket, reply.ticket().version);
        }
        Some(())
    }

    async fn buy(&mut self) -> Option<()> {
        let Some(ticket) = self.facts.some_ticket(&mut self.random) else { return self.sell().await };
        let body = json!({ "ticketId": ticket });
        let reply = self.buyer.attempt(Method::POST, "/api/orders", Some(body)).await?;
        expect(&reply, &[201, 400, 404]);
        if reply.status != 201 {
            return Some(());
        }
        let order = reply.id();
        self.facts.order(&order, &ticket);
        match self.random.random_range(0..5) {
            0..2 => self.pay(&order).await,
            2..4 => self.cancel(&order).await,
            _ => {
                let (mut one, mut other) = (self.again(), self.again());
                let (paid, cancelled) = tokio::join!(one.pay(&order), other.cancel(&order));
                paid.and(cancelled)
            }
        }
    }

    fn again(&mut self) -> Self {
        let random = rand::SeedableRng::seed_from_u64(self.random.random());
        Self { seller: self.seller.clone(), buyer: self.buyer.clone(), facts: self.facts.clone(), random }
    }

    async fn pay(&mut self, order: &str) -> Option<()> {
        let body = json!({ "orderId": order, "token": "tok_visa" });
        loop {
            let reply = self.buyer.attempt(Method::POST, "/api/payments", Some(body.clone())).await?;
            expect(&reply, &[201, 400, 404]);
            match reply.status {
                // Payments has not heard of the order.
                404 => tokio::time::sleep(Duration::from_millis(2)).await,
                201 => {
                    self.facts.end(order, End::Paid);
                    return Some(());
                }
                _ => return Some(()),
            }
        }
    }

    async fn cancel(&mut self, order: &str) -> Option<()> {
        let reply = self.buyer.attempt(Method::DELETE, &format!("/api/orders/{order}"), None).await?;
        expect(&reply, &[204, 400]);
        if reply.status == 204 {
            self.facts.end(order, End::Cancelled);
        }
        Some(())
    }
}

#[track_caller]
fn expect(reply: &Reply, statuses: &[u16]) {
    // A host that is dying may be too busy for somebody.
    assert!(statuses.contains(&reply.status) || reply.status == 503, "{reply:?}");
}
