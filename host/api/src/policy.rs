//! `/plugins/{name}/policy`: the rights that an administrator gives to a plugin
//! name. The host stores a policy in this form.
//!
//! A policy belongs to the name and not to a revision. An upload asks in its
//! manifest, and the plugin may do what both the manifest and the policy name.

use crate::settings::{Grant, LimitOverrides};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// The rights of a plugin name. The default is the policy of a new plugin: it
/// owns the paths `/NAME` and below and the subjects `NAME.*`, and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// The capabilities that it may import. Settings, logging, clocks and
    /// randomness need no grant.
    pub grants: BTreeSet<Grant>,
    /// Hosts with ports to which it may send requests.
    #[schema(example = json!(["api.example.com:443"]))]
    pub http_hosts: BTreeSet<String>,
    /// Other plugins whose routes it may call.
    #[schema(example = json!(["mailer"]))]
    pub plugins: BTreeSet<String>,
    /// Subjects beside its own that it may publish. `order.*` stands for all
    /// subjects that begin with `order.`.
    #[schema(example = json!(["order.created"]))]
    pub publishes: BTreeSet<String>,
    /// Subjects beside its own of which it may receive events.
    #[schema(example = json!(["order.*"]))]
    pub subscribes: BTreeSet<String>,
    /// Paths beside its own that it may answer. `/api/things` stands for this
    /// pattern alone, `/api/things/*` for all paths below it.
    #[schema(example = json!(["/api/things", "/api/things/*"]))]
    pub paths: BTreeSet<String>,
    /// Registries or repositories from which the host may fetch its files.
    /// `ghcr.io/me` stands for all repositories below it.
    #[schema(example = json!(["ghcr.io/me/hello"]))]
    pub registries: BTreeSet<String>,
    /// Whether its pages belong to the same origin as those of the host. Scripts of
    /// such a page can act with the session of the visitor.
    pub same_origin: bool,
    /// Whether it learns who the visitor is.
    pub visitor: bool,
    /// The highest limits that it may have. The host's ceilings hold for a limit
    /// that is left out.
    pub limits: LimitOverrides,
    /// How much it may store. The host's quotas hold for a quota that is left
    /// out.
    pub quotas: Quotas,
    /// Whether each uploaded file must be signed, whatever the host's settings
    /// say.
    pub require_signature: bool,
    /// The lowest version of an uploaded file that may be staged or activated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "1.4.0")]
    pub lowest_version: Option<String>,
}

impl Policy {
    /// This policy and the rights of another one.
    #[must_use]
    pub fn with(&self, other: Self) -> Self {
        let both = |one: &BTreeSet<String>, other: BTreeSet<String>| one.iter().cloned().chain(other).collect();
        Self {
            grants: self.grants.iter().copied().chain(other.grants).collect(),
            http_hosts: both(&self.http_hosts, other.http_hosts),
            plugins: both(&self.plugins, other.plugins),
            publishes: both(&self.publishes, other.publishes),
            subscribes: both(&self.subscribes, other.subscribes),
            paths: both(&self.paths, other.paths),
            registries: both(&self.registries, other.registries),
            same_origin: self.same_origin || other.same_origin,
            visitor: self.visitor || other.visitor,
            limits: self.limits.at_least(&other.limits),
            ..self.clone()
        }
    }
}

/// How much a plugin may store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Quotas {
    /// The size of its database, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_mib: Option<u64>,
    /// Events that it has published and that the bus has not taken yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbox_events: Option<u64>,
    /// Timers that have not fired yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timers: Option<u64>,
    /// Dead letters of its events and timers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<u64>,
    /// Revisions that are staged and not active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staged_revisions: Option<u64>,
}

/// A policy with its version. Each change of a policy gets the next version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyView {
    /// The name of the plugin.
    pub plugin: String,
    /// 0 as long as nobody has changed the policy.
    pub version: u64,
    /// The rights.
    pub policy: Policy,
}

/// A new policy. It replaces the present one as a whole.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPolicy {
    /// The version that the new policy replaces. The host refuses the change if
    /// someone else has changed the policy meanwhile. Left out: whatever it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<u64>,
    /// The rights from now on.
    pub policy: Policy,
}

/// A right that a file asks for and that the policy does not give.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Excess {
    /// The request of the file, such as `publishes payment.created`.
    pub asks: String,
    /// The command with which an administrator would allow it.
    pub command: String,
}

impl std::fmt::Display for Excess {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "it {}, which its policy does not allow; an administrator can: {}", self.asks, self.command)
    }
}
