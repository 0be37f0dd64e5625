//! The pages in a real browser, Chromium with its WebDriver.

mod accessibility;
mod cluster;
mod console;
mod operations;
mod proxies;
mod screenshots;
mod storefront;

use crate::support::{PATIENCE, SITE};
use serde_json::{Value, json};
use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use thirtyfour::{components::SelectElement, extensions::query::ElementQuery, prelude::*, stringmatch::Needle};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

const POLL: Duration = Duration::from_millis(50);
/// The time in which a page usually loads its content.
const LOADED: Duration = Duration::from_secs(1);

/// Runs the steps in a browser that visits this address. The browser ends after the
/// steps, also when these fail.
async fn visit(base: &str, steps: impl AsyncFnOnce(&Page) -> WebDriverResult<()>) {
    visit_with(base, async |page, _| steps(page).await).await;
}

/// Does the same with steps that need the browser too.
async fn visit_with(base: &str, steps: impl AsyncFnOnce(&Page, &Browser) -> WebDriverResult<()>) {
    let browser = Browser::start().await;
    let driver = browser.open().await.unwrap();
    let outcome = driver.run_and_quit(async |driver| steps(&Page::new(base, driver), &browser).await).await;
    outcome.unwrap();
}

/// A WebDriver, with the profile of the browser that it starts.
struct Browser {
    _driver: Child,
    /// Open for as long as the driver runs, because the driver writes to it.
    _lines: Lines<BufReader<ChildStdout>>,
    address: String,
    binary: PathBuf,
    profile: TempDir,
}

impl Browser {
    async fn start() -> Self {
        let binary = program(&["chromium", "chromium-browser", "google-chrome"]);
        let mut command = Command::new(program(&["chromedriver"]));
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut driver = command.spawn().unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let address = timeout(PATIENCE, port(&mut lines)).await.expect("chromedriver did not say its port");
        let profile = tempfile::tempdir().unwrap();
        Self { _driver: driver, _lines: lines, address: format!("http://127.0.0.1:{address}"), binary, profile }
    }

    /// Opens a window of a browser that does nothing by itself.
    async fn open(&self) -> WebDriverResult<WebDriver> {
        let mut wanted = DesiredCapabilities::chrome();
        wanted.set_binary(self.binary.to_str().unwrap())?;
        for flag in [
            "--headless",
            // The browser opens only these pages, and its sandbox does not start in most containers.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-proxy-server",
            "--window-size=1280,900",
        ] {
            wanted.add_arg(flag)?;
        }
        wanted.set("goog:loggingPrefs", json!({ "browser": "ALL" }))?;
        // The proxies of the tests have this name and a certificate of their own.
        wanted.add_arg(&format!("--host-resolver-rules=MAP {SITE} 127.0.0.1"))?;
        wanted.accept_insecure_certs(true)?;
        wanted.add_arg(&format!("--user-data-dir={}", self.profile.path().display()))?;
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        WebDriver::builder(&self.address, wanted).client(client).connect().await
    }

    /// Sends a command that only Chromium's driver knows.
    async fn chromium(&self, window: &WebDriver, command: &str, parameters: Value) -> Value {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let address = format!("{}/session/{}/{command}", self.address, window.session_id());
        let reply = client.post(address).json(&parameters).send().await.unwrap();
        assert!(reply.status().is_success(), "{command}: {reply:?}");
        reply.json::<Value>().await.unwrap()["value"].clone()
    }

    /// Sends a command of the developer tools.
    async fn cdp(&self, window: &WebDriver, command: &str, parameters: Value) -> Value {
        self.chromium(window, "goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }
}

/// The number in `ChromeDriver was started successfully on port 9515.`
async fn port(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some((_, port)) = line.split_once("successfully on port ") {
            return port.trim_end_matches('.').to_owned();
        }
    }
    panic!("chromedriver ended before it said its port");
}

/// The path of the first of these programs that is installed.
fn program(names: &[&str]) -> PathBuf {
    let folders = env::var_os("PATH").unwrap_or_default();
    let mut files = names.iter().flat_map(|name| env::split_paths(&folders).map(move |folder| folder.join(name)));
    let file = files.find(|file| file.is_file());
    file.unwrap_or_else(|| panic!("{} is not installed: apt-get install chromium chromium-driver", names[0]))
}

/// Repeats a step until it succeeds. A page may replace an element between two
/// parts of a step.
async fn patiently<T>(step: impl AsyncFn() -> WebDriverResult<T>) -> WebDriverResult<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let outcome = step().await;
        if outcome.is_ok() || Instant::now() > deadline {
            return outcome;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The window of a visitor.
struct Page {
    driver: WebDriver,
    base: String,
}

impl Page {
    fn new(base: &str, driver: WebDriver) -> Self {
        Self { driver, base: base.to_owned() }
    }

    async fn open(&self, path: &str) -> WebDriverResult<()> {
        self.driver.goto(format!("{}{path}", self.base)).await
    }

    /// Waits until the scripts of the page have filled in its content.
    async fn is_loaded(&self) -> WebDriverResult<()> {
        patiently(async || self.query("main:not([aria-busy])").first().await).await?;
        Ok(())
    }

    /// The cookies of the site.
    async fn cookies(&self) -> WebDriverResult<Vec<Cookie>> {
        self.driver.get_all_cookies().await
    }

    /// Waits until a visible element has this text.
    async fn shows(&self, selector: &str, text: impl Needle + Clone + Send + Sync + 'static) -> WebDriverResult<()> {
        patiently(async || self.query(selector).with_text(text.clone()).and_displayed().first().await).await?;
        Ok(())
    }

    /// Loads a page again and again until it shows this text.
    async fn comes_to_show(&self, path: &str, selector: &str, text: &'static str) -> WebDriverResult<()> {
        patiently(async || {
            self.open(path).await?;
            self.query(selector).with_text(text).wait(LOADED, POLL).first().await
        })
        .await?;
        Ok(())
    }

    async fn click(&self, selector: &str) -> WebDriverResult<()> {
        patiently(async || self.query(selector).and_clickable().first().await?.click().await).await
    }

    async fn fill(&self, selector: &str, text: &str) -> WebDriverResult<()> {
        patiently(async || {
            let field = self.query(selector).and_displayed().first().await?;
            field.clear().await?;
            field.send_keys(text).await
        })
        .await
    }

    /// Chooses a file for a field.
    async fn attach(&self, selector: &str, file: &Path) -> WebDriverResult<()> {
        patiently(async || self.query(selector).first().await?.send_keys(file.to_str().unwrap()).await).await
    }

    async fn choose(&self, selector: &str, value: &str) -> WebDriverResult<()> {
        patiently(async || {
            let field = self.query(selector).and_displayed().first().await?;
            SelectElement::new(&field).await?.select_by_value(value).await
        })
        .await
    }

    fn query(&self, selector: &str) -> ElementQuery {
        self.driver.query(By::Css(selector)).desc(selector).nowait()
    }
}
