//! A component's world is its permission list: what it imports is what it may
//! do, and an import that was not granted is refused.

use super::manifest::Manifest;
use crate::{config::plugins::Grant, engine::Program};
use std::collections::BTreeSet;
use wasmtime::component::Component;

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
    #[error("it imports {import}, which this host does not offer; it offers {}", offered())]
    Unknown {
        /// The import as the component names it.
        import: String,
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
pub fn check_imports(engine: &wasmtime::Engine, component: &Component, grants: &Grants) -> Result<(), WorldError> {
    for (import, _) in component.component_type().imports(engine) {
        let interface = import.split('@').next().unwrap_or(import);
        if TYPES.contains(&interface) {
            continue;
        }
        let Some(capability) = capability_of(import) else {
            return Err(WorldError::Unknown { import: import.to_owned() });
        };
        let granted = match grants {
            Grants::All => true,
            Grants::Named(names) => HARMLESS.contains(&capability) || names.contains(&capability),
        };
        if !granted {
            return Err(WorldError::NotGranted { import: import.to_owned(), capability });
        }
    }
    Ok(())
}

/// Checks that what the manifest routes to the component is there.
///
/// # Errors
/// The first export that is missing.
pub fn check_exports(manifest: &Manifest, program: &Program) -> Result<(), WorldError> {
    if !manifest.routes.is_empty() && !program.handles_http() {
        return Err(WorldError::MissingExport { what: "routes", interface: "platform:http/handler" });
    }
    if !manifest.messaging.subscribes.is_empty() && !program.handles_events() {
        return Err(WorldError::MissingExport { what: "subscriptions", interface: "platform:messaging/handler" });
    }
    Ok(())
}

/// The imports of a component, as it names them.
pub fn imports(engine: &wasmtime::Engine, component: &Component) -> Vec<String> {
    component.component_type().imports(engine).map(|(name, _)| name.to_owned()).collect()
}

/// The exports of a component, as it names them.
pub fn exports(engine: &wasmtime::Engine, component: &Component) -> Vec<String> {
    component.component_type().exports(engine).map(|(name, _)| name.to_owned()).collect()
}

/// The grants that these imports take, without the harmless ones.
pub fn capabilities(imports: &[String]) -> BTreeSet<Grant> {
    imports.iter().filter_map(|import| capability_of(import)).filter(|grant| !HARMLESS.contains(grant)).collect()
}

/// The grant that an import takes; none for one that gives no power, and for
/// one that the host does not have.
pub fn capability_of(import: &str) -> Option<Grant> {
    let interface = import.split('@').next().unwrap_or(import);
    OFFERED.iter().find(|(known, _)| *known == interface).map(|&(_, capability)| capability)
}

/// What a grant is called in settings.
pub fn grant_name(grant: Grant) -> String {
    format!("{grant:?}").to_lowercase()
}

/// Whether it uses the store and so needs a database.
pub fn uses_store(imports: &[String]) -> bool {
    imports.iter().any(|import| import.starts_with("platform:store/"))
}

fn offered() -> String {
    OFFERED.map(|(interface, _)| interface).join(", ")
}
