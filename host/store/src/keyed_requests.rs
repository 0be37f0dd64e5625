//! Requests with an `Idempotency-Key`: a repetition gets the stored answer and
//! makes nothing a second time.
//!
//! A call with a key claims the key in each of its transactions, so the claim
//! becomes durable with the first change that the call makes. If the host dies,
//! the table shows whether the call has changed anything. Transactions of a
//! component that write run one after another, on all hosts together. So of two
//! calls with one key only one changes anything, wherever they run.

use super::{Error, Transaction, Value, component_sql::SqlEngine, database::Database};
use async_trait::async_trait;
use host_base::clock::now_ms;
use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio_util::sync::CancellationToken;

/// How long an answer is kept.
pub const KEPT_MS: u64 = 24 * 3_600_000;
/// The memory and the disk of a row beside its answer.
pub(crate) const ROW_BYTES: u64 = 300;

/// The keyed requests of one component.
#[async_trait]
pub trait KeyedRequests: SqlEngine {
    /// Waits for the write lock and begins a transaction that records a step of
    /// this call. Returns none if the key belongs to another call.
    async fn begin_step(&self, call: &KeyedCall, step: &KeyedStep) -> Result<Option<Box<dyn Transaction>>, Error>;

    /// Returns the state of the key of this call.
    async fn find_request(&self, call: &KeyedCall) -> Result<KeyState, Error>;

    /// Deletes the requests that began before this time, in bounded steps. Returns
    /// their number.
    async fn prune_requests(&self, before_ms: u64) -> Result<u64, Error>;
}

/// One call with a key. The digests are hexadecimal.
#[derive(Debug, Clone)]
pub struct KeyedCall {
    /// The digest of the route, the visitor and the key.
    pub request: String,
    /// The digest of everything that makes the request different from others.
    pub fingerprint: String,
    /// The digest of the visitor, or of the address of a visitor without a
    /// session. It counts keys.
    pub holder: String,
    /// Distinguishes this call from others with the same key.
    pub attempt: String,
    /// When the call began.
    pub at_ms: u64,
    /// When the call has ended at the latest.
    pub ends_ms: u64,
}

/// A step of a keyed call.
#[derive(Debug, Clone)]
pub enum KeyedStep {
    /// The call claims its key.
    Claim,
    /// The call has this answer. It claims the key if it did not claim it before.
    Answer(Vec<u8>),
    /// The call has ended without an answer to keep. The claim stays. It does
    /// nothing if there is no claim.
    End,
    /// The call has ended, and the component says that a repetition is safe.
    /// Nobody has the key then.
    Forget,
}

/// The state of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyState {
    /// Nobody used it.
    Unused,
    /// Nobody used it, and the visitor has used too many others.
    TooMany,
    /// Another request used it.
    OtherRequest,
    /// A call with this request has changed something and may still run.
    Running,
    /// A call with this request has changed something, and its answer was not
    /// kept.
    NoAnswer,
    /// The answer to this request.
    Answered(Vec<u8>),
}

impl KeyedCall {
    /// Older requests count as deleted.
    pub(crate) fn since_ms(&self) -> u64 {
        self.at_ms.saturating_sub(KEPT_MS)
    }
}

impl KeyState {
    /// The state that follows from the columns of a query: the number of keys of
    /// the holder, and the fingerprint, the end and the answer of the request.
    pub(crate) fn of(call: &KeyedCall, columns: Vec<Value>, most_keys: u64) -> Self {
        let mut columns = columns.into_iter();
        let held = columns.next();
        match (columns.next(), columns.next(), columns.next()) {
            (Some(Value::Text(fingerprint)), _, _) if fingerprint != call.fingerprint => Self::OtherRequest,
            (Some(Value::Text(_)), _, Some(Value::Blob(answer))) => Self::Answered(answer),
            (Some(Value::Text(_)), Some(Value::Integer(ends_ms)), _) if ends_ms.cast_unsigned() > now_ms() => {
                Self::Running
            }
            (Some(Value::Text(_)), _, _) => Self::NoAnswer,
            _ if matches!(held, Some(Value::Integer(held)) if held.cast_unsigned() >= most_keys) => Self::TooMany,
            _ => Self::Unused,
        }
    }
}

/// The claim of a call that runs. All transactions of the call make it.
pub struct RequestClaim {
    database: Arc<dyn Database>,
    call: KeyedCall,
    has_begun: AtomicBool,
    taken: CancellationToken,
}

impl RequestClaim {
    /// The claim of this call. Nothing is durable yet.
    pub fn new(database: Arc<dyn Database>, call: KeyedCall) -> Self {
        Self { database, call, has_begun: AtomicBool::new(false), taken: CancellationToken::new() }
    }

    /// Returns the state of the key.
    ///
    /// # Errors
    /// The database is unavailable, or the component has too many keys.
    pub async fn state(&self) -> Result<KeyState, Error> {
        self.database.find_request(&self.call).await
    }

    /// Waits until a transaction of this call finds that the key belongs to
    /// another call. The host then ends this call.
    pub async fn taken(&self) {
        self.taken.cancelled().await;
    }

    /// Begins a transaction of the call. If the key belongs to another call, it
    /// never returns.
    pub(crate) async fn begin(&self) -> Result<Box<dyn Transaction>, Error> {
        match self.database.begin_step(&self.call, &KeyedStep::Claim).await? {
            Some(transaction) => {
                self.has_begun.store(true, Ordering::Release);
                Ok(transaction)
            }
            None => {
                self.taken.cancel();
                pending().await
            }
        }
    }

    /// Stores the answer of the call. Returns false if the key belongs to another
    /// call.
    ///
    /// # Errors
    /// The database is unavailable or over its quota.
    pub async fn answer(&self, answer: Vec<u8>) -> Result<bool, Error> {
        self.record(&KeyedStep::Answer(answer)).await
    }

    /// Ends the call without an answer. If it has changed something, repetitions
    /// learn that.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn end(&self) -> Result<(), Error> {
        self.record_if_begun(&KeyedStep::End).await
    }

    /// Ends the call and gives the key back, because the component says that a
    /// repetition is safe.
    ///
    /// # Errors
    /// The database is unavailable.
    pub async fn forget(&self) -> Result<(), Error> {
        self.record_if_begun(&KeyedStep::Forget).await
    }

    async fn record_if_begun(&self, step: &KeyedStep) -> Result<(), Error> {
        match self.has_begun.load(Ordering::Acquire) {
            true => self.record(step).await.map(drop),
            false => Ok(()),
        }
    }

    async fn record(&self, step: &KeyedStep) -> Result<bool, Error> {
        match self.database.begin_step(&self.call, step).await? {
            Some(transaction) => transaction.commit().await.map(|()| true),
            None => Ok(false),
        }
    }
}
