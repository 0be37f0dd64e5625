//! What goes wrong with which request.

use std::time::Duration;

/// What is asked for.
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

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends, and nothing has happened.
    CutBefore,
    /// Everything has happened, and then the connection ends.
    CutAfter,
    /// Nothing has happened, and the answer is 500, for this key from now on.
    ErrorBefore,
    /// Everything has happened, and the answer is 500, for this key from now
    /// on.
    ErrorAfter,
    /// Too many requests: 429, and nothing has happened.
    Busy,
    /// Everything happens, and the answer comes late.
    Late(Duration),
    /// The answer is no JSON, as of a proxy.
    Nonsense,
}

/// Those that no request has met yet.
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
