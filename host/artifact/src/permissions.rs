//! A component's world is its permission list: what it imports is what it may
//! do, and an import that was not granted is refused.

use crate::{kind::Kind, manifest::Manifest};
use host_config::plugins::Grant;
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

/// What a `wasi:http` component can import, and the grant that it takes. The rest
/// of WASI is there for it too, see [`WITHOUT_POWER`].
const OFFERED_TO_WASI_HTTP: [(&str, Grant); 10] = [
    ("wasi:http/outgoing-handler", Grant::Http),
    ("wasi:http/client", Grant::Http),
    ("wasi:config/store", Grant::Config),
    ("wasi:logging/logging", Grant::Logging),
    ("wasi:clocks/monotonic-clock", Grant::Clocks),
    ("wasi:clocks/system-clock", Grant::Clocks),
    ("wasi:clocks/wall-clock", Grant::Clocks),
    ("wasi:random/insecure", Grant::Random),
    ("wasi:random/insecure-seed", Grant::Random),
    ("wasi:random/random", Grant::Random),
];

/// What is there for a `wasi:http` component and reaches nothing: no files, no
/// sockets, no environment, no input; what it prints goes to the log.
const WITHOUT_POWER: [(&str, &[&str]); 6] = [
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
    ("wasi:clocks", &["timezone", "types"]),
    ("wasi:filesystem", &["preopens", "types"]),
    ("wasi:http", &["types"]),
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
            Kind::WasiHttp if is_without_power(interface) => continue,
            Kind::Platform => grant_in(&OFFERED, interface),
            Kind::WasiHttp => grant_in(&OFFERED_TO_WASI_HTTP, interface),
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

/// Checks that what the manifest routes to the component is there: a handler of
/// requests, and one of events.
///
/// # Errors
/// The first export that is missing.
pub fn check_exports(manifest: &Manifest, handles_http: bool, handles_events: bool) -> Result<(), WorldError> {
    if !manifest.routes.is_empty() && !handles_http {
        return Err(WorldError::MissingExport { what: "routes", interface: "platform:http/handler" });
    }
    if !manifest.messaging.subscribes.is_empty() && !handles_events {
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
    grant_in(&OFFERED, interface).or_else(|| grant_in(&OFFERED_TO_WASI_HTTP, interface))
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
        Kind::WasiHttp => (&OFFERED_TO_WASI_HTTP, ", and WASI without files and sockets"),
    };
    let names: Vec<&str> = offered.iter().map(|(interface, _)| *interface).collect();
    format!("{}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(imports: &[&str]) -> BTreeSet<String> {
        imports.iter().filter_map(|import| capability_of(import)).map(grant_name).collect()
    }

    #[test]
    fn a_capability_has_one_name_in_whatever_way_it_is_imported() {
        assert_eq!(wanted(&["wasi:clocks/wall-clock@0.2.0"]), wanted(&["wasi:clocks/monotonic-clock@0.2.6"]));
        assert_eq!(wanted(&["wasi:random/random@0.2.0"]), wanted(&["wasi:random/insecure-seed@0.2.6"]));
        assert_eq!(wanted(&["wasi:http/client@0.3.0", "wasi:http/outgoing-handler@0.2.0"]), ["http".to_owned()].into());
        let nothing = ["wasi:io/streams@0.2.0", "wasi:filesystem/preopens@0.2.0", "wasi:sockets/tcp@0.2.0"];
        assert_eq!(wanted(&nothing), BTreeSet::new(), "what reaches nothing is no capability");
    }

    #[test]
    fn time_and_randomness_need_no_grant_and_requests_do() {
        let none = Grants::Named(BTreeSet::new());
        let harmless = ["wasi:clocks/monotonic-clock@0.2.6", "wasi:random/insecure@0.2.6", "wasi:cli/stdout@0.2.6"];
        let imports = harmless.map(str::to_owned);
        assert_eq!(check_imports(&imports, Kind::WasiHttp, &none), Ok(()));
        let outgoing = ["wasi:http/outgoing-handler@0.2.6".to_owned()];
        let refused = check_imports(&outgoing, Kind::WasiHttp, &none).unwrap_err().to_string();
        assert!(refused.ends_with("the grant http is missing"), "{refused}");
        let unknown = check_imports(&["wasi:keyvalue/store@0.2.0".to_owned()], Kind::WasiHttp, &none).unwrap_err();
        assert!(unknown.to_string().contains("it offers wasi:http/outgoing-handler"), "{unknown}");
    }
}
