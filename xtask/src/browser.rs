//! The browser for the tests of the pages, and the rules of accessibility that they check.

use std::env;

use anyhow::{Result, bail};

use crate::debian;
use crate::process::find_program;
use crate::steps::Outcome;
use crate::tool::{Tool, npm_install};
use crate::workspace::Workspace;

const PACKAGES: [&str; 2] = ["chromium", "chromium-driver"];
/// The tests use the first of these that is installed, with its driver.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const DRIVER: &str = "chromedriver";
/// Set to 1, the tests that need a browser say `ignored`.
const WITHOUT: &str = "TICKETING_TESTS_WITHOUT_BROWSER";

/// The rules. The tests run this script in the pages.
const AXE: Tool =
    Tool { name: "axe-core-4.14.1", needs: &["npm"], install: |folder| npm_install(folder, &["axe-core@4.14.1"]) };

/// Whether the tests that need a browser are to run.
pub(crate) fn is_wanted() -> bool {
    env::var_os(WITHOUT).is_none_or(|value| value != "1")
}

/// Installs a browser if there is none, unless the tests are to run without.
pub(crate) fn provide(workspace: &Workspace) -> Result<Outcome> {
    if !is_wanted() {
        return Ok(Outcome::Skipped(format!("{WITHOUT} is set")));
    }
    if !is_installed() && debian::may_install() {
        debian::install(&PACKAGES);
    }
    if !is_installed() {
        bail!(
            "the tests need a browser: run `apt-get install {}` on Debian as root, or set {WITHOUT}=1 to skip these tests",
            PACKAGES.join(" ")
        );
    }
    AXE.provide(workspace)?;
    Ok(Outcome::Passed)
}

fn is_installed() -> bool {
    find_program(DRIVER).is_some() && BROWSERS.iter().any(|browser| find_program(browser).is_some())
}
