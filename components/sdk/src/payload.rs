//! The trait of event payloads.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The JSON payload of the events on one subject.
pub trait Payload: Serialize + DeserializeOwned {
    /// The subject.
    const SUBJECT: &'static str;
}

/// Says which type is the payload of a subject.
///
/// ```
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Greeted {
///     name: String,
/// }
///
/// ticketing_sdk::subjects! { "hello.greeted": Greeted }
/// # use ticketing_sdk::messaging::Payload;
/// # assert_eq!(Greeted::SUBJECT, "hello.greeted");
/// ```
#[macro_export]
macro_rules! subjects {
    ($($subject:literal: $payload:ty),* $(,)?) => {
        $(impl $crate::messaging::Payload for $payload {
            const SUBJECT: &'static str = $subject;
        })*
    };
}
