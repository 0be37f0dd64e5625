//! Users who sell, edit and buy at random, as load for a host that suffers a
//! fault.

use super::{Acknowledged, Client, Host, Reply};
use http::Method;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinHandle;

/// A buyer and a seller who send requests, in a task of their own, until their
/// connection breaks.
pub(crate) struct Load(JoinHandle<()>);

impl Load {
    pub(crate) fn start(host: &Host, seller: &Client, buyer: &Client, acknowledged: &Arc<Acknowledged>) -> Self {
        Self::start_with(host, seller, buyer, acknowledged, StdRng::from_rng(&mut rand::rng()))
    }

    /// Starts the load with random choices that can be repeated.
    pub(crate) fn start_with(
        host: &Host,
        seller: &Client,
        buyer: &Client,
        acknowledged: &Arc<Acknowledged>,
        random: StdRng,
    ) -> Self {
        let acknowledged = acknowledged.clone();
        let mut users = Users { seller: host.again(seller), buyer: host.again(buyer), acknowledged, random };
        Self(tokio::spawn(async move { while users.step().await.is_some() {} }))
    }

    pub(crate) fn has_broken_off(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits until the connection breaks, and panics if an answer was wrong.
    pub(crate) async fn breaks_off(self) {
        self.0.await.unwrap();
    }

    /// Ends the load. Panics if the connection broke or an answer was wrong.
    pub(crate) async fn stop(self) {
        assert!(!self.has_broken_off(), "a connection broke");
        self.stop_if_running().await;
    }

    /// Ends the load, whose connection may be broken. Panics if an answer was
    /// wrong.
    pub(crate) async fn stop_if_running(self) {
        self.0.abort();
        assert!(self.0.await.err().is_none_or(|error| error.is_cancelled()), "an answer was wrong");
    }
}

struct Users {
    seller: Client,
    buyer: Client,
    acknowledged: Arc<Acknowledged>,
    random: StdRng,
}

impl Users {
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
            self.acknowledged.record_ticket(&reply.id(), 0);
        }
        Some(())
    }

    async fn edit(&mut self) -> Option<()> {
        let Some(ticket) = self.acknowledged.some_ticket(&mut self.random) else { return Some(()) };
        let body = json!({ "title": "y", "price": 10 });
        let reply = self.seller.attempt(Method::PUT, &format!("/api/tickets/{ticket}"), Some(body)).await?;
        expect(&reply, &[200, 400]);
        if reply.status == 200 {
            self.acknowledged.record_ticket(&ticket, reply.ticket().version);
        }
        Some(())
    }

    async fn buy(&mut self) -> Option<()> {
        let Some(ticket) = self.acknowledged.some_ticket(&mut self.random) else { return self.sell().await };
        let body = json!({ "ticketId": ticket });
        let reply = self.buyer.attempt(Method::POST, "/api/orders", Some(body)).await?;
        expect(&reply, &[201, 400, 404]);
        if reply.status != 201 {
            return Some(());
        }
        let order = reply.id();
        self.acknowledged.record_order(&order, &ticket);
        match self.random.random_range(0..5) {
            0..2 => self.pay(&order).await,
            2..4 => self.cancel(&order).await,
            _ => {
                let (paid, cancelled) = tokio::join!(self.pay(&order), self.cancel(&order));
                paid.and(cancelled)
            }
        }
    }

    async fn pay(&self, order: &str) -> Option<()> {
        let body = json!({ "orderId": order, "token": "tok_visa" });
        loop {
            let reply = self.buyer.attempt(Method::POST, "/api/payments", Some(body.clone())).await?;
            expect(&reply, &[201, 202, 400, 404]);
            match reply.status {
                // The event with the order has not reached `payments` yet.
                404 => tokio::time::sleep(Duration::from_millis(2)).await,
                201 => {
                    self.acknowledged.record_payment(order);
                    return Some(());
                }
                _ => return Some(()),
            }
        }
    }

    async fn cancel(&self, order: &str) -> Option<()> {
        let reply = self.buyer.attempt(Method::DELETE, &format!("/api/orders/{order}"), None).await?;
        expect(&reply, &[204, 400]);
        if reply.status == 204 {
            self.acknowledged.record_cancellation(order);
        }
        Some(())
    }
}

#[track_caller]
fn expect(reply: &Reply, statuses: &[u16]) {
    // A host that is about to die may be too busy for a request.
    assert!(statuses.contains(&reply.status) || reply.status == 503, "{reply:?}");
}
