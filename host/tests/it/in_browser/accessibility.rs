//! The rules of WCAG 2.2 AA that a program can check, on every page that a link leads
//! to, in both colour schemes. The program is axe-core.

use super::{Browser, Page, console, storefront, visit_with};
use crate::support::{Setup, guest};
use host_test_support::tool_file;
use serde_json::json;
use std::collections::BTreeSet;
use thirtyfour::prelude::*;

const RULES: [&str; 5] = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
/// A loop of links would have more.
const MAX_PAGES: usize = 100;

/// The paths of the links to pages of this site.
const LINKS: &str = "return [...document.querySelectorAll('a[href]')].filter(link => link.origin === location.origin \
                     && !link.hasAttribute('download')).map(link => link.pathname)";
/// One text for each rule that the page breaks.
const CHECK: &str = "const [rules, done] = arguments; requestIdleCallback(() => \
                     axe.run(document, { runOnly: rules, resultTypes: ['violations'] }).then( \
                     seen => done(seen.violations.map(rule => \
                     rule.id + ': ' + rule.nodes.map(node => node.target.join(' ')).join(', '))), \
                     error => done([String(error)])), { timeout: 5000 })";

/// Checks pages, and those that their links lead to.
struct Walk<'a> {
    page: &'a Page,
    browser: &'a Browser,
    axe: String,
    seen: BTreeSet<String>,
    found: Vec<String>,
}

impl<'a> Walk<'a> {
    fn new(page: &'a Page, browser: &'a Browser) -> Self {
        let axe = std::fs::read_to_string(tool_file("axe-core-4.14.1/node_modules/axe-core/axe.min.js")).unwrap();
        Self { page, browser, axe, seen: BTreeSet::new(), found: Vec::new() }
    }

    async fn from(&mut self, start: &str) -> WebDriverResult<()> {
        let mut next = vec![start.to_owned()];
        while let Some(path) = next.pop() {
            if !self.seen.insert(path.clone()) {
                continue;
            }
            assert!(self.seen.len() < MAX_PAGES, "{:?}", self.seen);
            self.page.open(&path).await?;
            self.page.is_loaded().await?;
            let links = self.page.driver.execute(LINKS, vec![]).await?;
            next.extend(links.convert::<Vec<String>>()?);
            self.check(&path).await?;
        }
        Ok(())
    }

    async fn check(&mut self, path: &str) -> WebDriverResult<()> {
        for scheme in ["light", "dark"] {
            let scheme_only = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
            self.browser.cdp(&self.page.driver, "Emulation.setEmulatedMedia", scheme_only).await;
            self.page.driver.execute(&self.axe, vec![]).await?;
            let found = self.page.driver.execute_async(CHECK, vec![json!(RULES)]).await?.convert::<Vec<String>>()?;
            self.found.extend(found.into_iter().map(|rule| format!("{path}, {scheme}: {rule}")));
        }
        Ok(())
    }

    /// Says which pages were checked, and that nothing was found.
    fn end(self) -> BTreeSet<String> {
        assert!(self.found.is_empty(), "{}", self.found.join("\n"));
        self.seen
    }
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn no_page_of_the_console_breaks_a_rule() {
    console::in_console(Setup::without_components(), async |_, operator| {
        let (page, browser) = (&operator.page, operator.browser);
        let mut signed_out = Walk::new(page, browser);
        signed_out.from("/console").await?;
        signed_out.end();

        operator.sign_in().await?;
        let mut empty = Walk::new(page, browser);
        empty.from("/console").await?;
        empty.end();

        page.open("/console").await?;
        operator.deploy(&guest("hello")).await?;
        let mut walk = Walk::new(page, browser);
        for start in ["/console", "/console/plugins/hello/do/remove", "/console/plugins/hello/log", "/console/nothing"]
        {
            walk.from(start).await?;
        }
        let seen = walk.end();
        let wanted = ["", "/upload", "/plugins/hello", "/plugins/hello/settings", "/plugins/hello/policy", "/audit"];
        let wanted = wanted.into_iter().chain(["/events", "/timers", "/traces", "/plugins/hello/tables"]);
        for path in wanted.map(|path| format!("/console{path}")) {
            assert!(seen.contains(&path), "{path} is not among {seen:?}");
        }
        // The browser notes the page that is missing.
        operator.complaints().await;
        Ok(())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn no_page_of_the_storefront_breaks_a_rule() {
    let host = Setup::new().start().await;
    visit_with(&format!("http://{}", host.address()), async |page, browser| {
        let mut signed_out = Walk::new(page, browser);
        for start in ["/", "/signin", "/signup"] {
            signed_out.from(start).await?;
        }
        signed_out.end();

        storefront::sells_and_buys(page).await?;
        let mut walk = Walk::new(page, browser);
        for start in ["/", "/sell", "/selling", "/orders", "/nothing"] {
            walk.from(start).await?;
        }
        let seen = walk.end();
        assert!(seen.iter().any(|path| path.starts_with("/orders/")), "{seen:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn a_page_that_breaks_a_rule_is_found() {
    let host = Setup::without_components().start().await;
    visit_with(&format!("http://{}", host.operators_address()), async |page, browser| {
        page.open("/console").await?;
        let broken = "document.querySelector('label').remove(); document.body.style.color = '#ddd'";
        page.driver.execute(broken, vec![]).await?;
        let mut walk = Walk::new(page, browser);
        walk.check("/console").await?;
        assert!(walk.found.iter().any(|found| found.contains("light: label: ")), "{:?}", walk.found);
        Ok(())
    })
    .await;
}
