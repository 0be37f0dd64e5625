//! Typed events, and the dispatch of a received event to its handler.

use std::ops::Deref;

use crate::bindings::imports::platform::identity::identity;
use crate::bindings::imports::platform::store::sql;
use crate::bindings::messaging::platform::messaging::types;
use crate::error::Error;
use crate::store::Tx;

pub use crate::payload::Payload;
pub use types::{Disposition, Event};

/// The result of an event handler or a timer handler.
pub type Handled = Result<(), Disposition>;

/// One delivery of an event, with its parsed payload.
pub struct Delivery<P> {
    payload: P,
    /// The number of this delivery of the event. The first one is 1.
    pub delivery_attempt: u32,
}

impl<P> Deref for Delivery<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.payload
    }
}

/// Finds the handler of an event by its subject.
///
/// ```
/// # use ticketing_sdk::messaging::{Delivery, Dispatch, Event, Handled, Payload};
/// # use ticketing_sdk::store::Tx;
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Greeted {
///     name: String,
/// }
///
/// impl Payload for Greeted {
///     const SUBJECT: &'static str = "greeting.made";
/// }
///
/// fn greeted(event: &Delivery<Greeted>, tx: &Tx<'_>) -> Handled {
///     Ok(tx.schedule(&event.name, 0, &"answer")?)
/// }
///
/// fn handle(event: Event, tx: &Tx<'_>) -> Handled {
///     Dispatch::of(event, tx).to(greeted).finish()
/// }
/// ```
pub struct Dispatch<'a> {
    event: Event,
    tx: &'a Tx<'a>,
    result: Option<Handled>,
}

impl<'a> Dispatch<'a> {
    /// Starts with an event and the transaction of its handler.
    pub fn of(event: Event, tx: &'a Tx<'a>) -> Self {
        Self { event, tx, result: None }
    }

    /// Calls the handler if the event has its subject. An event whose payload
    /// cannot be parsed is rejected, because a retry cannot help.
    #[must_use]
    pub fn to<P: Payload>(mut self, handler: impl FnOnce(&Delivery<P>, &Tx<'_>) -> Handled) -> Self {
        if self.result.is_none() && self.event.subject == P::SUBJECT {
            self.result = Some(match serde_json::from_slice(&self.event.payload) {
                Ok(payload) => {
                    let delivery_attempt = self.event.attempt;
                    handler(&Delivery { payload, delivery_attempt }, self.tx)
                }
                Err(error) => Err(Disposition::Reject(format!("the payload cannot be parsed: {error}"))),
            });
        }
        self
    }

    /// The result of the handler. An event without a handler is rejected.
    pub fn finish(self) -> Handled {
        self.result
            .unwrap_or_else(|| Err(Disposition::Reject(format!("no handler for the subject `{}`", self.event.subject))))
    }
}

/// A temporary error leads to a retry. Any other error rejects the event at
/// once.
impl From<Error> for Disposition {
    fn from(error: Error) -> Self {
        match error {
            Error::Conflict
            | Error::Unavailable(_)
            | Error::Store(sql::Error::Conflict | sql::Error::Timeout | sql::Error::Unavailable(_))
            | Error::Identity(identity::Error::Throttled(_) | identity::Error::Unavailable(_)) => Self::Retry(None),
            error => Self::Reject(error.detail()),
        }
    }
}
