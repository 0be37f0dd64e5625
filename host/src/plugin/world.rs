//! A component's world is its permission list: what it imports is what it may
//! do, and an import that was not granted is refused.

use super::manifest::Manifest;
use crate::{
    config::plugins::Grant,
    engine::{Kind, Linked},
};
use std::collections::BTreeSet;

/// What can be imported, without versions, and the grant that it takes.
const OFFERED: [(&str, Grant); 7] = [
    ("platform:store/sql", Grant::Store),
    ("platform:identity/identity", Grant::Identity),
    ("platform:payments/payments", Grant::Payments),
    ("wasi:config/store", Grant::Config),
    ("wasi:logging/logging", Grant::Logging),
    ("wasi:clocks/wall-clock", Grant::Clocks),
    ("wasi:random/random", Grant::Random),
];

/// What a foreign component can import, and the grant that it takes. The rest
/// of WASI is there for it too, see [`WITHOUT_POWER`].
const OFFERED_TO_FOREIGN: [(&str, Grant); 4] = [
    ("wasi:http/outgoing-handler", Grant::Http),
    ("wasi:http/client", Grant::Http),
    ("wasi:config/store", Grant::Config),
    ("wasi:logging/logging", Grant::Logging),
];

/// What is there for a foreign component and reaches nothing: no files, no
/// sockets, no environment, no input; what it prints goes to the log.
const WITHOUT_POWER: [(&str, &[&str]); 7] = [
    ("wasi:io", &["error", "poll", "streams"]),
    (
        "wasi:cli",
        &[
            "environment",
            "exit",
            "stderr",
            "stdin",
            "stdout",
            "terminal-input",
            "terminal-output",
            "terminal-stderr",
            "terminal-stdin",
            "terminal-stdout",
            "types",
        ],
    ),
    ("wasi:clocks", &["monotonic-clock", "system-clock", "timezone", "types", "wall-clock"]),
    ("wasi:filesystem", &["preopens", "types"]),
    ("wasi:http", &["types"]),
    ("wasi:random", &["insecure", "insecure-seed", "random"]),
    (
        "wasi:sockets",
        &[
            "instance-network",
            "ip-name-lookup",
            "network",
            "tcp",
            "tcp-create-socket",
            "types",
            "udp",
            "udp-create-socket",
        ],
    ),
];

/// Interfaces that only define types and so give no power.
const TYPES: [&str; 2] = ["platform:http/types", "platform:messaging/types"];

/// Grants that nobody has to give: they reach nothing outside the component.
const HARMLESS: [Grant; 4] = [Grant::Config, Grant::Logging, Grant::Clocks, Grant::Random];

/// What an operator lets a plugin use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grants {
    /// Everything: the components that the host brings itself.
    All,
    /// These, and the harmless ones.
    Named(BTreeSet<Grant>),
}

/// Why a component's world does not fit.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WorldError {
    /// The host does not have what it imports.
    #[error("it imports {import}, which this host does not offer; it offers {offered}")]
    Unknown {
        /// The import as the component names it.
        import: String,
        /// What there is.
        offered: String,
    },
    /// The host has it, but the plugin may not use it.
    #[error("it imports {import}, and the grant {} is missing", grant_name(*capability))]
    NotGranted {
        /// The import as the component names it.
        import: String,
        /// The grant that is missing.
        capability: Grant,
    },
    /// The manifest promises what the component does not do.
    #[error("its manifest has {what}, but it does not export {interface}")]
    MissingExport {
        /// Such as `routes`.
        what: &'static str,
        /// The interface to export.
        interface: &'static str,
    },
}

/// Checks each import against what exists and what is granted.
///
/// # Errors
/// The first import that is not allowed.
pub fn check_imports(imports: &[String], kind: Kind, grants: &Grants) -> Result<(), WorldError> {
    for import in imports {
        let interface = without_version(import);
        let capability = match kind {
            Kind::Platform if TYPES.contains(&interface) => continue,
            Kind::Foreign if is_without_power(interface) => continue,
            Kind::Platform => grant_in(&OFFERED, interface),
            Kind::Foreign => grant_in(&OFFERED_TO_FOREIGN, interface),
        };
        let Some(capability) = capability else {
            return Err(WorldError::Unknown { import: import.clone(), offered: offered(kind) });
        };
        let granted = match grants {
            Grants::All => true,
            Grants::Named(names) => HARMLESS.contains(&capability) || names.contains(&capability),
        };
        if !granted {
            return Err(WorldError::NotGranted { import: import.clone(), capability });
        }
    }
    Ok(())
}

/// Checks that what the manifest routes to the component is there.
///
/// # Errors
/// The first export that is missing.
pub fn check_exports(manifest: &Manifest, program: &Linked) -> Result<(), WorldError> {
    let (http, events) = match program {
        Linked::Platform(program) => (program.handles_http(), program.handles_events()),
        Linked::Foreign(_) => (true, false),
    };
    if !manifest.routes.is_empty() && !http {
        return Err(WorldError::MissingExport { what: "routes", interface: "platform:http/handler" });
    }
    if !manifest.messaging.subscribes.is_empty() && !events {
        return Err(WorldError::MissingExport { what: "subscriptions", interface: "platform:messaging/handler" });
    }
    Ok(())
}

/// The grants that these imports take, without the harmless ones.
pub fn capabilities(imports: &[String]) -> BTreeSet<Grant> {
    imports.iter().filter_map(|import| capability_of(import)).filter(|grant| !HARMLESS.contains(grant)).collect()
}

/// The grant that an import takes; none for one that gives no power, and for
/// one that the host does not have.
pub fn capability_of(import: &str) -> Option<Grant> {
    let interface = without_version(import);
    grant_in(&OFFERED, interface).or_else(|| grant_in(&OFFERED_TO_FOREIGN, interface))
}

fn without_version(import: &str) -> &str {
    import.split('@').next().unwrap_or(import)
}

fn grant_in(offered: &[(&str, Grant)], interface: &str) -> Option<Grant> {
    offered.iter().find(|(known, _)| *known == interface).map(|&(_, capability)| capability)
}

fn is_without_power(interface: &str) -> bool {
    WITHOUT_POWER.iter().any(|(package, names)| {
        let name = interface.strip_prefix(package).and_then(|rest| rest.strip_prefix('/'));
        name.is_some_and(|name| names.contains(&name))
    })
}

/// What a grant is called in settings.
pub fn grant_name(grant: Grant) -> String {
    format!("{grant:?}").to_lowercase()
}

/// Whether it uses the store and so needs a database.
pub fn uses_store(imports: &[String]) -> bool {
    imports.iter().any(|import| import.starts_with("platform:store/"))
}

fn offered(kind: Kind) -> String {
    let (offered, more): (&[_], _) = match kind {
        Kind::Platform => (&OFFERED, ""),
        Kind::Foreign => (&OFFERED_TO_FOREIGN, ", and WASI without files and sockets"),
    };
    let names: Vec<&str> = offered.iter().map(|(interface, _)| *interface).collect();
    format!("{}{more}", names.join(", "))
}
