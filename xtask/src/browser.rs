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
/// Set to 1, the tests that need a browser do nothing.
const WITHOUT: &str = "TICKETING_TESTS_WITHOUT_BROWSER";

/// Sees to it that there is one, unless it was asked to do without.
pub(crate) fn provide() -> Result<Outcome> {
    if env::var_os(WITHOUT).is_some_and(|value| value == "1") {
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
