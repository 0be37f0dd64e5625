//! The rights to call another plugin, and the routes that visitors do not reach.

use super::{CALLEE, callee, caller, host_with, host_with_both, policy, requesting, send, url};
use crate::support::Setup;
use http::Method;
use serde_json::json;

const COMMAND: &str = "ticketing plugin policy requesting";

#[tokio::test]
async fn a_call_of_another_plugin_needs_an_entry_of_the_policy() {
    let host = host_with_both().await;
    let (operator, visitor) = (host.operator(), host.visitor());
    let wanted = json!({ "url": url("version") });
    assert_eq!(send(&visitor, wanted.clone()).await["status"], 200);
    for taken in [policy(&[]), policy(&["streaming"]), json!({ "grants": ["store"], "plugins": [CALLEE] })] {
        operator.allow("requesting", taken.clone()).await;
        let outcome = send(&visitor, wanted.clone()).await;
        assert_eq!(outcome["error"], "denied", "{taken}: {outcome}");
        let text = outcome["text"].as_str().unwrap();
        assert!(text.contains(&format!("{COMMAND} --grant http --plugin {CALLEE}")), "{outcome}");
        // The plugin that was called before, and itself.
        let own = send(&visitor, json!({ "url": "http://requesting.plugin/requesting/version" })).await;
        assert_eq!(own["body"], "requesting-one");
    }
    operator.allow("requesting", policy(&[])).await;
    let refused = operator.upload(caller().version("1.1.0").bytes()).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.text.contains(&format!("it calls the plugin {CALLEE}")), "{refused:?}");
    assert!(refused.text.contains(&format!("{COMMAND} --plugin {CALLEE}")), "{refused:?}");
    let wrong = operator.set_policy("requesting", policy(&["Not a name"])).await;
    assert!(wrong.status == 422 && wrong.text.contains("plugins"), "{wrong:?}");

    operator.allow("requesting", policy(&[CALLEE])).await;
    assert_eq!(send(&visitor, wanted).await["status"], 200);
    assert_eq!(operator.plugin("requesting").await["calls_plugins"], json!([CALLEE]));
}

#[tokio::test]
async fn a_call_of_another_plugin_needs_an_entry_of_the_manifest() {
    let host = host_with(Setup::without_components(), requesting(), callee()).await;
    let outcome = send(&host.visitor(), json!({ "url": url("version") })).await;
    assert_eq!(outcome["error"], "denied", "{outcome}");
    assert!(outcome["text"].as_str().unwrap().contains("requests.plugins"), "{outcome}");
}

#[tokio::test]
async fn another_spelling_of_a_plugin_is_no_address() {
    let host = host_with_both().await;
    for url in [
        format!("https://{CALLEE}.plugin/"),
        format!("http://{CALLEE}.plugin:80/"),
        format!("http://{CALLEE}.plugin./"),
        format!("http://user@{CALLEE}.plugin/"),
        "http://Answering1.plugin/".to_owned(),
        "http://a.b.plugin/".to_owned(),
        "http://.plugin/".to_owned(),
    ] {
        let outcome = send(&host.visitor(), json!({ "url": url })).await;
        assert_eq!(outcome["error"], "invalid", "{url}: {outcome}");
    }
    let outcome = send(&host.visitor(), json!({ "method": "CONNECT", "url": url("version") })).await;
    assert_eq!(outcome["error"], "invalid", "{outcome}");
}

#[tokio::test]
async fn a_private_route_exists_for_plugins_alone() {
    let described = |path: &str| json!({ "get": { "operationId": path, "responses": {} } });
    let mut file = callee();
    let paths = ["private", "echo"].map(|path| (format!("/{CALLEE}/{path}"), described(path)));
    file.openapi = Some(json!({ "paths": serde_json::Map::from_iter(paths) }).to_string().into_bytes());
    let host = host_with(Setup::without_components(), caller(), file).await;
    let visitor = host.visitor();
    let path = format!("/{CALLEE}/private");
    let nothing = visitor.get(&format!("/{CALLEE}/nothing")).await;
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::POST, Method::DELETE] {
        for path in [path.clone(), format!("{path}/")] {
            let reply = visitor.send(method.clone(), &path, None).await;
            assert_eq!(reply.status, 404, "{method} {path}: {reply:?}");
            assert!(reply.header("allow").is_none(), "{reply:?}");
        }
    }
    assert_eq!(visitor.get(&path).await.text, nothing.text);
    let document = visitor.get("/openapi.json").await.json();
    let described = document["paths"].as_object().unwrap();
    assert!(described.contains_key("/answering1/echo") && !described.contains_key(&path), "{document}");

    assert_eq!(send(&visitor, json!({ "url": url("private") })).await["status"], 200);
    let post = json!({ "method": "POST", "url": url("private"), "body_bytes": 1 });
    assert_eq!(send(&visitor, post).await["status"], 200);
    let own = send(&visitor, json!({ "url": "http://requesting.plugin/requesting/private" })).await;
    assert_eq!(own["status"], 200, "{own}");
    let routes = host.operator().plugin(CALLEE).await["routes"].clone();
    let private: Vec<_> = routes.as_array().unwrap().iter().filter(|route| route["private"] == true).collect();
    assert!(matches!(private.as_slice(), [route] if route["path"] == path), "{routes}");
}
