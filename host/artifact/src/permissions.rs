//! Checks the imports of a component against the interfaces that the host offers.
//! The world of a component is the list of permissions that it asks for, and
//! [`crate::policy`] says which of them it gets.

use crate::{kind::ComponentKind, manifest::Manifest};
use host_config::{offer::Offer, plugins::Grant};
use std::collections::BTreeSet;

/// The interfaces that a host offers to components.
///
/// This crate gets the offers as a value. Each capability declares its own offer,
/// and the engine lists the offers of the interfaces that it links. Both are in
/// higher layers than this crate: the fuzzer and `ticketing plugin` read plugin
/// files without wasmtime.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offers(pub &'static [Offer]);

/// The interfaces of WASI that every component imports without a grant. They
/// reach nothing: the host has no files, no sockets, no environment and no input
/// for a component, and writes its output to the log.
const WASI_WITHOUT_GRANT: [(&str, &[&str]); 6] = [
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

/// Interfaces that only define types. They need no grant.
const TYPE_INTERFACES: [&str; 2] = ["platform:http/types", "platform:messaging/types"];

/// The handlers of requests that an error names.
const REQUEST_HANDLERS: &str = "platform:packed/packed-handler or platform:http/handler";

/// Grants that every plugin has. Their interfaces reach nothing outside the
/// component.
const IMPLICIT_GRANTS: [Grant; 4] = [Grant::Config, Grant::Logging, Grant::Clocks, Grant::Random];

/// Why the host refuses the world of a component.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WorldError {
    /// The host does not offer an imported interface.
    #[error("it imports {import}, which this host does not offer; it offers {offered}")]
    Unknown {
        /// The import, as the component names it.
        import: String,
        /// The list of the offered interfaces.
        offered: String,
    },
    /// The manifest declares work that the component does not export a handler for.
    #[error("its manifest has {declared}, but it does not export {interface}")]
    MissingExport {
        /// Such as `routes`.
        declared: &'static str,
        /// The interface that the component must export.
        interface: &'static str,
    },
}

impl Offers {
    /// Checks that the host offers each import.
    ///
    /// # Errors
    /// The first import that is refused.
    pub fn check_imports(&self, imports: &[String]) -> Result<(), WorldError> {
        imports.iter().try_for_each(|import| self.check_import(import))
    }

    fn check_import(&self, import: &str) -> Result<(), WorldError> {
        match needs_no_grant(without_version(import)) || self.grant_of(import).is_some() {
            true => Ok(()),
            false => Err(WorldError::Unknown { import: import.to_owned(), offered: self.list() }),
        }
    }

    /// The grants that these imports need, without the implicit ones.
    pub fn grants_of(&self, imports: &[String]) -> BTreeSet<Grant> {
        let grants = imports.iter().filter_map(|import| self.grant_of(import));
        grants.filter(|grant| !IMPLICIT_GRANTS.contains(grant)).collect()
    }

    /// The grant that an import needs. `None` if it needs no grant, and if the
    /// host does not offer it.
    pub fn grant_of(&self, import: &str) -> Option<Grant> {
        let interface = without_version(import);
        self.0.iter().find(|offer| offer.interfaces.contains(&interface)).map(|offer| offer.grant)
    }

    fn list(&self) -> String {
        let names: Vec<&str> = self.0.iter().flat_map(|offer| offer.interfaces).copied().collect();
        format!("{}, and WASI without files and sockets", names.join(", "))
    }
}

/// Checks that the component exports the handlers that its manifest needs.
///
/// # Errors
/// The first handler that is missing.
pub fn check_exports(
    manifest: &Manifest,
    handles_http: bool,
    handles_events: bool,
    handles_timers: bool,
) -> Result<(), WorldError> {
    if !manifest.routes.is_empty() && !handles_http {
        return Err(WorldError::MissingExport { declared: "routes", interface: REQUEST_HANDLERS });
    }
    if !manifest.messaging.subscribes.is_empty() && !handles_events {
        return Err(WorldError::MissingExport { declared: "subscriptions", interface: "platform:messaging/handler" });
    }
    if !manifest.schedules.is_empty() && !handles_timers {
        return Err(WorldError::MissingExport { declared: "schedules", interface: "platform:timers/handler" });
    }
    Ok(())
}

/// Checks that the host can keep the promise of idempotent routes. It stores the
/// answer with a transaction of the component, and a `wasi:http` component still
/// makes its answer after the transaction.
///
/// # Errors
/// The component is of `wasi:http` and has such a route.
pub fn check_idempotent_routes(manifest: &Manifest, kind: ComponentKind) -> Result<(), WorldError> {
    match kind == ComponentKind::WasiHttp && manifest.has_idempotent_routes() {
        true => Err(WorldError::MissingExport { declared: "idempotent routes", interface: REQUEST_HANDLERS }),
        false => Ok(()),
    }
}

/// The name of a grant in settings.
pub fn grant_name(grant: Grant) -> String {
    format!("{grant:?}").to_lowercase()
}

/// Whether the component imports the store and so needs a database.
pub fn uses_store(imports: &[String]) -> bool {
    imports.iter().any(|import| import.starts_with("platform:store/"))
}

/// The name of an interface without its version.
pub(crate) fn without_version(name: &str) -> &str {
    name.split('@').next().unwrap_or(name)
}

fn needs_no_grant(interface: &str) -> bool {
    let is_of_wasi = WASI_WITHOUT_GRANT.iter().any(|(package, names)| {
        let name = interface.strip_prefix(package).and_then(|rest| rest.strip_prefix('/'));
        name.is_some_and(|name| names.contains(&name))
    });
    is_of_wasi || TYPE_INTERFACES.contains(&interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERS: Offers = Offers(&[
        Offer { grant: Grant::Store, interfaces: &["platform:store/sql"] },
        Offer { grant: Grant::Http, interfaces: &["wasi:http/outgoing-handler"] },
        Offer { grant: Grant::Clocks, interfaces: &["wasi:clocks/monotonic-clock"] },
    ]);

    fn check(import: &str) -> Result<(), String> {
        OFFERS.check_imports(&[import.to_owned()]).map_err(|error| error.to_string())
    }

    #[test]
    fn an_import_that_is_not_offered_is_refused() {
        for import in [
            "platform:store/sql@1.0.0",
            "platform:http/types@1.0.0",
            "wasi:clocks/monotonic-clock@0.2.6",
            "wasi:cli/stdout@0.2.6",
            "wasi:http/outgoing-handler@0.2.0",
        ] {
            assert_eq!(check(import), Ok(()));
        }
        for import in ["wasi:keyvalue/store@0.2.0", "wasi:cli/run@0.2.6", "platform:store@1.0.0", "wasi:cli"] {
            let unknown = check(import).unwrap_err();
            let offered = "it offers platform:store/sql, wasi:http/outgoing-handler, wasi:clocks/monotonic-clock, \
                and WASI without files and sockets";
            assert!(unknown.ends_with(offered), "{unknown}");
        }
    }

    #[test]
    fn declared_work_needs_its_handler() {
        let check = |more: &str| {
            let manifest = Manifest::parse(&format!("name = \"x\"\nversion = \"1.0.0\"\n{more}")).unwrap();
            check_exports(&manifest, false, false, false).map_err(|error| error.to_string())
        };
        assert_eq!(check(""), Ok(()));
        for (declared, interface) in [
            ("[[routes]]\npath = \"/x\"\nmethods = [\"GET\"]", "platform:http/handler"),
            ("[messaging]\nsubscribes = [\"x.y\"]", "platform:messaging/handler"),
            ("[[schedule]]\nname = \"nightly\"\ncron = \"0 3 * * *\"", "platform:timers/handler"),
        ] {
            assert!(check(declared).unwrap_err().ends_with(interface), "{declared}");
        }
    }

    #[test]
    fn implicit_grants_are_not_listed() {
        let imports = ["platform:store/sql@1.0.0", "wasi:clocks/monotonic-clock@0.2.6", "wasi:io/streams@0.2.0"];
        assert_eq!(OFFERS.grants_of(&imports.map(str::to_owned)), [Grant::Store].into());
    }
}
