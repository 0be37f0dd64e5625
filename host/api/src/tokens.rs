//! `/tokens`: the tokens of the operator API.

use crate::Word;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};
use utoipa::ToSchema;

/// What a token allows. Each role allows everything that those before it allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    View,
    /// Changes plugins.
    Deploy,
    /// Changes policies and tokens.
    Admin,
}

impl Role {
    /// All roles, the weakest first.
    pub const ALL: [Self; 3] = [Self::View, Self::Deploy, Self::Admin];

    /// The role as JSON has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Deploy => "deploy",
            Self::Admin => "admin",
        }
    }

    /// The role of this name.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The caller of a request, as its token describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallerView {
    /// The token's name: the actor in the audit.
    #[schema(example = "ci")]
    pub name: String,
    /// The role of the token.
    #[schema(value_type = Role)]
    pub role: Word<Role>,
    /// The plugins that the token is bound to. Left out: all plugins and the
    /// host as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugins: Option<BTreeSet<String>>,
}

/// A token that the host shall create.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// `[a-zA-Z0-9._-]{1,64}`. No other token has this name. The audit names
    /// the token as the actor.
    #[schema(example = "ci", pattern = "^[a-zA-Z0-9._-]{1,64}$")]
    pub name: String,
    /// What the token allows.
    pub role: Role,
    /// The plugins that the token is bound to. They need not exist yet. Left
    /// out: the token holds for all plugins and for the host as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["hello"]), min_items = 1, max_items = 100)]
    pub plugins: Option<BTreeSet<String>>,
    /// The token is valid for this time, 1 to 315360000. Left out: until it is
    /// revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 2_592_000, minimum = 1, maximum = 315_360_000)]
    pub expires_after_seconds: Option<u64>,
}

/// A token, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenView {
    /// Identifies the token.
    #[schema(example = "5d2f3c0a9b1e7f64")]
    pub id: String,
    /// The actor in the audit.
    #[schema(example = "ci")]
    pub name: String,
    /// What the token allows.
    #[schema(value_type = Role)]
    pub role: Word<Role>,
    /// The plugins that it is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugins: Option<BTreeSet<String>>,
    /// In milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// The name of the token that created it.
    pub created_by: String,
    /// The end of its validity, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// The last use since the host was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_ms: Option<u64>,
}

/// A token that was just created.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatedToken {
    /// The token, without its secret.
    #[serde(flatten)]
    pub view: TokenView,
    /// The secret, for the header `authorization: Bearer ...`. The host shows
    /// it only once.
    #[schema(example = "tk_5d2f3c0a9b1e7f64_...")]
    pub token: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_one_name() {
        for role in Role::ALL {
            assert_eq!(Role::from_text(role.as_str()), Some(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert_eq!(Role::from_text("Admin"), None);
    }
}
