//! The pages of the storefront in a real browser, Chromium with its WebDriver.

use crate::support::{Client, Host, PASSWORD, PATIENCE, Setup, eventually, unique};
use std::{
    env,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use thirtyfour::{
    components::SelectElement,
    extensions::query::ElementQuery,
    prelude::*,
    stringmatch::{Needle, StringMatchable},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

const POLL: Duration = Duration::from_millis(50);
/// The time in which a page usually loads its content.
const LOADED: Duration = Duration::from_secs(1);

#[tokio::test]
#[ignore = "needs a browser"]
async fn a_visitor_sells_a_ticket_and_another_one_buys_it() {
    in_browser(Setup::new(), async |page| {
        page.sign_up("seller").await?;
        page.open("/sell").await?;
        page.fill("#title", "Opera <i>gala</i>").await?;
        page.fill("#price", "abc").await?;
        page.click("[data-form] button").await?;
        page.shows("#price-error", "Price must be".match_partial()).await?;
        page.fill("#price", "1234.5").await?;
        page.click("[data-form] button").await?;
        page.shows("[data-notice]", "Your ticket is for sale.").await?;
        page.shows("h1[data-title]", "Opera <i>gala</i>").await?;
        page.shows(".large [data-price]", "$1,234.50").await?;
        page.click("[data-sign-out]").await?;
        page.shows("[data-notice]", "You are signed out.").await?;

        page.sign_up("buyer").await?;
        page.click("[data-list] a").await?;
        page.click("[data-buy]").await?;
        page.shows("[data-state]", "The ticket is reserved for you.").await?;
        page.shows("[data-timer]", ":".match_partial()).await?;
        page.choose("#token", "tok_chargeDeclined").await?;
        page.click("[data-amount]").await?;
        page.shows("[data-pay]", "declined.".match_partial()).await?;
        page.choose("#token", "tok_visa").await?;
        page.click("[data-amount]").await?;
        page.shows("[data-state]", "Paid. The ticket is yours.").await?;
        page.open("/orders").await?;
        page.shows("[data-list] [data-badge]", "Paid").await
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn an_expired_reservation_says_so_and_the_ticket_is_for_sale_again() {
    in_browser(Setup::new().expiration_seconds(2), async |page| {
        page.sign_up("seller").await?;
        page.sell("Jazz", "20").await?;
        page.click("[data-sign-out]").await?;
        page.shows("[data-notice]", "You are signed out.").await?;

        page.sign_up("buyer").await?;
        page.click("[data-list] a").await?;
        page.click("[data-buy]").await?;
        page.shows("[data-state]", "This order was not paid in time".match_partial()).await?;
        page.comes_to_show("/", "[data-list] [data-price]", "$20.00").await
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn a_buyer_is_asked_again_when_the_price_has_changed_since_they_saw_it() {
    in_browser(Setup::new(), async |page| {
        let (seller, other) = (page.client("seller").await, page.client("other").await);
        let ticket = seller.sell("Opera", 20.0).await;
        page.sign_up("buyer").await?;
        page.open(&format!("/tickets/{}", ticket.id)).await?;
        page.shows("[data-buy]", "Reserve this ticket").await?;
        assert_eq!(seller.edit(&ticket.id, "Opera", 2_000).await.status, 200);
        // `orders` answers an order for an unknown version with the one that it knows.
        let known = async || other.try_order_version(&ticket.id, 99).await.json()["ticket"]["version"].clone();
        eventually("`orders` knows the new price", known, |version| *version == 1).await;

        page.click("[data-buy]").await?;
        page.shows("[data-problem]", "The price is now $2,000.00, was $20.00.".match_partial()).await?;
        page.shows(".large [data-price]", "$2,000.00").await?;
        page.shows("[data-buy]", "Reserve for $2,000.00").await?;
        page.click("[data-buy]").await?;
        page.shows("[data-state]", "The ticket is reserved for you.").await?;
        page.shows(".large [data-price]", "$2,000.00").await
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn a_seller_sees_what_became_of_the_tickets_and_withdraws_one() {
    in_browser(Setup::new(), async |page| {
        let buyer = page.client("buyer").await;
        page.sign_up("seller").await?;
        page.open("/selling").await?;
        page.shows("[data-status]", "You have not offered any ticket yet.").await?;
        page.sell("Opera", "20").await?;
        page.open("/selling").await?;
        page.shows("[data-list] [data-badge]", "For sale").await?;
        page.click("[data-list] a").await?;
        page.click("summary").await?;
        page.click("[data-withdraw]").await?;
        page.shows("[data-notice]", "Your ticket is withdrawn.").await?;
        page.shows("[data-status]", "You have not offered any ticket yet.").await?;

        page.sell("Jazz", "10").await?;
        let tickets = buyer.all("/api/tickets").await;
        let order = buyer.reserve(tickets[0]["id"].as_str().unwrap()).await;
        page.comes_to_show("/selling", "[data-list] [data-badge]", "Reserved").await?;
        buyer.pay(&order.id).await;
        page.comes_to_show("/selling", "[data-list] [data-badge]", "Sold").await?;
        page.click("[data-list] a").await?;
        page.shows("[data-part='own-sold']", "This is your ticket. It is sold.".match_partial()).await
    })
    .await;
}

/// Runs the steps with a host and a browser. Both end after the steps, also when
/// these fail.
async fn in_browser(setup: Setup, steps: impl AsyncFnOnce(&Page) -> WebDriverResult<()>) {
    let host = setup.start().await;
    let browser = Browser::start().await;
    let driver = browser.open().await.unwrap();
    let outcome = driver.run_and_quit(async |driver| steps(&Page::new(&host, driver)).await).await;
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
        wanted.add_arg(&format!("--user-data-dir={}", self.profile.path().display()))?;
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        WebDriver::builder(&self.address, wanted).client(client).connect().await
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
    fn new(host: &Host, driver: WebDriver) -> Self {
        Self { driver, base: format!("http://{}", host.address()) }
    }

    async fn open(&self, path: &str) -> WebDriverResult<()> {
        self.driver.goto(format!("{}{path}", self.base)).await
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

    /// Another visitor, who uses the API.
    async fn client(&self, name: &str) -> Client {
        let mut client = Client::new(&self.base);
        client.sign_up(&unique(name)).await;
        client
    }

    /// Offers a ticket.
    async fn sell(&self, title: &str, price: &str) -> WebDriverResult<()> {
        self.open("/sell").await?;
        self.fill("#title", title).await?;
        self.fill("#price", price).await?;
        self.click("[data-form] button").await?;
        self.shows("[data-notice]", "Your ticket is for sale.").await
    }

    async fn sign_up(&self, name: &str) -> WebDriverResult<()> {
        let email = unique(name);
        self.open("/signup").await?;
        self.fill("#email", &email).await?;
        self.fill("#password", PASSWORD).await?;
        self.click("[data-form] button").await?;
        self.shows("[data-user]", email).await
    }
}
