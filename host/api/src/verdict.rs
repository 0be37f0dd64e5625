//! The verdict on a plugin file, as the operator API returns it.

use crate::policy::Excess;
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// The contents of a plugin file, and the changes that its activation would make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// The name of the plugin.
    pub plugin: String,
    /// The version in the manifest.
    pub version: String,
    /// The identifier of the revision.
    pub revision: String,
    /// The active revision that the file was compared with. Absent for the first
    /// revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
    /// SHA-256 of the file, in hexadecimal.
    pub digest: String,
    /// The size of the file.
    pub size_bytes: usize,
    /// How long it took to compile the component, or to read it from the cache.
    pub compile_ms: u64,
    /// Whether the compiled component was in the cache.
    pub from_cache: bool,
    /// The imports of the component.
    pub imports: Vec<String>,
    /// The exports of the component.
    pub exports: Vec<String>,
    /// The grants that the imports need.
    pub capabilities: Capabilities,
    /// The routes that differ from the active revision.
    pub routes: RouteChanges,
    /// The changes of the subjects that the plugin receives.
    pub subscribes: SubjectChanges,
    /// The added subjects whose retained events the plugin does not receive. It
    /// begins with the next event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from_now: Vec<String>,
    /// The changes of the subjects that the plugin publishes.
    pub publishes: SubjectChanges,
    /// The changes of the interfaces since the active revision.
    pub types: Vec<TypeChange>,
    /// The changes of the schemas of events since the active revision.
    #[serde(default)]
    pub schemas: Vec<SchemaChange>,
    /// The migrations, in the order in which they run.
    pub migrations: Vec<MigrationView>,
    /// The requests of the file that the policy of the plugin does not allow. The
    /// host refuses such a file.
    #[serde(default)]
    pub beyond_policy: Vec<Excess>,
    /// Whether the lists of problems and of requests beyond the policy are empty.
    pub compatible: bool,
    /// The reasons why the host activates the file only when it is forced to.
    pub problems: Vec<String>,
}

/// The grants that the imports of a component need.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Capabilities {
    /// The grants that the new revision needs.
    pub wanted: Vec<String>,
    /// The grants that the active revision does not need.
    pub new: Vec<String>,
}

/// The routes that differ between the new and the active revision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RouteChanges {
    /// The routes that only the new revision answers.
    pub added: Vec<Endpoint>,
    /// The routes that only the active revision answers.
    pub removed: Vec<Endpoint>,
}

/// A method on a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Endpoint {
    /// The method, in upper case.
    pub method: String,
    /// The pattern of the path, such as `/api/things/{id}`.
    pub path: String,
    /// Whether only other plugins reach it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private: bool,
}

/// The subjects that differ between the new and the active revision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubjectChanges {
    /// The subjects that only the new revision has.
    pub added: Vec<String>,
    /// The subjects that only the active revision has.
    pub removed: Vec<String>,
}

/// One change of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TypeChange {
    /// The interface, such as `platform:http/types@1.0.0`.
    pub interface: String,
    /// The changed item, such as `record principal`, `func handle` or `interface`.
    pub item: String,
    /// The change, such as `field age: u32 is now string`.
    pub change: String,
    /// Whether code that was compiled against the old interface still works.
    pub compatible: bool,
}

/// One change of the schema of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SchemaChange {
    /// The subject of the event.
    #[schema(example = "thing.created")]
    pub subject: String,
    /// The changed part of the payload, such as `price.amount`. Empty for the whole
    /// payload.
    pub place: String,
    /// The change, such as `integer is now string`.
    pub change: String,
    /// Whether subscribers that rely on the old schema still work.
    pub compatible: bool,
}

/// One migration of the new revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MigrationView {
    /// The name of the migration.
    pub name: String,
    /// Whether the migration is applied already.
    pub applied: bool,
    /// Whether the migration is unchanged since it was applied, or the active
    /// revision works with its changes.
    pub compatible: bool,
    /// Why the migration is not compatible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl fmt::Display for TypeChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {}: {}", self.interface, self.item, self.change)
    }
}

impl fmt::Display for SchemaChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.as_str() {
            "" => write!(formatter, "{}: {}", self.subject, self.change),
            place => write!(formatter, "{}, {place}: {}", self.subject, self.change),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reach = if self.private { " (plugins only)" } else { "" };
        write!(formatter, "{} {}{reach}", self.method, self.path)
    }
}
