//! `/audit`: the record of changes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A change that was made, refused or failed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditRow {
    /// Rises with time.
    pub id: i64,
    /// In milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// The name of the token that made the change. `host` stands for the host
    /// itself.
    #[schema(example = "ci")]
    pub actor: String,
    /// The kind of change, such as `activate`.
    #[schema(example = "activate")]
    pub action: String,
    /// The plugin that the change concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// The revision that the change concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// SHA-256 of the plugin's file, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// `done`, `refused` or `failed`.
    #[schema(example = "done")]
    pub outcome: String,
    /// Other information, such as the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
