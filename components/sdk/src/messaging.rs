//! Typed events, and the dispatch of a received event to its handler.

use std::ops::Deref;

use serde::de::DeserializeOwned;

use crate::bindings::imports::platform::identity::identity;
use crate::bindings::imports::platform::store::sql;
use crate::bindings::messaging::platform::messaging::types;
use crate::error::Error;
use crate::json;
use crate::store::Tx;
use crate::time::Timestamp;

pub use crate::payload::Payload;
pub use types::{Disposition, Event};

/// The result of an event handler or a timer handler.
pub type Handled = Result<(), Disposition>;

/// One delivery of an event, with its parsed payload. The fields of the payload
/// are fields of the delivery too.
#[derive(Debug)]
pub struct Delivery<P> {
    payload: P,
    /// The id of the event. A redelivery has the same id.
    pub event_id: String,
    /// The name of the component that published it.
    pub source: String,
    /// The time of its publication.
    pub published: Timestamp,
    /// The number of this delivery of the event. The first one is 1.
    pub delivery_attempt: u32,
}

impl<P: DeserializeOwned> Delivery<P> {
    /// Reads the payload of an event, whatever its subject. An event whose payload
    /// is not of the type is rejected: a retry cannot help.
    pub fn of(event: &Event) -> Result<Self, Disposition> {
        Ok(Self {
            payload: read(&event.payload)?,
            event_id: event.id.clone(),
            source: event.source.clone(),
            published: Timestamp(i64::try_from(event.time_ms).unwrap_or(i64::MAX)),
            delivery_attempt: event.attempt,
        })
    }
}

/// Reads the JSON payload of an event or a timer. If it is not of the type, the
/// event or the timer is rejected, and the text names the field that is wrong.
pub fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Disposition> {
    json::read(payload)
        .map_err(|mismatch| Disposition::Reject(format!("the payload is not of the expected type: {mismatch}")))
}

impl<P> Deref for Delivery<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.payload
    }
}

/// Finds the handler of an event by its subject. `events` in
/// [`component!`](crate::component!) does the same.
///
/// ```
/// # use ticketing_sdk::messaging::{Delivery, Dispatch, Event, Handled};
/// # use ticketing_sdk::store::Tx;
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Greeted {
///     name: String,
/// }
///
/// ticketing_sdk::subjects! { "greeting.made": Greeted }
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
            let delivery = Delivery::of(&self.event);
            self.result = Some(delivery.and_then(|delivery| handler(&delivery, self.tx)));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    struct Greeted {
        name: String,
    }

    fn event(payload: &str) -> Event {
        Event {
            id: "e".to_owned(),
            subject: "hello.greeted".to_owned(),
            source: "hello".to_owned(),
            time_ms: 7,
            attempt: 2,
            payload: payload.into(),
        }
    }

    #[test]
    fn a_delivery_has_the_payload_and_the_envelope() {
        let delivery = Delivery::<Greeted>::of(&event(r#"{"name": "anna", "added": "later"}"#)).unwrap();
        assert_eq!((delivery.name.as_str(), delivery.delivery_attempt), ("anna", 2));
        assert_eq!((delivery.event_id.as_str(), delivery.source.as_str()), ("e", "hello"));
        assert_eq!(delivery.published, Timestamp(7));
    }

    #[test]
    fn another_payload_is_rejected_with_the_name_of_the_field() {
        let Err(Disposition::Reject(reason)) = Delivery::<Greeted>::of(&event(r#"{"name": 7}"#)) else {
            panic!("the event should be rejected");
        };
        let expected = "the payload is not of the expected type: name: invalid type: integer `7`, expected a string";
        assert_eq!(reason, expected);
    }

    #[test]
    fn an_error_that_passes_leads_to_a_retry() {
        assert!(matches!(Error::Conflict.into(), Disposition::Retry(None)));
        assert!(matches!(Error::not_found().into(), Disposition::Reject(_)));
    }
}
