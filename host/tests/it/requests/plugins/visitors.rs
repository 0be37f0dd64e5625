//! The visitor of a call that one plugin makes for another one.

use super::{CALLEE, callee, caller, calling, host_with, send, told, url};
use crate::support::{Client, Host, Setup};
use serde_json::{Value, json};

/// A host that knows accounts, and a signed-in visitor.
async fn host_and_user() -> (Host, Client) {
    let setup = Setup::new().default_expiration().default_unpaid_orders().flag("--bundled=auth");
    let host = host_with(setup, caller(), calling(callee(), &["requesting"])).await;
    let user = host.user("caller").await;
    (host, user)
}

/// Sets who of the two learns who the visitor is.
async fn let_know(host: &Host, caller: bool, callee: bool) {
    for (plugin, other, knows) in [("requesting", CALLEE, caller), (CALLEE, "requesting", callee)] {
        let policy = json!({ "grants": ["http", "store"], "plugins": [other], "visitor": knows });
        host.operator().allow(plugin, policy).await;
    }
}

#[tokio::test]
async fn the_visitor_is_passed_on_only_if_both_plugins_know_the_visitor() {
    let (host, user) = host_and_user().await;
    for (caller, callee) in [(false, false), (false, true), (true, false), (true, true)] {
        let_know(&host, caller, callee).await;
        let cookie = user.cookie.clone().unwrap();
        let wanted = json!({ "url": url("echo"), "headers": [["cookie", cookie]] });
        let expected = if caller && callee { json!(user.id) } else { Value::Null };
        assert_eq!(told(&send(&user, wanted.clone()).await)["principal"], expected, "{caller} {callee}");
        assert_eq!(told(&send(&host.visitor(), wanted).await)["principal"], Value::Null);
    }
}

#[tokio::test]
async fn a_plugin_that_knows_no_visitor_gets_nobody_to_act_for_one() {
    let (host, user) = host_and_user().await;
    let_know(&host, true, false).await;
    // The visitor asks one plugin, which asks the other, which asks the first again.
    let last = json!({ "url": "http://requesting.plugin/requesting/echo" });
    let outcome = send(&user, json!({ "method": "POST", "url": url("send"), "body": last })).await;
    assert_eq!(told(&told(&outcome))["principal"], Value::Null, "{outcome}");
    let_know(&host, true, true).await;
    let outcome = send(&user, json!({ "method": "POST", "url": url("send"), "body": last })).await;
    assert_eq!(told(&told(&outcome))["principal"], json!(user.id), "{outcome}");
}
