//! Settings that the host shows to nobody but the plugin.

use crate::support::{Client, Host, PluginFile, Setup, chameleon, chameleon_host, guest};
use http::Method;
use serde_json::{Value, json};

const SECRET: &str = "s3cret-blue";

/// The chameleon with its colour as a secret, so it answers with the secret.
fn secretive(version: &str) -> Vec<u8> {
    let colour = "[config.colour]\ntype = \"string\"\ndefault = \"green\"";
    PluginFile::read(&guest("chameleon")).version(version).with(colour, "[config.colour]\ntype = \"secret\"").bytes()
}

async fn set(operator: &Client, config: Value) -> String {
    let reply = operator.put("/plugins/chameleon/config", config).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["new"].as_str().unwrap().to_owned()
}

/// Asserts that no answer of the operator's API and no line of the log shows the
/// secret.
async fn is_shown_nowhere(host: &Host) {
    let operator = host.operator();
    for path in ["", "/chameleon", "/chameleon/revisions", "/chameleon/policy", "/chameleon/failures"] {
        let reply = operator.get(&format!("/plugins{path}")).await;
        assert!(!reply.text.contains(SECRET), "{path}: {reply:?}");
    }
    for path in ["/audit", "/cluster", "/metrics"] {
        assert!(!operator.get(path).await.text.contains(SECRET), "{path}");
    }
    assert!(!host.log().contains(SECRET));
}

#[tokio::test]
async fn a_secret_reaches_the_plugin_and_is_shown_nowhere() {
    let mut host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    operator.deploy("chameleon", secretive("1.0.0")).await;
    let details = operator.plugin("chameleon").await;
    assert_eq!((&details["config_secrets"], &details["config"]["colour"]), (&json!(["colour"]), &Value::Null));
    let with_secret = set(&operator, json!({ "colour": SECRET })).await;
    assert_eq!(host.visitor().colour().await, SECRET);
    let details = operator.plugin("chameleon").await;
    assert_eq!((&details["config"]["colour"], &details["config_set"]), (&json!("(secret)"), &json!({})));
    assert_eq!(details["config_sources"]["colour"], "operator");

    // Nobody can read it and send it again, so it stays when other values change.
    set(&operator, json!({ "mood": "slow" })).await;
    set(&operator, json!({})).await;
    assert_eq!(host.visitor().colour().await, SECRET);
    let same = operator.put("/plugins/chameleon/config", json!({ "colour": SECRET })).await;
    assert_eq!(same.status, 409, "{same:?}");
    is_shown_nowhere(&host).await;
    host.stop().await;
    host.start_again().await;
    assert_eq!(host.visitor().colour().await, SECRET);

    let operator = host.operator();
    set(&operator, json!({ "colour": null })).await;
    assert_eq!(operator.plugin("chameleon").await["config"]["colour"], Value::Null);
    assert_eq!(host.visitor().get("/chameleon").await.status, 500, "it has no colour");
    let again = set(&operator, json!({ "colour": SECRET })).await;
    assert_ne!(again, with_secret, "the id of a revision does not tell which secret it has");
    is_shown_nowhere(&host).await;
}

#[tokio::test]
async fn a_revision_that_declares_a_secret_as_a_text_does_not_get_it() {
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    operator.deploy("chameleon", secretive("1.0.0")).await;
    set(&operator, json!({ "colour": SECRET })).await;
    operator.deploy("chameleon", chameleon("2.0.0", "green", "good")).await;
    assert_eq!(host.visitor().colour().await, "green");
    assert_eq!(operator.plugin("chameleon").await["config"]["colour"], "green");
    set(&operator, json!({ "colour": "red" })).await;
    operator.deploy("chameleon", secretive("3.0.0")).await;
    assert_eq!(host.visitor().colour().await, SECRET);
    is_shown_nowhere(&host).await;
}

#[tokio::test]
async fn a_secret_can_be_set_before_the_first_activation() {
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    let verdict = operator.upload(secretive("1.0.0")).await.json();
    let unknown = operator.put("/plugins/chameleon/config", json!({ "color": SECRET })).await;
    assert_eq!(unknown.status, 422, "{unknown:?}");
    for config in [json!({ "colour": SECRET }), json!({ "mood": "slow" })] {
        let stored = operator.send(Method::PATCH, "/plugins/chameleon/config", Some(config)).await;
        assert_eq!((stored.status, stored.text.as_str()), (200, "null"), "{stored:?}");
    }
    let activated = operator.activate("chameleon", verdict["revision"].as_str().unwrap()).await;
    assert_eq!(activated.status, 200, "{activated:?}");
    assert_eq!(host.visitor().colour().await, SECRET);
    assert_eq!(operator.plugin("chameleon").await["config_set"], json!({ "mood": "slow" }));
    is_shown_nowhere(&host).await;
}

#[tokio::test]
async fn a_secret_of_a_file_is_read_at_the_start_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (plugin, key) = (folder.path().join("chameleon.wasm"), folder.path().join("key"));
    std::fs::write(&plugin, secretive("1.0.0")).unwrap();
    std::fs::write(&key, format!("{SECRET}\n")).unwrap();
    let loaded = format!("[[plugin]]\npath = {plugin:?}\ngrants = [\"store\"]\n");
    let file = format!("{loaded}[plugins.chameleon.config]\ncolour = {{ file = {key:?} }}");
    let in_file = Setup::without_components().toml(&file).start().await;
    let in_variable =
        Setup::without_components().toml(&loaded).variable("TICKETING_COLOUR_FILE", key.to_str().unwrap());
    let in_variable = in_variable.start().await;
    for (host, source) in [(in_file, "file"), (in_variable, "environment")] {
        assert_eq!(host.visitor().colour().await, SECRET);
        assert_eq!(host.operator().plugin("chameleon").await["config_sources"]["colour"], source);
        is_shown_nowhere(&host).await;
    }
}
