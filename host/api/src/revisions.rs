//! `/plugins/{name}/revisions`: the revisions that a host keeps.

use crate::Word;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A revision that the host keeps.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RevisionView {
    /// The revision's id.
    pub revision: String,
    /// The version that its manifest names.
    pub version: String,
    /// SHA-256 of its file, hexadecimal.
    pub digest: String,
    /// The size of its file.
    pub size_bytes: usize,
    /// Whether it serves.
    #[schema(value_type = RevisionStatus)]
    pub status: Word<RevisionStatus>,
    /// Where its file came from.
    #[schema(value_type = Source)]
    pub source: Word<Source>,
    /// In milliseconds since the Unix epoch.
    pub uploaded_ms: u64,
    /// The name of the token. It is empty for a bundled plugin.
    pub uploaded_by: String,
}

/// Whether a revision serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RevisionStatus {
    /// It serves.
    Active,
    /// It is on trial.
    Canary,
    /// It served before. A rollback returns to it.
    Previous,
    /// It can be activated.
    Staged,
}

/// Where a revision came from. The archive of plugins stores it in this form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// It is in the host's binary.
    Bundled,
    /// A file that the settings name.
    File,
    /// An operator uploaded it.
    Upload,
}
