//! The tables of a plugin with their rows and sizes.

use super::Browser;
use crate::support::Setup;
use serde_json::json;

#[tokio::test]
async fn the_tables_of_a_plugin_are_shown_with_rows_and_sizes_and_without_contents() {
    let host = Setup::new().start().await;
    let (seller, operator, admin) = (host.user("seller").await, host.operator(), Browser::admin(&host).await);
    for _ in 0..3 {
        seller.sell("A hidden title", 10.0).await;
    }
    let tables = operator.get("/plugins/tickets/tables").await.json();
    let tickets = tables.as_array().unwrap().iter().find(|table| table["name"] == "tickets").unwrap();
    assert_eq!((&tickets["rows"], &tickets["is_estimate"]), (&json!(3), &json!(false)), "{tables}");
    assert!(tickets["bytes"].as_u64().unwrap() >= 4_096, "{tables}");
    let names = tables.to_string();
    assert!(!names.contains("host_") && !names.contains("sqlite_") && !names.contains("hidden"), "{tables}");
    let page = admin.page("/console/plugins/tickets/tables").await;
    assert!(
        page.contains("<code>tickets</code>") && page.contains("KiB") && !page.contains("A hidden title"),
        "{page}"
    );
    assert!(admin.page("/console/plugins/tickets").await.contains("/console/plugins/tickets/tables"));

    assert_eq!(operator.get("/plugins/storefront/tables").await.json(), json!([]));
    assert!(admin.page("/console/plugins/storefront/tables").await.contains("has no tables"));
    assert_eq!(operator.get("/plugins/nothing/tables").await.status, 404);
    let token = operator.make_token(json!({ "name": "ci", "role": "admin", "plugins": ["orders"] })).await;
    assert_eq!(host.bearer(&token.text).get("/plugins/tickets/tables").await.status, 403);
}
