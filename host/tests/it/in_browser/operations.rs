//! The days of an operator on the console: a trial, a fault, a dead letter, a quarantine, a
//! colleague who does something meanwhile, and a host that goes away.

use super::{
    Browser, Page,
    console::{Operator, in_console},
};
use crate::{
    hostile::hostile,
    support::{Client, Host, Setup, chameleon, eventually},
};
use serde_json::{Value, json};
use thirtyfour::{prelude::*, stringmatch::StringMatchable};

const PLUGIN: &str = "/console/plugins/chameleon";

/// A host whose console shows the chameleon, which may use the store.
async fn with_chameleon(setup: Setup, steps: impl AsyncFnOnce(&Host, &Operator<'_>) -> WebDriverResult<()>) {
    in_console(setup, async |host, operator| {
        host.operator().allow("chameleon", json!({ "grants": ["store"] })).await;
        host.operator().deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
        operator.sign_in().await?;
        steps(host, operator).await
    })
    .await;
}

/// Makes a revision a canary by the pages, from its verdict on.
async fn try_as_canary(page: &Page, revision: &str, share: &str) -> WebDriverResult<()> {
    page.open(&format!("{PLUGIN}/revisions/{}", revision.replace('+', "%2B"))).await?;
    page.fill("#share", share).await?;
    page.click(".next form.inline button").await?;
    page.shows("h1", "Activate chameleon?").await?;
    page.click("form.stack button.primary").await?;
    page.shows("h1", "chameleon is activated").await
}

async fn percent(host: &Host) -> Value {
    host.operator().plugin("chameleon").await["canary"]["percent"].clone()
}

/// Visits the chameleon for as long as the steps take.
async fn under_load<T>(visitor: &Client, steps: impl Future<Output = T>) -> T {
    let visits = async {
        loop {
            visitor.get("/chameleon").await;
        }
    };
    tokio::select! {
        outcome = steps => outcome,
        never = visits => never,
    }
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn a_canary_gets_its_share_by_the_slider_while_visitors_come() {
    with_chameleon(Setup::without_components(), async |host, operator| {
        let page = &operator.page;
        let second = host.operator().stage(chameleon("2.0.0", "red", "good")).await;
        under_load(&host.visitor(), async {
            try_as_canary(page, &second, "10").await?;
            page.open(PLUGIN).await?;
            page.shows("#trial", "The canary beside the active revision").await?;
            // By the keyboard alone.
            let slider = page.query("#share").first().await?;
            slider.send_keys(Key::Right + Key::Right).await?;
            page.shows("#shown", "12 %").await?;
            page.click("form.slider button").await?;
            page.shows("p", "12 % of the work".match_partial()).await?;
            page.click("form.stack button.primary").await?;
            page.shows("h1", "chameleon is activated").await
        })
        .await?;
        assert_eq!(percent(host).await, 12);
        page.open(PLUGIN).await?;
        page.shows("#trial", "The canary beside the active revision").await?;
        page.click("a[href$='/do/promote']").await?;
        page.click("form button.primary").await?;
        page.shows("h1", "Promote the canary of chameleon").await?;
        assert_eq!(host.visitor().colour().await, "red");
        Ok(())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn a_canary_that_fails_is_seen_to_be_rolled_back() {
    with_chameleon(Setup::without_components(), async |host, operator| {
        let page = &operator.page;
        let bad = host.operator().stage(chameleon("2.0.0", "red", "error")).await;
        under_load(&host.visitor(), async {
            try_as_canary(page, &bad, "50").await?;
            page.comes_to_show(PLUGIN, ".title .badge", "active").await
        })
        .await?;
        page.shows("#failures", "Last failures").await?;
        page.open("/console/audit").await?;
        page.shows("td", "roll back".match_partial()).await?;
        page.comes_to_show("/console/traces", "tbody th a", "GET /chameleon").await?;
        page.click("tbody th a").await?;
        page.shows("tbody code", "GET /chameleon").await?;
        assert_eq!(host.visitor().colour().await, "green");
        Ok(())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn a_dead_letter_is_delivered_again_after_its_cause_is_repaired() {
    in_console(hostile(), async |host, operator| {
        let (page, visitor) = (&operator.page, host.visitor());
        let event = json!({ "id": "x", "mood": "reject", "subject": "hostile.event" });
        assert_eq!(visitor.post("/hostile/publish", event).await.status, 201);
        operator.sign_in().await?;
        page.comes_to_show("/console/dead-letters", "tbody code", "hostile.event").await?;
        assert_eq!(visitor.post("/hostile/moods", json!({ "id": "x", "mood": "apply" })).await.status, 204);
        page.click("tbody input[name='id']").await?;
        page.click("form[action$='/redeliver'] button.primary").await?;
        page.shows(".notice", "1 delivered again.").await?;
        page.comes_to_show("/console/dead-letters", ".empty p", "There are no dead letters.").await
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn events_are_watched_as_they_are_published_and_never_become_markup() {
    in_console(hostile(), async |host, operator| {
        let (page, visitor) = (&operator.page, host.visitor());
        operator.sign_in().await?;
        page.open("/console/events").await?;
        page.click("a[href='/console/live-events']").await?;
        page.shows("[data-log-state]", "No event was published since the page opened.").await?;
        let publish = async || {
            let event = json!({ "id": "<b>x</b>", "mood": "apply", "subject": "hostile.event" });
            assert_eq!(visitor.post("/hostile/publish", event).await.status, 201);
            page.driver.find_all(By::Css(".log p")).await.unwrap().len()
        };
        eventually("an event is shown", publish, |shown| *shown > 0).await;
        page.shows(".log p", "<b>x</b>".match_partial()).await?;
        assert!(page.driver.find_all(By::Css(".log b")).await?.is_empty());
        page.open("/console/audit").await?;
        page.shows("td", "watch events".match_partial()).await
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn a_quarantine_is_seen_with_its_reason_and_ends_on_the_page() {
    in_console(Setup::without_components().toml("[rollout]\nquarantine_traps = 3\n"), async |host, operator| {
        let (page, visitor) = (&operator.page, host.visitor());
        host.operator().allow("chameleon", json!({ "grants": ["store"] })).await;
        host.operator().deploy("chameleon", chameleon("1.0.0", "red", "trap")).await;
        operator.sign_in().await?;
        let visit = async || visitor.get("/chameleon").await.status;
        eventually("the plugin is in quarantine", visit, |status| *status == 503).await;
        page.comes_to_show(PLUGIN, "#quarantine", "In quarantine").await?;
        page.click("a[href$='/do/resume']").await?;
        page.click("form button.primary").await?;
        page.shows(".notice", "chameleon is active now.").await
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn a_role_that_may_not_is_offered_nothing_and_refused_all_the_same() {
    in_console(Setup::without_components(), async |host, operator| {
        let page = &operator.page;
        host.operator().allow("chameleon", json!({ "grants": ["store"] })).await;
        host.operator().deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
        let token = host.operator().make_token(json!({ "name": "viewer", "role": "view" })).await;
        operator.sign_in_with(&token.text).await?;
        page.open(PLUGIN).await?;
        page.shows("#serves", "The active revision").await?;
        assert!(page.driver.find_all(By::Css(".actions a")).await?.is_empty());
        for link in ["/console/upload", "/console/tokens"] {
            assert!(page.driver.find_all(By::Css(format!("nav a[href='{link}']"))).await?.is_empty(), "{link}");
        }
        // Somebody knows the address of the form.
        page.open(&format!("{PLUGIN}/do/remove")).await?;
        page.click("form button.danger").await?;
        page.shows("h1", "Not allowed").await?;
        let noted = operator.complaints().await;
        assert!(noted.iter().all(|line| line["source"] == "network"), "{noted:?}");
        assert_eq!(host.visitor().colour().await, "green");
        Ok(())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn an_open_page_shows_what_a_colleague_does() {
    with_chameleon(Setup::without_components(), async |host, operator| {
        let page = &operator.page;
        page.open("/console").await?;
        page.shows("[data-live]", "This page follows the host.").await?;
        page.shows("tbody .badge", "active").await?;
        assert_eq!(host.operator().post("/plugins/chameleon/pause", json!({})).await.status, 200);
        page.shows("tbody .badge", "paused").await?;
        page.open(PLUGIN).await?;
        page.shows("[data-live]", "This page follows the host.").await?;
        assert_eq!(host.operator().post("/plugins/chameleon/resume", json!({})).await.status, 200);
        page.shows(".title .badge", "active").await
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn a_page_says_that_a_colleague_was_faster() {
    with_chameleon(Setup::without_components(), async |host, operator| {
        let page = &operator.page;
        let second = host.operator().stage(chameleon("2.0.0", "red", "good")).await;
        page.open(&format!("{PLUGIN}/revisions/{}/activate", second.replace('+', "%2B"))).await?;
        page.shows("h1", "Activate chameleon?").await?;
        assert_eq!(host.operator().activate("chameleon", &second).await.status, 200);
        page.click("form.stack button.primary").await?;
        page.shows(".alert, .refusal, main", "serves already".match_partial()).await?;
        let noted = operator.complaints().await;
        assert!(noted.iter().all(|line| line["source"] == "network"), "{noted:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a browser"]
async fn the_console_goes_on_after_its_host_was_killed_and_came_back() {
    let mut host = Setup::without_components().start().await;
    host.setup = host.setup.clone().admin_listen(host.operators_address());
    let browser = Browser::start().await;
    let driver = browser.open().await.unwrap();
    let base = format!("http://{}", host.operators_address());
    let outcome = driver.run_and_quit(async |driver| {
        let operator = Operator { page: Page::new(&base, driver), browser: &browser };
        operator.sign_in().await?;
        host.kill().await;
        host.start_again().await;
        operator.page.comes_to_show("/console", "h1", "Overview").await
    });
    outcome.await.unwrap();
}
