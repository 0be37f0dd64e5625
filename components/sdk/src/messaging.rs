//! Events with their types: what is published, and which function applies
//! what is received.

use std::ops::Deref;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::imports::platform::identity::identity;
use crate::bindings::imports::platform::store::sql;
use crate::bindings::messaging::platform::messaging::types;
use crate::error::Error;
use crate::store::Tx;

pub use types::{Disposition, Event};

/// The outcome of an event or a timer.
pub type Handled = Result<(), Disposition>;

/// What is published on a subject, as JSON.
pub trait Payload: Serialize + DeserializeOwned {
    /// The subject.
    const SUBJECT: &'static str;
}

/// An event with its payload read.
pub struct Delivery<P> {
    payload: P,
    /// Which delivery of this event it is, from 1.
    pub delivery: u32,
}

impl<P> Deref for Delivery<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.payload
    }
}

/// Finds the function for an event by its subject.
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
    handled: Option<Handled>,
}

impl<'a> Dispatch<'a> {
    /// Begins with an event and the transaction to apply it in.
    pub fn of(event: Event, tx: &'a Tx<'a>) -> Self {
        Self { event, tx, handled: None }
    }

    /// Calls the function if the event is of its kind. A payload that cannot
    /// be read never will be, so it is rejected.
    #[must_use]
    pub fn to<P: Payload>(mut self, apply: impl FnOnce(&Delivery<P>, &Tx<'_>) -> Handled) -> Self {
        if self.handled.is_none() && self.event.subject == P::SUBJECT {
            self.handled = Some(match serde_json::from_slice(&self.event.payload) {
                Ok(payload) => {
                    let delivery = self.event.attempt;
                    apply(&Delivery { payload, delivery }, self.tx)
                }
                Err(error) => Err(Disposition::Reject(format!("unreadable payload: {error}"))),
            });
        }
        self
    }

    /// The outcome; an event that nothing was called for is rejected.
    pub fn finish(self) -> Handled {
        self.handled.unwrap_or_else(|| Err(Disposition::Reject(format!("nothing handles `{}`", self.event.subject))))
    }
}

/// What time may cure is tried again; everything else is set aside at once.
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
