//! The verdict on an upload.

use super::audit;
use crate::support::{PluginFile, Setup, chameleon, chameleon_host, guest};
use serde_json::json;

#[tokio::test]
async fn an_upload_is_judged_and_the_same_bytes_are_the_same_revision() {
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    let reply = operator.upload(chameleon("1.0.0", "green", "good")).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let verdict = reply.json();
    assert_eq!((&verdict["plugin"], &verdict["version"]), (&json!("chameleon"), &json!("1.0.0")));
    assert_eq!(verdict["compatible"], true, "{verdict}");
    assert_eq!(verdict["routes"]["added"].as_array().unwrap().len(), 4);
    assert_eq!(verdict["subscribes"]["added"], json!(["chameleon.event"]));
    assert!(verdict["capabilities"]["new"].as_array().unwrap().contains(&json!("store")));
    assert_eq!(verdict["migrations"][0]["applied"], false);
    assert!(verdict["exports"].as_array().unwrap().iter().any(|name| name == "platform:packed/packed-handler@1.0.0"));

    let again = operator.upload(chameleon("1.0.0", "green", "good")).await;
    assert_eq!((again.status, &again.json()["revision"]), (200, &verdict["revision"]));
    assert_eq!(operator.get("/plugins").await.json(), json!([]), "no revision serves yet");
    assert_eq!(host.visitor().get("/chameleon").await.status, 404);
    let revisions = operator.get("/plugins/chameleon/revisions").await.json();
    assert_eq!(revisions.as_array().unwrap().len(), 1);
    assert_eq!((&revisions[0]["status"], &revisions[0]["source"]), (&json!("staged"), &json!("upload")));
    assert_eq!(revisions[0]["uploaded_by"], "operator");
}

#[tokio::test]
async fn a_dry_run_gives_the_verdict_and_keeps_nothing() {
    let host = chameleon_host(Setup::without_components()).await;
    let reply = host.operator().request(http::Method::POST, "/plugins?dry_run=true");
    let reply = reply.header("content-type", "application/wasm").body(chameleon("1.0.0", "green", "good"));
    let reply = crate::support::Reply::of(reply).await.unwrap();
    assert_eq!((reply.status, &reply.json()["plugin"]), (200, &json!("chameleon")));
    assert_eq!(host.operator().get("/plugins/chameleon/revisions").await.status, 404);
}

#[tokio::test]
async fn an_applied_migration_stays_applied_after_a_rollback_and_a_removal() {
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    let second = || {
        let file = PluginFile::read(&guest("chameleon")).version("2.0.0");
        file.migration("0002_more", "CREATE TABLE more (id TEXT NOT NULL PRIMARY KEY)")
    };
    operator.deploy("chameleon", second().bytes()).await;
    operator.post("/plugins/chameleon/rollback", json!({})).await;
    let third = || {
        let file = second().with("version = \"2.0.0\"", "version = \"3.0.0\"");
        file.migration("0003_less", "DROP TABLE more").bytes()
    };
    let applied = |verdict: serde_json::Value| -> Vec<bool> {
        let migrations = verdict["migrations"].as_array().unwrap();
        migrations.iter().map(|migration| migration["applied"].as_bool().unwrap()).collect()
    };
    let verdict = operator.upload(third()).await.json();
    assert_eq!(applied(verdict.clone()), [true, true, false], "{verdict}");
    assert_eq!(
        verdict["problems"].as_array().unwrap().len(),
        1,
        "the verdict is about migrations that have not run yet: {verdict}"
    );

    assert_eq!(operator.delete("/plugins/chameleon").await.status, 204);
    let verdict = operator.upload(third()).await.json();
    assert_eq!(
        (applied(verdict.clone()), &verdict["compatible"]),
        (vec![true, true, false], &json!(true)),
        "{verdict}"
    );
}

#[tokio::test]
async fn a_migration_that_changed_after_it_ran_is_named_before_the_activation() {
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    let mut changed = PluginFile::read(&guest("chameleon")).version("2.0.0");
    let (name, sql) = &mut changed.migrations[0];
    let problem = format!("migration {name}: it has changed since it was applied");
    sql.push_str("-- Told apart by this.\n");
    // The same with another revision that serves, and with none.
    for serves in [true, false] {
        if !serves {
            assert_eq!(operator.delete("/plugins/chameleon").await.status, 204);
        }
        let verdict = operator.upload(changed.bytes()).await.json();
        assert_eq!((&verdict["compatible"], &verdict["problems"]), (&json!(false), &json!([problem])), "{verdict}");
        let migration = &verdict["migrations"][0];
        assert_eq!((&migration["applied"], &migration["compatible"]), (&json!(true), &json!(false)), "{verdict}");
        let refused = operator.activate("chameleon", verdict["revision"].as_str().unwrap()).await;
        assert_eq!(refused.status, 409, "{refused:?}");
        assert!(refused.text.contains(&problem), "{refused:?}");
    }
    let verdict = operator.upload(chameleon("3.0.0", "red", "good")).await.json();
    assert_eq!(verdict["compatible"], true, "the migration that ran is no problem: {verdict}");
}

#[tokio::test]
async fn a_refused_upload_says_why_and_leaves_nothing_behind() {
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    let before = operator.get("/plugins/chameleon/revisions").await.text;
    let files = || std::fs::read_dir(host.setup.data().join("plugins")).unwrap().count();
    let kept = files();

    let module = wat::parse_str("(module)").unwrap();
    let whole = chameleon("2.0.0", "red", "good");
    let rival = PluginFile::read(&guest("hello")).with("name = \"hello\"", "name = \"rival\"");
    let rival = rival.with("path = \"/hello\"", "path = \"/chameleon\"").with("health = \"/hello\"\n", "").bytes();
    let wants = PluginFile::read(&guest("hostile")).bytes();
    let silent =
        PluginFile::read(&guest("hello")).with("[[routes]]", "[messaging]\nsubscribes = [\"a.b\"]\n[[routes]]");
    for (bytes, status, reason) in [
        (b"GIF89a".to_vec(), 422, "not WebAssembly"),
        (module, 422, "core module"),
        (whole[..whole.len() / 2].to_vec(), 422, "not valid"),
        (Vec::new(), 422, "not WebAssembly"),
        (rival, 422, "the route GET /chameleon of rival belongs to chameleon already"),
        (wants, 422, "needs the grant store"),
        (silent.bytes(), 422, "platform:messaging/handler"),
    ] {
        let reply = operator.upload(bytes).await;
        assert_eq!(reply.status, status, "{reason}: {reply:?}");
        assert!(reply.errors()[0].0.contains(reason), "{reason}: {reply:?}");
    }
    let misnamed = operator.request(http::Method::POST, "/plugins?name=other").body(whole);
    let misnamed = crate::support::Reply::of(misnamed.header("content-type", "application/wasm")).await.unwrap();
    assert_eq!((misnamed.status, misnamed.errors()[0].1.as_deref()), (422, Some("name")));

    assert_eq!(operator.get("/plugins/chameleon/revisions").await.text, before);
    assert_eq!(files(), kept);
    assert_eq!(host.visitor().colour().await, "green");
    assert_eq!(audit(&host).await.iter().filter(|row| **row == ("upload".into(), "refused".into())).count(), 8);
}

#[tokio::test]
async fn a_component_without_a_manifest_gets_one_with_its_upload() {
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    let bytes = std::fs::read(guest("hello")).unwrap();
    let manifest = "name = 'greeter'\nversion = '3.1.4'\n[[routes]]\npath = '/hello'\nmethods = ['GET']";
    operator.allow("greeter", serde_json::json!({ "paths": ["/hello"] })).await;
    let reply = operator.upload_with(bytes, manifest).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let revision = reply.json()["revision"].as_str().unwrap().to_owned();
    assert_eq!(operator.activate("greeter", &revision).await.status, 200);
    assert_eq!(host.visitor().get("/hello").await.json()["recipient"], "world");
}
