//! Operator tokens: their roles, and the audit log of their use.

use crate::support::{Reply, Setup};
use http::Method;
use serde_json::{Value, json};

const NOBODY: &str = "/dead-letters/018bcfe5-6800-7000-8000-000000000000/redeliver";

async fn audit(reader: &crate::support::Client) -> Vec<Value> {
    let reply = reader.get("/audit").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json().as_array().unwrap().clone()
}

fn forbids(reply: &Reply, message: &str) {
    reply.refuses(403, message);
}

#[tokio::test]
async fn a_token_is_made_shown_once_and_good_for_its_role() {
    let host = Setup::new().start().await;
    let admin = host.operator();
    let view = admin.make_token(json!({ "name": "viewer", "role": "view" })).await;
    let deploy = admin.make_token(json!({ "name": "ci", "role": "deploy" })).await;
    let second = admin.make_token(json!({ "name": "second", "role": "admin" })).await;
    let (view, deploy) = (host.bearer(&view.text), host.bearer(&deploy.text));

    for reader in [&view, &deploy, &host.bearer(&second.text)] {
        for path in ["/plugins", "/dead-letters", "/audit"] {
            assert_eq!(reader.get(path).await.status, 200, "{path}");
        }
    }
    let needs = "This needs the role deploy; the token viewer has the role view";
    forbids(&view.post(NOBODY, json!({})).await, needs);
    assert_eq!(deploy.post(NOBODY, json!({})).await.status, 404);
    for (caller, name) in [(&view, "viewer has the role view"), (&deploy, "ci has the role deploy")] {
        let needs = format!("This needs the role admin; the token {name}");
        forbids(&caller.get("/tokens").await, &needs);
        forbids(&caller.post("/tokens", json!({ "name": "more", "role": "admin" })).await, &needs);
        forbids(&caller.delete(&format!("/tokens/{}", second.id)).await, &needs);
    }

    let listed = host.bearer(&second.text).get("/tokens").await;
    let names: Vec<_> =
        listed.json().as_array().unwrap().iter().map(|token| token["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["viewer", "ci", "second"]);
    assert_eq!(listed.json()[0]["created_by"], "operator");
    let (_, secret) = second.text.rsplit_once('_').unwrap();
    assert!(!listed.text.contains(secret) && !listed.text.contains("digest"));
}

#[tokio::test]
async fn a_token_that_is_wrong_in_any_way_gets_the_same_answer() {
    let host = Setup::new().start().await;
    let admin = host.operator();
    let kept = admin.make_token(json!({ "name": "kept", "role": "admin" })).await;
    let revoked = admin.make_token(json!({ "name": "revoked", "role": "admin" })).await;
    assert_eq!(admin.delete(&format!("/tokens/{}", revoked.id)).await.status, 204);
    let (_, other_secret) = revoked.text.rsplit_once('_').unwrap();
    let wrong = [
        revoked.text.clone(),
        format!("tk_{}_{other_secret}", kept.id),
        format!("tk_{}_{other_secret}", "0".repeat(16)),
        format!("{}0", kept.text),
        kept.text.to_uppercase(),
        "tk_".to_owned(),
        "wrong".to_owned(),
    ];
    let expected = host.bearer("unknown").get("/plugins").await;
    expected.refuses(401, "Not authorized");
    for token in wrong {
        for (method, path) in [(Method::GET, "/plugins"), (Method::POST, "/tokens"), (Method::GET, "/audit")] {
            let reply = host.bearer(&token).send(method, path, None).await;
            assert_eq!((reply.status, &reply.text), (expected.status, &expected.text), "{token}");
            let names = |reply: &Reply| reply.headers.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&reply), names(&expected), "{token}");
        }
    }
    assert_eq!(host.bearer(&kept.text).get("/plugins").await.status, 200);
}

#[tokio::test]
async fn a_token_that_is_bound_to_plugins_sees_and_changes_these_alone() {
    let host = Setup::new().start().await;
    let made =
        host.operator().make_token(json!({ "name": "ci", "role": "admin", "plugins": ["orders", "auth"] })).await;
    let bound = host.bearer(&made.text);
    let plugins = bound.get("/plugins").await.json();
    let names: Vec<_> = plugins.as_array().unwrap().iter().map(|plugin| plugin["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["auth", "orders"]);
    let needs = "This needs a token for all plugins; the token ci is bound to auth, orders";
    forbids(&bound.get("/tokens").await, needs);
    forbids(&bound.post("/tokens", json!({ "name": "more", "role": "admin" })).await, needs);
    forbids(&bound.delete(&format!("/tokens/{}", made.id)).await, needs);
    assert!(audit(&bound).await.is_empty(), "a token for plugins does not see other tokens");
    assert_eq!(audit(&host.operator()).await.len(), 3, "one row for the token, two for refusals");
}

#[tokio::test]
async fn tokens_and_revocations_outlive_the_process_however_it_ends() {
    let mut host = Setup::new().start().await;
    let admin = host.operator();
    let kept = admin.make_token(json!({ "name": "kept", "role": "deploy", "plugins": ["orders"] })).await;
    let revoked = admin.make_token(json!({ "name": "revoked", "role": "admin" })).await;
    assert_eq!(admin.delete(&format!("/tokens/{}", revoked.id)).await.status, 204);
    host.kill().await;
    host.start_again().await;
    host.bearer(&revoked.text).get("/plugins").await.refuses(401, "Not authorized");
    let plugins = host.bearer(&kept.text).get("/plugins").await.json();
    assert_eq!(plugins.as_array().unwrap().len(), 1);
    let gone = host.operator().delete(&format!("/tokens/{}", revoked.id)).await;
    gone.refuses(404, &format!("there is no token {}", revoked.id));
    let again = host.operator().make_token(json!({ "name": "revoked", "role": "view" })).await;
    assert_ne!(again.id, revoked.id, "a name can be used again, a token cannot");
    assert_eq!(audit(&host.operator()).await.len(), 5);
}

#[tokio::test]
async fn every_change_and_every_refusal_is_recorded_without_secrets() {
    let host = Setup::new().flag("--log=trace").start().await;
    let admin = host.operator();
    let made = admin.make_token(json!({ "name": "viewer", "role": "view", "plugins": ["orders"] })).await;
    let viewer = host.bearer(&made.text);
    admin.post("/tokens", json!({ "name": "viewer", "role": "admin" })).await;
    assert_eq!(viewer.post(NOBODY, json!({})).await.status, 403);
    assert_eq!(admin.delete(&format!("/tokens/{}", made.id)).await.status, 204);
    assert_eq!(viewer.post(NOBODY, json!({})).await.status, 401);

    let rows = audit(&admin).await;
    let told: Vec<_> = rows.iter().map(|row| [&row["actor"], &row["action"], &row["outcome"]]).collect();
    assert_eq!(
        told,
        [
            ["operator", "revoke token", "done"],
            ["viewer", "redeliver", "refused"],
            ["operator", "create token", "refused"],
            ["operator", "create token", "done"],
        ]
    );
    assert_eq!(rows[3]["detail"], format!("viewer ({}), view of orders", made.id));
    assert_eq!(rows[2]["detail"], "there is a token named viewer already");
    let ids: Vec<_> = rows.iter().map(|row| row["id"].as_u64().unwrap()).collect();
    let page = admin.get(&format!("/audit?limit=2&before={}", ids[1])).await.json();
    assert_eq!([&page[0]["id"], &page[1]["id"]], [ids[2], ids[3]]);

    let (_, secret) = made.text.rsplit_once('_').unwrap();
    for text in [serde_json::to_string(&rows).unwrap(), host.log()] {
        assert!(!text.contains(secret) && !text.contains(crate::support::ADMIN_TOKEN));
    }
}

#[tokio::test]
async fn a_malformed_request_is_refused_with_its_bad_field() {
    let host = Setup::new().start().await;
    let admin = host.operator();
    let wrong = [
        (json!({ "name": "a b", "role": "view" }), "name"),
        (json!({ "name": "operator", "role": "view" }), "name"),
        (json!({ "name": "x", "role": "root" }), "role"),
        (json!({ "name": "x", "role": "view", "plugins": [] }), "plugins"),
        (json!({ "name": "x", "role": "view", "plugins": ["A"] }), "plugins"),
        (json!({ "name": 1, "role": "view" }), "name"),
        (json!({ "name": "x", "role": "view", "more": 1 }), "more"),
    ];
    for (body, field) in wrong {
        admin.post("/tokens", body).await.blames(&[field]);
    }
    for body in ["", "{", "[]", "{\"name\": \"x\", \"role\": \"view\"} x"] {
        assert_eq!(admin.raw(Method::POST, "/tokens", body).await.status, 400, "{body}");
    }
    assert_eq!(admin.raw(Method::POST, "/tokens", "x".repeat(1 << 20)).await.status, 413);
    for path in ["/audit", "/dead-letters"] {
        admin.get(&format!("{path}?limit=0")).await.blames(&["limit"]);
        assert_eq!(admin.get(&format!("{path}?limit=x")).await.status, 400);
        assert_eq!(admin.get(&format!("{path}?more=1")).await.status, 400);
    }
    assert_eq!(admin.get("/tokens").await.json(), json!([]));
}
