//! The permissions of each role for plugins. A role without a permission changes
//! nothing.

use crate::support::{Client, Host, Setup, chameleon, chameleon_host};
use http::Method;
use serde_json::{Value, json};

/// Every change of a plugin for which the role deploy is enough.
const CHANGES: [(Method, &str, &str); 10] = [
    (Method::POST, "/activate", "activate"),
    (Method::POST, "/promote", "promote"),
    (Method::POST, "/rollback", "rollback"),
    (Method::POST, "/pause", "pause"),
    (Method::POST, "/resume", "resume"),
    (Method::PUT, "/config", "config"),
    (Method::PATCH, "/config", "config"),
    (Method::PUT, "/limits", "limits"),
    (Method::DELETE, "", "remove"),
    (Method::DELETE, "/revisions/nothing", "discard revision"),
];

async fn with_token(host: &Host, token: Value) -> Client {
    host.bearer(&host.operator().make_token(token).await.text)
}

async fn recorded(host: &Host, actor: &str) -> Vec<(String, String)> {
    let rows = host.operator().get("/audit?limit=1000").await.json();
    let rows = rows.as_array().unwrap().iter().rev().filter(|row| row["actor"] == actor);
    rows.map(|row| (row["action"].as_str().unwrap().to_owned(), row["outcome"].as_str().unwrap().to_owned())).collect()
}

#[tokio::test]
async fn a_token_without_the_right_to_change_a_plugin_changes_nothing_and_is_recorded() {
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    operator.deploy("chameleon", chameleon("2.0.0", "red", "good")).await;
    let view = with_token(&host, json!({ "name": "viewer", "role": "view" })).await;
    let other = with_token(&host, json!({ "name": "other", "role": "admin", "plugins": ["orders"] })).await;
    let before = (operator.plugin("chameleon").await, operator.get("/plugins/chameleon/revisions").await.json());

    let refusals = [
        (&view, "viewer", "This needs the role deploy; the token viewer has the role view"),
        (&other, "other", "This needs a token for the plugin chameleon; the token other is bound to orders"),
    ];
    for (caller, name, message) in refusals {
        for (method, path, _) in CHANGES {
            let path = format!("/plugins/chameleon{path}");
            caller.send(method, &path, Some(json!({}))).await.refuses(403, message);
        }
        let upload = caller.upload(chameleon("3.0.0", "blue", "good")).await;
        assert_eq!(upload.status, 403, "{upload:?}");
        let mut expected: Vec<_> = CHANGES.map(|(_, _, action)| (action.to_owned(), "refused".to_owned())).into();
        expected.push(("upload".to_owned(), "refused".to_owned()));
        assert_eq!(recorded(&host, name).await, expected);
    }
    let deploy = with_token(&host, json!({ "name": "deployer", "role": "deploy" })).await;
    let needs = "This needs the role admin; the token deployer has the role deploy";
    deploy.set_policy("chameleon", json!({})).await.refuses(403, needs);
    assert_eq!(other.set_policy("chameleon", json!({})).await.status, 403);
    for path in ["", "/revisions", "/logs"] {
        assert_eq!(other.get(&format!("/plugins/chameleon{path}")).await.status, 403);
    }
    let after = (operator.plugin("chameleon").await, operator.get("/plugins/chameleon/revisions").await.json());
    assert_eq!(before, after);
    assert_eq!(host.visitor().get("/chameleon").await.json()["colour"], "red");
}

#[tokio::test]
async fn a_token_for_a_plugin_may_change_it_and_each_change_is_recorded_with_its_digest() {
    let host = chameleon_host(Setup::without_components()).await;
    let ci = with_token(&host, json!({ "name": "ci", "role": "deploy", "plugins": ["chameleon"] })).await;
    let first = ci.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    ci.deploy("chameleon", chameleon("2.0.0", "red", "good")).await;
    let calls = [
        (Method::POST, "rollback", json!({})),
        (Method::PUT, "config", json!({ "colour": "blue" })),
        (Method::PUT, "limits", json!({ "memory_mib": 32 })),
        (Method::POST, "pause", json!({})),
        (Method::POST, "resume", json!({})),
    ];
    for (method, action, body) in calls {
        let reply = ci.send(method, &format!("/plugins/chameleon/{action}"), Some(body)).await;
        assert_eq!(reply.status, 200, "{action}: {reply:?}");
    }
    assert_eq!(ci.delete("/plugins/chameleon").await.status, 204);

    let rows = ci.get("/audit").await.json();
    let mut told = Vec::new();
    for row in rows.as_array().unwrap().iter().rev().filter(|row| row["actor"] == "ci") {
        assert_eq!((&row["plugin"], &row["outcome"]), (&json!("chameleon"), &json!("done")), "{row}");
        let action = row["action"].as_str().unwrap();
        let swaps = ["upload", "activate", "rollback", "config", "limits"].contains(&action);
        assert_eq!(row["digest"].as_str().is_some_and(|digest| digest.len() == 64), swaps, "{row}");
        told.push(action.to_owned());
    }
    let expected =
        ["upload", "activate", "upload", "activate", "rollback", "config", "limits", "pause", "resume", "remove"];
    assert_eq!(told, expected);
    let back = rows.as_array().unwrap().iter().find(|row| row["action"] == "rollback").unwrap();
    assert_eq!(back["revision"], first["new"]);
}
