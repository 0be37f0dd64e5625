//! Faults that a test injects into requests.

use std::time::Duration;

/// An endpoint of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /v1/payment_intents`
    Create,
    /// `POST /v1/payment_intents/{id}/confirm`
    Confirm,
    /// `POST /v1/payment_intents/{id}/capture`
    Capture,
    /// `POST /v1/payment_intents/{id}/cancel`
    Cancel,
    /// `GET /v1/payment_intents/{id}`
    Retrieve,
    /// `POST /v1/refunds`
    Refund,
    /// `GET /v1/refunds`
    Refunds,
}

impl Endpoint {
    pub(crate) fn of(method: &str, path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        Some(match (method, parts.as_slice()) {
            ("POST", ["v1", "payment_intents"]) => Self::Create,
            ("POST", ["v1", "payment_intents", _, "confirm"]) => Self::Confirm,
            ("POST", ["v1", "payment_intents", _, "capture"]) => Self::Capture,
            ("POST", ["v1", "payment_intents", _, "cancel"]) => Self::Cancel,
            ("GET", ["v1", "payment_intents", _]) => Self::Retrieve,
            ("POST", ["v1", "refunds"]) => Self::Refund,
            ("GET", ["v1", "refunds"]) => Self::Refunds,
            _ => return None,
        })
    }
}

/// A fault of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends before the request has an effect.
    CutBefore,
    /// The connection ends after the request has had its effect.
    CutAfter,
    /// The request has no effect. The answer is 500, and the key keeps it.
    ErrorBefore,
    /// The request has its effect. The answer is 500, and the key keeps it.
    ErrorAfter,
    /// The answer is 429, and the request has no effect.
    Busy,
    /// The request has its effect, and the answer comes late.
    Late(Duration),
    /// The answer is not JSON, like an answer of a proxy.
    Nonsense,
}

/// The faults that wait for their request.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<(Endpoint, Fault)>);

impl Faults {
    pub(crate) fn add(&mut self, endpoint: Endpoint, fault: Fault) {
        self.0.push((endpoint, fault));
    }

    pub(crate) fn take(&mut self, endpoint: Endpoint) -> Option<Fault> {
        let place = self.0.iter().position(|(planned, _)| *planned == endpoint)?;
        Some(self.0.remove(place).1)
    }
}
