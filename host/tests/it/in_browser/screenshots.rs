//! The pictures in the README and in `docs/`. `cargo xtask screenshots` makes them, so they
//! show the pages as they are.

use super::{
    Browser, Page,
    console::{Operator, in_console},
    storefront, visit_with,
};
use crate::support::{Setup, chameleon};
use serde_json::json;
use std::{
    env, fs,
    path::{Path, PathBuf},
};
use thirtyfour::prelude::*;

/// The folder of the pictures. Without it they are made and thrown away.
const FOLDER: &str = "TICKETING_SCREENSHOTS";

struct Camera<'a> {
    page: &'a Page,
    browser: &'a Browser,
    folder: PathBuf,
    /// Removed at the end, if nobody wants the pictures.
    _temporary: tempfile::TempDir,
}

impl<'a> Camera<'a> {
    fn new(page: &'a Page, browser: &'a Browser) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let folder = env::var_os(FOLDER).map_or_else(|| temporary.path().to_owned(), PathBuf::from);
        fs::create_dir_all(&folder).unwrap();
        Self { page, browser, folder, _temporary: temporary }
    }

    /// Sets the size of the window and the colours.
    async fn on(&self, width: u32, height: u32, scheme: &str) {
        let driver = &self.page.driver;
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.browser.cdp(driver, "Emulation.setDeviceMetricsOverride", size).await;
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.browser.cdp(driver, "Emulation.setEmulatedMedia", scheme).await;
    }

    /// Makes a picture of a page.
    async fn picture(&self, path: &str, name: &str) -> WebDriverResult<()> {
        self.page.open(path).await?;
        let bytes = self.page.driver.screenshot_as_png().await?;
        assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 5_000, "{name}: {} bytes", bytes.len());
        write(&self.folder.join(format!("{name}.png")), &bytes);
        Ok(())
    }
}

fn write(file: &Path, bytes: &[u8]) {
    fs::write(file, bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn pictures_of_the_console() {
    in_console(Setup::new(), async |host, operator| {
        let Operator { page, browser } = operator;
        let api = host.operator();
        api.allow("chameleon", json!({ "grants": ["store"] })).await;
        api.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
        let second = api.stage(chameleon("1.1.0", "red", "good")).await;
        let canary = json!({ "revision": second, "canary_percent": 20 });
        assert_eq!(api.post("/plugins/chameleon/activate", canary).await.status, 200);
        let seller = host.user("seller").await;
        for title in ["Hall, row 3", "Gallery, row 1", "Stalls, row 12"] {
            seller.sell(title, 25.0).await;
        }
        let visitor = host.visitor();
        for _ in 0..200 {
            visitor.get("/chameleon").await;
            visitor.get("/api/tickets").await;
        }
        api.deploy("hello", fs::read(crate::support::guest("hello")).unwrap()).await;
        operator.sign_in().await?;
        let camera = Camera::new(page, browser);
        camera.on(1280, 860, "light").await;
        camera.picture("/console", "console-overview").await?;
        camera.picture("/console/plugins/chameleon#trial", "console-canary").await?;
        let revision = second.replace('+', "%2B");
        camera.picture(&format!("/console/plugins/chameleon/revisions/{revision}"), "console-verdict").await?;
        camera.on(390, 844, "dark").await;
        camera.picture("/console/events", "console-phone").await
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn pictures_of_the_storefront() {
    let host = Setup::new().start().await;
    visit_with(&format!("http://{}", host.address()), async |page, browser| {
        let camera = Camera::new(page, browser);
        storefront::sells_and_buys(page).await?;
        let seller = host.user("another").await;
        for title in ["Hall, row 3", "Gallery, row 1", "Stalls, row 12"] {
            seller.sell(title, 25.0).await;
        }
        camera.on(1280, 860, "light").await;
        camera.picture("/", "storefront").await
    })
    .await;
}
