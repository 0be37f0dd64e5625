//! The browser that the tests of the pages drive.

use std::env;

use anyhow::{Result, bail};

use crate::debian;
use crate::process::on_path;
use crate::steps::Outcome;

const PACKAGES: [&str; 2] = ["chromium", "chromium-driver"];
/// What the tests look for: any of these and its driver.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const DRIVER: &str = "chromedriver";
/// Set to 1, the tests that need a browser say `ignored`.
const WITHOUT: &str = "TICKETING_TESTS_WITHOUT_BROWSER";

/// Whether the tests that need a browser are to run.
pub(crate) fn is_wanted() -> bool {
    env::var_os(WITHOUT).is_none_or(|value| value != "1")
}

/// Installs a browser if there is none, unless the tests are to run without.
pub(crate) fn provide() -> Result<Outcome> {
    if !is_wanted() {
        return Ok(Outcome::Skipped(format!("{WITHOUT} is set")));
    }
    if !is_there() && debian::may_install() {
        debian::install(&PACKAGES);
    }
    if !is_there() {
        bail!(
            "no browser for the tests: on Debian, as root, `apt-get install {}`; or set {WITHOUT}=1 to do without",
            PACKAGES.join(" ")
        );
    }
    Ok(Outcome::Passed)
}

fn is_there() -> bool {
    on_path(DRIVER).is_some() && BROWSERS.iter().any(|browser| on_path(browser).is_some())
}
