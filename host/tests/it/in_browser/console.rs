//! The operator console.

use super::{Browser, Page};
use crate::support::{ADMIN_TOKEN, Host, Setup, guest};
use serde_json::{Value, json};
use std::path::Path;
use thirtyfour::{prelude::*, stringmatch::StringMatchable};

/// The window of an operator.
pub(super) struct Operator<'a> {
    pub(super) page: Page,
    pub(super) browser: &'a Browser,
}

impl Operator<'_> {
    pub(super) async fn sign_in(&self) -> WebDriverResult<()> {
        self.sign_in_with(ADMIN_TOKEN).await
    }

    pub(super) async fn sign_in_with(&self, token: &str) -> WebDriverResult<()> {
        let page = &self.page;
        page.open("/").await?;
        page.shows("h1", "Sign in").await?;
        page.fill("#token", token).await?;
        page.click("button.primary").await?;
        page.shows("h1", "Overview").await
    }

    /// From the overview to a plugin that serves.
    pub(super) async fn deploy(&self, file: &Path) -> WebDriverResult<()> {
        let page = &self.page;
        page.click(".title a.primary").await?;
        page.attach("#component", file).await?;
        page.click("button.primary").await?;
        page.shows(".notice", "compatible".match_partial()).await?;
        page.click(".next button.primary").await?;
        page.shows("h1", "Activate hello?").await?;
        page.click("button.primary").await?;
        page.shows("h1", "hello is activated").await
    }

    /// The complaints of the browser: errors in scripts and violations of the policy. The pages of the browser
    /// itself do not count.
    pub(super) async fn complaints(&self) -> Vec<Value> {
        let log = self.browser.chromium(&self.page.driver, "se/log", json!({ "type": "browser" })).await;
        let is_bad = |line: &&Value| ["WARNING", "SEVERE"].iter().any(|level| line["level"] == *level);
        let is_own = |line: &&Value| !line["message"].as_str().unwrap().starts_with("chrome://");
        log.as_array().unwrap().iter().filter(is_bad).filter(is_own).cloned().collect()
    }
}

pub(super) async fn in_console(setup: Setup, steps: impl AsyncFnOnce(&Host, &Operator<'_>) -> WebDriverResult<()>) {
    let host = setup.start().await;
    let browser = Browser::start().await;
    let driver = browser.open().await.unwrap();
    let base = format!("http://{}", host.operators_address());
    let outcome = driver.run_and_quit(async |driver| {
        let operator = Operator { page: Page::new(&base, driver), browser: &browser };
        steps(&host, &operator).await?;
        assert_eq!(operator.complaints().await, [] as [Value; 0]);
        Ok::<_, WebDriverError>(())
    });
    outcome.await.unwrap();
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn an_operator_uploads_a_plugin_and_activates_it() {
    in_console(Setup::without_components(), async |host, operator| {
        let page = &operator.page;
        operator.sign_in().await?;
        page.shows(".empty", "No plugin runs yet.".match_partial()).await?;
        operator.deploy(&guest("hello")).await?;
        host.visitor().says_hello().await;

        page.open("/console").await?;
        page.shows("tbody .badge", "active").await?;
        page.open("/console/plugins/hello/log").await?;
        page.shows("[data-log-state]", "New lines appear here.").await?;
        page.open("/console/plugins/hello/do/remove").await?;
        page.click("button.danger").await?;
        page.shows(".notice", "hello is removed.").await?;
        page.open("/console").await?;
        page.click(".user button").await?;
        page.shows("h1", "Sign in").await
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn an_operator_does_the_same_without_scripts() {
    in_console(Setup::without_components(), async |host, operator| {
        let page = &operator.page;
        page.open("/console").await?;
        operator.browser.cdp(&page.driver, "Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
        operator.sign_in().await?;
        operator.deploy(&guest("hello")).await?;
        host.visitor().says_hello().await;
        page.open("/console/audit").await?;
        page.shows("time", "UTC".match_partial()).await
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn a_refused_upload_tells_its_reasons_on_the_same_page() {
    in_console(Setup::without_components(), async |_, operator| {
        let page = &operator.page;
        operator.sign_in().await?;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "<script>alert(1)</script>").unwrap();
        page.open("/console/upload").await?;
        page.attach("#component", file.path()).await?;
        page.click("button.primary").await?;
        page.shows("#refused", "The host refused the file").await?;
        // The browser itself notes that the answer was no success.
        let noted = operator.complaints().await;
        assert!(noted.iter().all(|line| line["source"] == "network"), "{noted:?}");
        page.attach("#component", &guest("hello")).await?;
        page.click("button.primary").await?;
        page.shows(".notice", "compatible".match_partial()).await
    })
    .await;
}
