//! A plugin, or a token that is bound to it, wants rights that belong to others.

use crate::support::{Client, Host, PluginFile, Reply, Setup, edit_database, eventually, guest};
use minisign::KeyPair;
use serde_json::{Value, json};

/// A plugin file of the chameleon with another manifest.
fn chameleon_with(from: &str, to: &str) -> Vec<u8> {
    PluginFile::read(&guest("chameleon")).with(from, to).bytes()
}

fn chameleon(version: &str) -> Vec<u8> {
    PluginFile::read(&guest("chameleon")).version(version).bytes()
}

/// A chameleon that answers one more path.
fn with_route(path: &str, methods: &str) -> Vec<u8> {
    let route = format!("[[routes]]\npath = {path:?}\nmethods = [{methods:?}]\n\n[messaging]");
    chameleon_with("[messaging]", &route)
}

/// Starts the marketplace. Returns also a client with a token that may deploy the
/// chameleon and nothing else.
async fn market() -> (Host, Client) {
    let host = Setup::new().start().await;
    host.operator().allow("chameleon", json!({ "grants": ["store"] })).await;
    let token = json!({ "name": "ci", "role": "deploy", "plugins": ["chameleon"] });
    let bound = host.bearer(&host.operator().make_token(token).await.text);
    (host, bound)
}

/// The upload is refused, and the refusal names the missing right.
#[track_caller]
fn refused(reply: &Reply, asks: &str) {
    assert_eq!(reply.status, 422, "{asks}: {reply:?}");
    let text = reply.errors().iter().map(|(message, _)| message.clone()).collect::<Vec<_>>().join("\n");
    assert!(text.contains(asks), "{asks}: {text}");
}

#[tokio::test]
async fn subjects_of_others_are_neither_published_nor_received() {
    let (host, bound) = market().await;
    let subjects = [
        "payment.created",
        "ticket.updated",
        "order.created",
        "expiration.complete",
        "chameleons.event",
        "chameleon-2.event",
        "hostile.event",
    ];
    for subject in subjects {
        let publishes = format!("publishes = [\"chameleon.event\", {subject:?}]");
        let reply = bound.upload(chameleon_with("publishes = [\"chameleon.event\"]", &publishes)).await;
        refused(&reply, &format!("ticketing plugin policy chameleon --publish {subject}"));
        let subscribes = format!("subscribes = [\"chameleon.event\", {subject:?}]");
        let reply = bound.upload(chameleon_with("subscribes = [\"chameleon.event\"]", &subscribes)).await;
        refused(&reply, &format!("ticketing plugin policy chameleon --subscribe {subject}"));
    }
    assert_eq!(bound.get("/plugins/chameleon/revisions").await.status, 404, "nothing was staged");

    let operator = host.operator();
    operator.allow("chameleon", json!({ "grants": ["store"], "subscribes": ["order.*"] })).await;
    let subscribes = "subscribes = [\"chameleon.event\", \"order.created\"]";
    bound.deploy("chameleon", chameleon_with("subscribes = [\"chameleon.event\"]", subscribes)).await;
    assert_eq!(bound.plugin("chameleon").await["subscribes"], json!(["chameleon.event", "order.created"]));
    operator.allow("chameleon", json!({ "grants": ["store"] })).await;
    assert_eq!(bound.plugin("chameleon").await["subscribes"], json!(["chameleon.event"]), "the right is gone at once");
}

#[tokio::test]
async fn paths_of_others_are_not_answered() {
    let (host, bound) = market().await;
    let paths = [
        "/",
        "/{*all}",
        "/{any}",
        "/api/tickets",
        "/api/tickets/",
        "/api/tickets/{id}",
        "/api/tickets/0192aa00-0000-7000-8000-000000000000",
        "/api/users/{*rest}",
        "/api/users/signin",
        "/api/{kind}/{id}",
        "/assets/storefront.js",
        "/assets/1/storefront.js",
        "/orders/{id}",
        "/chameleons",
        "/chameleon{rest}",
    ];
    for path in paths {
        let reply = bound.upload(with_route(path, "GET")).await;
        assert_eq!(reply.status, 422, "{path}: {reply:?}");
        let says = |text: &str| reply.text.contains(text);
        assert!(says(&format!("--path '{path}'")) || says("belongs to another plugin"), "{path}: {reply:?}");
    }
    for path in ["/api/%74ickets", "/chameleon/../api/tickets", "/chameleon//x", "/chameleon/./x"] {
        assert_eq!(bound.upload(with_route(path, "GET")).await.status, 422, "{path}");
    }
    // An administrator who allows everything does not take paths away from others.
    host.operator().allow("chameleon", json!({ "grants": ["store"], "paths": ["/*", "/"] })).await;
    let conflicts = [
        ("/api/tickets/0192aa00-0000-7000-8000-000000000000", "DELETE", "tickets"),
        ("/api/tickets/{key}", "DELETE", "tickets"),
        ("/api/users/{*rest}", "PUT", "auth"),
        ("/assets/1/storefront.js", "GET", "storefront"),
        ("/api/tickets/", "GET", "tickets"),
        ("/{*all}", "DELETE", "auth"),
        ("/api/{kind}/{id}", "DELETE", "auth"),
        ("/api/orders", "GET", "orders"),
    ];
    for (path, method, owner) in conflicts {
        let reply = host.operator().upload(with_route(path, method)).await;
        refused(&reply, "of chameleon");
        assert!(reply.text.contains(owner), "{path}: {reply:?}");
    }
    let free = bound.upload(with_route("/elsewhere/{*rest}", "GET")).await;
    assert_eq!(free.status, 201, "{free:?}");
}

#[tokio::test]
async fn a_bound_token_does_not_raise_the_limits_above_the_ceilings() {
    let (host, bound) = market().await;
    bound.deploy("chameleon", chameleon("1.0.0")).await;
    let put = async |limits: Value| bound.put("/plugins/chameleon/limits", limits).await;
    for (limit, value) in [("concurrency", 1_000), ("memory_mib", 512), ("wall_time_ms", 300_000), ("queue", 100_000)] {
        refused(&put(json!({ limit: value })).await, &format!("--limit {limit}={value}"));
    }
    let ceilings = json!({ "concurrency": 2, "memory_mib": 16, "wall_time_ms": 1_000 });
    host.operator().allow("chameleon", json!({ "grants": ["store"], "limits": ceilings })).await;
    let in_force = bound.plugin("chameleon").await["limits_in_force"].clone();
    assert_eq!(in_force["memory_mib"]["value"], 16, "{in_force}");
    refused(&put(json!({ "memory_mib": 17 })).await, "--limit memory_mib=17");
    assert_eq!(put(json!({ "memory_mib": 8 })).await.status, 200);
    assert_eq!(bound.plugin("chameleon").await["limits_in_force"]["concurrency"]["value"], 2);
    assert_eq!(put(json!({})).await.status, 200);
    let greedy = chameleon_with("[messaging]", "[limits]\nmemory_mib = 400\n\n[messaging]");
    refused(&bound.upload(greedy).await, "--limit memory_mib=400");
}

#[tokio::test]
async fn a_rollback_does_not_bring_back_rights_that_were_taken_away() {
    let (host, bound) = market().await;
    let operator = host.operator();
    operator.allow("chameleon", json!({ "grants": ["http", "store"], "http_hosts": ["a.example.com:443"] })).await;
    bound.deploy("chameleon", chameleon("1.0.0")).await;
    bound.deploy("chameleon", chameleon("2.0.0")).await;
    operator.allow("chameleon", json!({ "grants": [] })).await;
    let version = operator.get("/plugins/chameleon/policy").await.json()["version"].clone();
    for action in ["rollback", "rollback", "pause", "resume"] {
        let reply = bound.post(&format!("/plugins/chameleon/{action}"), json!({})).await;
        assert_eq!(reply.status, 200, "{action}: {reply:?}");
        let plugin = operator.plugin("chameleon").await;
        assert_eq!((&plugin["grants"], &plugin["http_hosts"]), (&json!([]), &json!([])), "{action}: {plugin}");
        let reply = host.visitor().post("/chameleon", json!({ "id": action })).await;
        assert!(reply.status >= 500, "the store is not granted: {reply:?}");
    }
    assert_eq!(operator.get("/plugins/chameleon/policy").await.json()["version"], version);
    assert_eq!(host.visitor().get("/api/tickets").await.status, 200, "others go on");
}

#[tokio::test]
async fn a_policy_is_changed_by_an_unbound_administrator_alone() {
    let (host, bound) = market().await;
    let admin = json!({ "name": "its-admin", "role": "admin", "plugins": ["chameleon"] });
    let admin = host.bearer(&host.operator().make_token(admin).await.text);
    let wanted = json!({ "grants": ["identity", "payments", "store"], "http_hosts": ["127.0.0.1:8081"] });
    for client in [&bound, &admin] {
        assert_eq!(client.set_policy("chameleon", wanted.clone()).await.status, 403);
        assert_eq!(client.set_policy("payments", wanted.clone()).await.status, 403);
    }
    let audit = host.operator().get("/audit?limit=100").await.json();
    let rows = audit.as_array().unwrap().iter().filter(|row| row["action"] == "policy" && row["outcome"] == "refused");
    assert_eq!(rows.count(), 4, "{audit}");
    let policy = host.operator().get("/plugins/chameleon/policy").await.json();
    assert_eq!(policy["policy"]["grants"], json!(["store"]), "{policy}");
    let replaced = json!({ "replaces": 17, "policy": {} });
    assert_eq!(host.operator().put("/plugins/chameleon/policy", replaced).await.status, 409);
}

#[tokio::test]
async fn a_policy_is_in_force_at_once_and_survives_a_restart() {
    let (mut host, bound) = market().await;
    bound.deploy("chameleon", chameleon("1.0.0")).await;
    let cause = async |host: &Host, id: &str| host.visitor().post("/chameleon", json!({ "id": id })).await.status;
    assert_eq!(cause(&host, "one").await, 201);
    host.operator().allow("chameleon", json!({ "grants": [] })).await;
    assert!(cause(&host, "two").await >= 500);
    host.stop().await;
    host.start_again().await;
    assert!(cause(&host, "three").await >= 500, "the policy survives a restart");
    host.operator().allow("chameleon", json!({ "grants": ["store"] })).await;
    assert_eq!(cause(&host, "four").await, 201);
    let visitor = host.visitor();
    let applied = async || visitor.get("/chameleon/applied").await.text;
    eventually("the event is applied", applied, |text| text.contains("four")).await;
}

#[tokio::test]
async fn an_unsigned_or_old_revision_cannot_return() {
    let pair = KeyPair::generate_unencrypted_keypair().unwrap();
    let mut host = Setup::without_components().start().await;
    host.operator().allow("chameleon", json!({ "grants": ["store"] })).await;
    let unsigned = host.operator().stage(chameleon("1.0.0")).await;
    host.operator().deploy("chameleon", chameleon("1.1.0")).await;
    host.operator().deploy("chameleon", chameleon("1.2.0")).await;

    let lowest = json!({ "grants": ["store"], "lowest_version": "1.2.0" });
    host.operator().allow("chameleon", lowest).await;
    let old = host.operator().activate("chameleon", &unsigned).await;
    assert_eq!(old.status, 403, "{old:?}");
    assert_eq!(host.operator().post("/plugins/chameleon/rollback", json!({})).await.status, 403);
    assert_eq!(host.operator().upload(chameleon("1.1.9")).await.status, 403);
    assert_eq!(host.operator().plugin("chameleon").await["version"], "1.2.0");

    host.operator().allow("chameleon", json!({ "grants": ["store"] })).await;
    let settings = format!("[uploads]\nrequire_signature = true\nkeys = ['{}']", pair.pk.to_base64());
    host.restart_with(&settings).await;
    for force in [false, true] {
        let wanted = json!({ "revision": unsigned, "force": force });
        let reply = host.operator().post("/plugins/chameleon/activate", wanted).await;
        assert_eq!(reply.status, 403, "{reply:?}");
        assert!(reply.text.contains("not signed"), "{reply:?}");
    }
    assert_eq!(host.operator().post("/plugins/chameleon/rollback", json!({})).await.status, 403);
    assert_eq!(host.operator().plugin("chameleon").await["version"], "1.2.0", "it goes on");
}

/// Older versions of the host had no policies. They stored grants with the
/// settings of a plugin, and every manifest had all that it asked for.
#[tokio::test]
async fn a_plugin_of_an_older_host_keeps_its_rights_as_entries_of_a_policy() {
    let (mut host, bound) = market().await;
    let operator = host.operator();
    let subscribes = "subscribes = [\"chameleon.event\", \"order.created\"]";
    let file = chameleon_with("subscribes = [\"chameleon.event\"]", subscribes);
    operator.allow("chameleon", json!({ "grants": ["store"], "subscribes": ["order.*"] })).await;
    bound.deploy("chameleon", file).await;
    host.stop().await;
    edit_database(&host.setup, "host.db", async |database| {
        sqlx::query("DELETE FROM plugin_policies").execute(&mut *database).await.unwrap();
        for (table, field) in [("plugin_states", "state"), ("plugin_revisions", "record")] {
            let select = format!("SELECT {field} FROM {table} WHERE plugin = 'chameleon'");
            let text: String = sqlx::query_scalar(sqlx::AssertSqlSafe(select)).fetch_one(&mut *database).await.unwrap();
            let mut stored: Value = serde_json::from_str(&text).unwrap();
            stored["settings"]["grants"] = json!(["store"]);
            let update = format!("UPDATE {table} SET {field} = $1 WHERE plugin = 'chameleon'");
            sqlx::query(sqlx::AssertSqlSafe(update)).bind(stored.to_string()).execute(&mut *database).await.unwrap();
        }
    })
    .await;
    host.start_again().await;
    let operator = host.operator();
    let policy = operator.get("/plugins/chameleon/policy").await.json()["policy"].clone();
    assert_eq!((&policy["grants"], &policy["subscribes"]), (&json!(["store"]), &json!(["order.created"])), "{policy}");
    assert_eq!((&policy["visitor"], &policy["same_origin"]), (&json!(true), &json!(true)), "{policy}");
    assert_eq!(host.visitor().post("/chameleon", json!({ "id": "one" })).await.status, 201);
    assert_eq!(operator.plugin("chameleon").await["subscribes"], json!(["chameleon.event", "order.created"]));
}
