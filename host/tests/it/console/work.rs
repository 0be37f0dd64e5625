//! Timers and events on the pages, in the API and in a terminal.

use super::Browser;
use crate::{
    plugin_cli::Shell,
    support::{Setup, eventually},
};
use serde_json::{Value, json};

fn row<'a>(rows: &'a Value, field: &str, wanted: &str) -> &'a Value {
    rows.as_array().unwrap().iter().find(|row| row[field] == wanted).unwrap_or_else(|| panic!("{wanted}: {rows}"))
}

#[tokio::test]
async fn timers_are_counted_for_each_plugin_and_a_bound_token_sees_its_own_alone() {
    let host = Setup::new().start().await;
    let (seller, buyer, operator) = (host.user("seller").await, host.user("buyer").await, host.operator());
    let ticket = seller.sell("A seat", 10.0).await;
    buyer.reserve(&ticket.id).await;
    let all = async || operator.get("/timers").await.json();
    let is_set = |rows: &Value| row(rows, "plugin", "expiration")["timers"]["set"] == 1;
    let rows = eventually("the order has its timer", all, is_set).await;
    let expiration = row(&rows, "plugin", "expiration");
    assert_eq!((&expiration["status"], &expiration["timers"]["due"]), (&json!("active"), &json!(0)), "{rows}");
    assert!(expiration["timers"]["next_due_ms"].is_u64() && !rows.to_string().contains("payload"), "{rows}");

    let admin = Browser::admin(&host).await;
    let page = admin.page("/console/timers").await;
    assert!(page.contains("href=\"/console/plugins/expiration\"") && page.contains("<time datetime="), "{page}");
    let printed = Shell::of(&host).host("timers").await;
    let line = printed.done().lines().find(|line| line.starts_with("expiration ")).unwrap();
    assert!(line.split_whitespace().collect::<Vec<_>>().starts_with(&["expiration", "active", "1", "0", "-", "in"]));

    let token = operator.make_token(json!({ "name": "ci", "role": "view", "plugins": ["orders"] })).await;
    let own = host.bearer(&token.text).get("/timers").await.json();
    assert!(own.as_array().unwrap().len() == 1 && own[0]["plugin"] == "orders", "{own}");
    let bound = Browser::signed_in(&host, &token.text).await;
    assert!(!bound.page("/console/timers").await.contains("expiration"));
}

#[tokio::test]
async fn the_catalogue_of_events_names_publishers_and_receivers_that_the_caller_may_see() {
    let host = Setup::new().start().await;
    let operator = host.operator();
    let rows = operator.get("/events").await.json();
    let created = row(&rows, "subject", "order.created");
    assert_eq!(created["publishers"], json!(["orders"]));
    let receivers: Vec<_> = created["receivers"].as_array().unwrap().iter().map(|one| &one["plugin"]).collect();
    assert_eq!(receivers, ["expiration", "payments", "tickets"]);
    assert!(created["receivers"][0]["backlog"]["pending"].is_u64(), "{created}");
    let page = Browser::admin(&host).await.page("/console/events").await;
    assert!(page.contains("<code>order.created</code>") && page.contains("nothing waits"), "{page}");
    let printed = Shell::of(&host).host("events").await;
    assert!(printed.done().lines().any(|line| line.starts_with("order.created ") && line.contains("tickets")));

    let page = Browser::admin(&host).await.page("/console/events/order.created").await;
    assert!(page.contains("Schema of orders") && page.contains("It comes from no event."), "{page}");
    let printed = Shell::of(&host).host("events order.created").await;
    for part in ["published by  orders", "schema of orders ", "sample, made from the schema", "\"sellerId\": "] {
        assert!(printed.done().contains(part), "{part}: {printed:?}");
    }

    let token = operator.make_token(json!({ "name": "ci", "role": "view", "plugins": ["expiration"] })).await;
    let own = host.bearer(&token.text).get("/events").await.json();
    let subjects: Vec<_> = own.as_array().unwrap().iter().map(|row| row["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects, ["expiration.complete", "order.cancelled", "order.completed", "order.created"]);
    assert_eq!(own[3]["publishers"], json!([]), "{own}");
    let page = Browser::signed_in(&host, &token.text).await.page("/console/events").await;
    assert!(page.contains("none of your plugins") && !page.contains("/console/plugins/orders"), "{page}");
}

#[tokio::test]
async fn an_empty_host_says_what_to_do_next() {
    let host = Setup::without_components().start().await;
    let admin = Browser::admin(&host).await;
    assert!(admin.page("/console/timers").await.contains("No plugin has a database"));
    assert!(admin.page("/console/events").await.contains("[messaging]"));
    let shell = Shell::of(&host);
    assert!(shell.host("timers").await.done().starts_with("no plugin has a database"));
    assert!(shell.host("events").await.done().starts_with("no plugin publishes"));
}
