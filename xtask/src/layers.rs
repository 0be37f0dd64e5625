//! The layers of the host. A crate may depend on crates of lower layers only.
//! Cargo refuses circles; this check refuses the rest.

use std::fmt::Write;

use anyhow::{Result, bail};

use crate::workspace::{Package, Workspace};

/// The crates of the host, the lowest layer first. A crate may use the crates of
/// the lines above its own line.
const LAYERS: &[&[&str]] = &[
    &["host-test-support", "plugin-pack"],
    &["host-api", "host-base"],
    &["host-config", "host-sql"],
    &["host-telemetry", "host-database"],
    &["host-artifact", "host-bus", "host-store"],
    &["host-capabilities", "host-oci"],
    &["host-engine"],
    &["host-http", "host-plugin"],
    &["host-triggers"],
    &["host-operator", "host-console", "host-cli"],
    &["ticketing"],
];

/// Dependencies that a layer must not have, and why.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("host-artifact", "wasmtime", "a plugin file is read and judged without running it, also by the fuzzer"),
    ("host-artifact", "sqlx", "a plugin file is read and judged without a database"),
    ("host-sql", "sqlx", "SQL is judged without a database"),
    ("host-base", "wasmtime", "every crate waits for host-base, so it stays light"),
    ("host-base", "sqlx", "every crate waits for host-base, so it stays light"),
    ("host-bus", "wasmtime", "the bus carries events and runs no component"),
    ("host-operator", "wasmtime", "the operator API asks the plugin layer and runs no component"),
    ("host-console", "host-plugin", "the console asks the operator API, which decides what a token may do"),
    ("host-console", "sqlx", "the console asks the operator API and opens no database"),
    ("host-cli", "sqlx", "the client asks the operator API and opens no database"),
];

/// Fails with one line for each dependency that breaks a rule.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut problems = String::new();
    for package in workspace.packages() {
        for problem in problems_of(package) {
            // Writing to a string does not fail.
            let _ = writeln!(problems, "{problem}");
        }
    }
    if !problems.is_empty() {
        bail!("a crate depends on a crate that it must not use (see ARCHITECTURE.md):\n{}", problems.trim_end());
    }
    Ok(())
}

fn problems_of(package: &Package) -> Vec<String> {
    let uses = |name: &str| package.normal_dependencies().any(|dependency| dependency == name);
    let forbidden = FORBIDDEN.iter().filter(|(from, to, _)| *from == package.name && uses(to));
    let mut problems: Vec<String> =
        forbidden.map(|(from, to, reason)| format!("  {from} must not use {to}: {reason}")).collect();
    let Some(own) = layer(&package.name) else { return problems };
    for dependency in package.normal_dependencies() {
        match layer(dependency) {
            Some(other) if other >= own => problems
                .push(format!("  {} must not use {dependency}: {dependency} is not in a lower layer", package.name)),
            None if dependency.starts_with("host-") => {
                problems.push(format!("  {dependency} has no layer: add it to LAYERS in xtask/src/layers.rs"));
            }
            _ => {}
        }
    }
    problems
}

fn layer(package: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&package))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(name: &str, uses: &[&str]) -> Vec<String> {
        problems_of(&Package::with_dependencies(name, uses))
    }

    #[test]
    fn a_crate_uses_lower_layers_only() {
        assert!(problems("host-engine", &["host-store", "host-base", "tokio"]).is_empty());
        let upward = problems("host-store", &["host-engine"]);
        assert_eq!(upward, ["  host-store must not use host-engine: host-engine is not in a lower layer"]);
        assert_eq!(problems("host-config", &["host-sql"]).len(), 1, "crates of one layer do not use each other");
    }

    #[test]
    fn a_new_crate_needs_a_layer() {
        assert!(problems("host-cli", &["host-unknown"])[0].contains("host-unknown has no layer"));
    }

    #[test]
    fn a_forbidden_dependency_is_named_with_its_reason() {
        let found = problems("host-artifact", &["wasmtime"]);
        assert!(found[0].contains("host-artifact must not use wasmtime: a plugin file"), "{found:?}");
    }

    #[test]
    fn the_workspace_keeps_its_layers() {
        check(&Workspace::find().unwrap()).unwrap();
    }
}
