//! Answers of the API.

use serde_json::{Value, json};

/// A status with its body.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// Whether the idempotency key keeps this answer. It does not if the request
    /// was refused before its execution.
    pub(crate) is_kept: bool,
}

impl Answer {
    pub(crate) fn ok(body: &Value) -> Self {
        Self { status: 200, body: body.to_string(), is_kept: true }
    }

    /// An error, by the fields of its object.
    pub(crate) fn error(status: u16, error: Value) -> Self {
        Self { status, body: json!({ "error": error }).to_string(), is_kept: true }
    }

    pub(crate) fn invalid(code: &str, message: &str) -> Self {
        Self::error(400, json!({ "type": "invalid_request_error", "code": code, "message": message }))
    }

    pub(crate) fn broken() -> Self {
        Self::error(
            500,
            json!({ "type": "api_error", "message": "Sorry! There was an error while talking to one of our backends." }),
        )
    }

    /// The same answer, which the idempotency key does not keep.
    pub(crate) fn not_kept(self) -> Self {
        Self { is_kept: false, ..self }
    }
}

/// The object with one more field.
pub(crate) fn with(mut object: Value, name: &str, value: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
    object
}
