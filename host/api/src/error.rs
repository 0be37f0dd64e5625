//! The body of every answer that is not a success.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::ToSchema;

/// The body of every answer that is not a success.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Envelope {
    /// The errors, at least one.
    pub errors: Vec<Fault>,
}

/// One error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// For a person.
    #[schema(value_type = String, example = "limit must be 1 to 1000")]
    pub message: Cow<'static, str>,
    /// The input that caused the error, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "limit")]
    pub field: Option<String>,
}
