//! The trait of event payloads.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The JSON payload of the events on one subject.
pub trait Payload: Serialize + DeserializeOwned {
    /// The subject.
    const SUBJECT: &'static str;
}
