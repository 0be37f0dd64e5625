//! A stand-in for Stripe: a server on the loopback interface that keeps one
//! account in memory, for as long as its [`StandIn`] lives.
//!
//! No test sends requests to Stripe. The stand-in follows Stripe's documentation,
//! as far as its author understood it:
//!
//! - the states of a payment intent and the transitions between them:
//!   <https://docs.stripe.com/payments/paymentintents/lifecycle> and
//!   <https://docs.stripe.com/api/payment_intents>;
//! - refunds: <https://docs.stripe.com/api/refunds>;
//! - idempotency keys, which keep and repeat the first answer, errors too:
//!   <https://docs.stripe.com/api/idempotent_requests>, and the answers that
//!   they do not keep: <https://docs.stripe.com/error-low-level>;
//! - errors, their types and codes: <https://docs.stripe.com/api/errors>,
//!   <https://docs.stripe.com/error-codes>;
//! - test cards and the reasons of their declines:
//!   <https://docs.stripe.com/testing>, <https://docs.stripe.com/declines/codes>.
//!
//! The stand-in leaves out everything that the host does not use: customers,
//! partial captures, webhooks, balances and the search. A token can be used more
//! than once, like Stripe's test tokens. Messages are Stripe's where they were
//! known, and no test depends on them.

mod account;
mod answer;
mod cards;
mod faults;
mod server;

pub use account::Payment;
pub use faults::{Endpoint, Fault};

use account::Account;
use faults::Faults;
use parking_lot::Mutex;
use server::Memory;
use std::{net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, task::JoinHandle};

/// A request as it arrived, with any outcome.
#[derive(Debug, Clone)]
pub struct Request {
    /// Such as `POST`.
    pub method: String,
    /// Such as `/v1/payment_intents`.
    pub path: String,
    /// The header `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// The header `Stripe-Version`.
    pub version: Option<String>,
    /// The parameters, decoded, as `name=value`.
    pub parameters: Vec<String>,
}

/// The server. It ends when this value is dropped.
#[derive(Debug)]
pub struct StandIn {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

/// What all requests look at.
#[derive(Debug)]
struct Shared {
    key: Mutex<String>,
    account: Mutex<Account>,
    memory: Mutex<Memory>,
    faults: Mutex<Faults>,
    requests: Mutex<Vec<Request>>,
}

impl StandIn {
    /// Starts a server that accepts this secret key.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(key: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let shared = Arc::new(Shared {
            key: Mutex::new(key.to_owned()),
            account: Mutex::default(),
            memory: Mutex::default(),
            faults: Mutex::default(),
            requests: Mutex::default(),
        });
        let address = listener.local_addr()?;
        let router = server::router(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            // It ends with its task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, shared, serving })
    }

    /// The URL that replaces `https://api.stripe.com`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Injects a fault into the next request to this endpoint. Several faults
    /// apply to several requests, in order.
    pub fn next(&self, endpoint: Endpoint, fault: Fault) {
        self.shared.faults.lock().add(endpoint, fault);
    }

    /// Forgets every idempotency key, as Stripe may after 24 hours.
    pub fn forget_keys(&self) {
        *self.shared.memory.lock() = Memory::default();
    }

    /// Accepts only this secret key from now on.
    pub fn change_key(&self, key: &str) {
        key.clone_into(&mut self.shared.key.lock());
    }

    /// Captures a reserved payment, as somebody may do in the dashboard.
    pub fn captures_by_hand(&self, id: &str) {
        self.shared.account.lock().capture_by_hand(id);
    }

    /// Lets a reservation expire, as Stripe does after seven days without a
    /// capture.
    pub fn lets_expire(&self, id: &str) {
        self.shared.account.lock().expire(id);
    }

    /// The payment intents, oldest first.
    pub fn payments(&self) -> Vec<Payment> {
        self.shared.account.lock().payments()
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().clone()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
