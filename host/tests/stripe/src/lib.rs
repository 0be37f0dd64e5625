//! A stand-in for Stripe: a server on the loopback interface that keeps one
//! account in memory, for as long as its [`StandIn`] lives.
//!
//! The real one is not asked by any test. What this one does was written from
//! Stripe's documentation, and is right as far as that and its reader were:
//!
//! - the states of a payment intent and what leads from one to the next:
//!   <https://docs.stripe.com/payments/paymentintents/lifecycle> and
//!   <https://docs.stripe.com/api/payment_intents>;
//! - refunds: <https://docs.stripe.com/api/refunds>;
//! - idempotency keys, whose first answer is kept and repeated, errors too:
//!   <https://docs.stripe.com/api/idempotent_requests>, and which answers are
//!   not kept: <https://docs.stripe.com/error-low-level>;
//! - errors, their types and codes: <https://docs.stripe.com/api/errors>,
//!   <https://docs.stripe.com/error-codes>;
//! - test cards and what they are declined for:
//!   <https://docs.stripe.com/testing>, <https://docs.stripe.com/declines/codes>.
//!
//! Left out is all that the host does not use: customers, partial captures,
//! webhooks, balances, the search. Tokens may be used again, as test tokens
//! may. Wordings of messages are Stripe's where they were known, and nothing
//! depends on them.

mod account;
mod answer;
mod cards;
mod faults;
mod server;

pub use account::Payment;
pub use faults::{Endpoint, Fault};

use account::Account;
use faults::Faults;
use server::Memory;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{net::TcpListener, task::JoinHandle};

/// A request as it arrived, whatever came of it.
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

/// The server. It ends when this is dropped.
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
    /// Starts one, for whoever has this secret key.
    ///
    /// # Errors
    /// When there is no port for it.
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

    /// What takes the place of `https://api.stripe.com`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next request to this endpoint that has none yet meets this fault.
    pub fn next(&self, endpoint: Endpoint, fault: Fault) {
        locked(&self.shared.faults).add(endpoint, fault);
    }

    /// Forgets every idempotency key, as Stripe may after 24 hours.
    pub fn forget_keys(&self) {
        *locked(&self.shared.memory) = Memory::default();
    }

    /// Only this secret key is good from now on.
    pub fn change_key(&self, key: &str) {
        key.clone_into(&mut locked(&self.shared.key));
    }

    /// What somebody does in the dashboard: captures what is reserved.
    pub fn captures_by_hand(&self, id: &str) {
        locked(&self.shared.account).capture_by_hand(id);
    }

    /// What happens to a reservation that nobody has captured in seven days.
    pub fn lets_expire(&self, id: &str) {
        locked(&self.shared.account).expire(id);
    }

    /// The payment intents, oldest first.
    pub fn payments(&self) -> Vec<Payment> {
        locked(&self.shared.account).payments()
    }

    /// Everything that was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        locked(&self.shared.requests).clone()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A test that has failed must not hide what the others find.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
