//! The checks, cheapest first.
//!
//! Clippy, the documentation and the tests use one profile, so that what one
//! of them compiled serves the next; the host is not built for release.

use std::process::Command;

use anyhow::{Context, Result};

use crate::browser;
use crate::deploy;
use crate::examples;
use crate::guests::{self, Kind};
use crate::layers;
use crate::pages;
use crate::postgres;
use crate::process::{output_of, run};
use crate::script_guests;
use crate::servers;
use crate::steps::{Outcome, Steps};
use crate::tool::{NATS_SERVER, SCHEMATHESIS, Tool};
use crate::toolchain::{self, TARGET, WASI_TARGET};
use crate::workspace::Workspace;

/// Tell the tests of whole hosts where these keep their state, and which bus
/// they use.
const DISTRIBUTED: [(&str, &str); 2] = [("TICKETING_TESTS_ENGINE", "postgres"), ("TICKETING_TESTS_BUS", "jetstream")];
/// The tests of the second pass: the module of `host/tests/it` whose tests hold
/// on SQLite with the embedded bus and on PostgreSQL with JetStream. A test
/// belongs to the pass because of the folder that it is in, so a new one cannot
/// be forgotten here. Every other choice of a backend is left to the
/// conformance suites.
const ON_BOTH_BACKENDS: &str = "on_both_backends::";
/// The tests that need a browser. They are the only ignored tests that do not
/// need a server, and libtest tells ignored tests apart by their names alone.
const BROWSER: &str = "in_browser::";
/// Those of them that need a proxy too.
const BROWSER_BEHIND_PROXIES: &str = "in_browser::proxies::";
/// And those that need PostgreSQL and NATS.
const BROWSER_AND_CLUSTER: &str = "in_browser::cluster::";
/// The tests that make the pictures of the pages.
const SCREENSHOTS: &str = "in_browser::screenshots::";
/// The folder of these pictures, from the root of the workspace.
const PICTURES: &str = "docs/images";
/// A test that needs more than this workspace has `#[ignore = "needs ..."]`.
/// It says `ignored` where the need is not met, and this runs it where it is.
const INCLUDE_IGNORED: &str = "--include-ignored";

/// Runs all checks. With a filter, runs only the tests whose names contain it.
/// With `embedded`, runs no test that needs a server.
pub(crate) fn test(workspace: &Workspace, embedded: bool, filter: Option<&str>) -> Result<()> {
    let mut steps = Steps::default();
    if filter.is_none() {
        steps.step("format", || format(workspace));
        steps.step("layers", || layers::check(workspace).map(|()| Outcome::Passed));
        steps.step("pages", || pages::check(workspace));
        steps.step("deploy", || deploy::check(workspace));
    }
    steps.step("guests", || {
        guests::build(workspace, &[Kind::Component, Kind::Test])?;
        script_guests::provide_tools(workspace)?;
        Ok(Outcome::Passed)
    });
    steps.step(WASI_TARGET, wasi_target);
    if filter.is_none() {
        steps.step("clippy", || clippy(workspace));
        steps.step("docs", || docs(workspace));
        steps.step("cargo deny", || deny(workspace));
        steps.step("browser", || browser::provide(workspace));
        if !embedded {
            steps.step("postgres", postgres::provide);
            steps.step("servers", servers::provide);
        }
    }
    if !embedded {
        let provide = |tool: &Tool| {
            let needless = "`cargo xtask test --embedded` needs no server and no python3";
            tool.provide(workspace).context(needless).map(|_| Outcome::Passed)
        };
        steps.step("nats-server", || provide(&NATS_SERVER));
        steps.step("schemathesis", || provide(&SCHEMATHESIS));
    }
    steps.step("tests", || {
        let mut cargo = workspace.cargo();
        // One run shows the failures of all test binaries.
        cargo.args(["test", "--workspace", "--no-fail-fast"]).args(filter);
        cargo.arg("--");
        if !embedded {
            cargo.arg(INCLUDE_IGNORED);
        }
        if filter.is_none() || !browser::is_wanted() {
            cargo.args(["--skip", BROWSER]);
        }
        passed(&mut cargo)
    });
    if filter.is_none() {
        steps.step("tests in a browser", || {
            let mut cargo = whole_hosts(workspace);
            cargo.arg(BROWSER).args(browser::is_wanted().then_some(INCLUDE_IGNORED));
            if embedded {
                cargo.args(["--skip", BROWSER_BEHIND_PROXIES, "--skip", BROWSER_AND_CLUSTER]);
            }
            passed(&mut cargo)
        });
    }
    if filter.is_none() && !embedded {
        steps.step("tests on PostgreSQL and JetStream", || {
            let mut cargo = whole_hosts(workspace);
            passed(cargo.args([ON_BOTH_BACKENDS, INCLUDE_IGNORED]).envs(DISTRIBUTED))
        });
    }
    steps.finish()
}

/// Makes the pictures of the pages that the README and `docs/` show.
pub(crate) fn screenshots(workspace: &Workspace) -> Result<()> {
    let mut steps = Steps::default();
    steps.step("guests", || {
        guests::build(workspace, &[Kind::Component, Kind::Test])?;
        Ok(Outcome::Passed)
    });
    steps.step("browser", || browser::provide(workspace));
    steps.step("screenshots", || {
        let folder = workspace.root.join(PICTURES);
        let mut cargo = whole_hosts(workspace);
        passed(cargo.args([SCREENSHOTS, INCLUDE_IGNORED]).env("TICKETING_SCREENSHOTS", folder))
    });
    steps.finish()
}

/// The target of the template `rust-http`. A test compiles it for the target of the
/// other plugins where this one cannot be had.
fn wasi_target() -> Result<Outcome> {
    Ok(match toolchain::add_wasi_target() {
        true => Outcome::Passed,
        false => Outcome::Skipped(format!(
            "rustup cannot add it here, so the test of the template rust-http compiles it for {TARGET}"
        )),
    })
}

/// Cargo for a part of the tests of whole hosts.
fn whole_hosts(workspace: &Workspace) -> Command {
    let mut cargo = workspace.cargo();
    // The whole workspace resolves the same features as the step before, so cargo
    // compiles nothing again.
    cargo.args(["test", "--workspace", "--no-fail-fast", "--test", "it", "--"]);
    cargo
}

/// The checks that do not run anything.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut steps = Steps::default();
    steps.step("format", || format(workspace));
    steps.step("layers", || layers::check(workspace).map(|()| Outcome::Passed));
    steps.step("pages", || pages::check(workspace));
    steps.step("clippy", || clippy(workspace));
    steps.step("docs", || docs(workspace));
    steps.finish()
}

fn format(workspace: &Workspace) -> Result<Outcome> {
    run(workspace.cargo().args(["fmt", "--all", "--check"]))?;
    let manifests = examples::folders(workspace)?.into_iter().map(|folder| folder.join("Cargo.toml"));
    for manifest in manifests.filter(|manifest| manifest.is_file()) {
        run(workspace.cargo().args(["fmt", "--check", "--manifest-path"]).arg(manifest))?;
    }
    Ok(Outcome::Passed)
}

fn clippy(workspace: &Workspace) -> Result<Outcome> {
    passed(checking_cargo(workspace).args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn docs(workspace: &Workspace) -> Result<Outcome> {
    passed(
        checking_cargo(workspace)
            .args(["doc", "--workspace", "--no-deps", "--document-private-items"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// Cargo for what only reads the code: it does not need the components to be built.
fn checking_cargo(workspace: &Workspace) -> Command {
    let mut cargo = workspace.cargo();
    if !guests::are_built(workspace) {
        cargo.env("TICKETING_NO_BUNDLE", "1");
    }
    cargo
}

/// Licences, bans and sources; and the advisories where their database can be fetched.
fn deny(workspace: &Workspace) -> Result<Outcome> {
    if output_of(Command::new("cargo-deny").arg("--version")).is_none() {
        return Ok(Outcome::Skipped("not installed, skipped; cargo install cargo-deny".to_owned()));
    }
    run(workspace.cargo().args(["deny", "check", "licenses", "bans", "sources"]))?;
    if output_of(workspace.cargo().args(["deny", "fetch", "db"])).is_none() {
        return Ok(Outcome::Skipped("the advisories' database cannot be fetched".to_owned()));
    }
    passed(workspace.cargo().args(["deny", "check", "advisories"]))
}

fn passed(command: &mut Command) -> Result<Outcome> {
    run(command)?;
    Ok(Outcome::Passed)
}
