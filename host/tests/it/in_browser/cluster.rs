//! The console of one host shows the others.

use super::{Browser, Page, console::Operator};
use crate::{
    cluster::{joined, knows_all, named},
    support::{NatsServer, Setup, guest, postgres},
};
use serde_json::json;
use std::fs;
use thirtyfour::prelude::*;

/// The names of the hosts that the page shows with this status.
async fn hosts(page: &Page, status: &str) -> WebDriverResult<usize> {
    page.open("/console/cluster").await?;
    let mut found = 0;
    for badge in page.driver.find_all(By::Css("article.host h3 .badge")).await? {
        found += usize::from(badge.text().await? == status);
    }
    Ok(found)
}

#[tokio::test]
#[ignore = "needs a browser, PostgreSQL and NATS"]
async fn a_change_through_one_host_is_seen_on_the_console_of_another() {
    let url = postgres::new_database().await;
    let setup = joined(Setup::without_components(), &url, &NatsServer::shared().url());
    let mut all = Setup::start_all(named(&setup)).await;
    knows_all(&all[0]).await;
    let browser = Browser::start().await;
    let driver = browser.open().await.unwrap();
    let base = format!("http://{}", all[1].operators_address());
    let outcome = driver.run_and_quit(async |driver| {
        let operator = Operator { page: Page::new(&base, driver), browser: &browser };
        let page = &operator.page;
        operator.sign_in().await?;
        assert_eq!(hosts(page, "ready").await?, 3);
        all[0].operator().deploy("hello", fs::read(guest("hello")).unwrap()).await;
        page.open("/console").await?;
        page.shows("tbody th a", "hello").await?;
        // The page shows the decision of a host that is gone.
        assert_eq!(all[0].operator().post("/plugins/hello/pause", json!({})).await.status, 200);
        all[0].kill().await;
        page.comes_to_show("/console", "tbody .badge", "paused").await?;
        page.comes_to_show("/console/cluster", "article.host h3 .badge", "lost").await?;
        assert!(hosts(page, "ready").await? == 2);
        page.open("/console/plugins/hello/do/resume").await?;
        page.click("form button.primary").await?;
        page.shows(".notice", "hello is active now.").await?;
        all[0].start_again().await;
        all[0].visitor().says_hello().await;
        Ok::<_, WebDriverError>(())
    });
    outcome.await.unwrap();
}
