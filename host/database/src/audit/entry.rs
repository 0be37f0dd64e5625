//! A row of the audit, as it is written.

/// A row that is to be written. It must not contain secrets.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The action, such as `activate`.
    pub action: &'a str,
    /// How the action ended.
    pub outcome: Outcome,
    /// The plugin of the action. `None` if the action concerns the host.
    pub plugin: Option<&'a str>,
    /// The revision of the plugin.
    pub revision: Option<&'a str>,
    /// The digest of the revision's file.
    pub digest: Option<&'a str>,
    /// More information, such as the reason of a refusal.
    pub detail: Option<&'a str>,
}

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The action was done as requested.
    Done,
    /// The caller may not do the action, or the request is not acceptable.
    Refused,
    /// The action was acceptable, but it failed.
    Failed,
}

impl Outcome {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

impl<'a> Entry<'a> {
    /// An entry without optional fields. Add them with
    /// `Entry { plugin, ..Entry::new(..) }`.
    pub fn new(action: &'a str, outcome: Outcome) -> Self {
        Self { action, outcome, plugin: None, revision: None, digest: None, detail: None }
    }
}
