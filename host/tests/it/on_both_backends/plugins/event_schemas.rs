//! The schemas of a plugin's events: at an upload, in the verdict, and shown.

use crate::support::{PluginFile, Setup, chameleon_host, guest};
use serde_json::{Value, json};

fn file(version: &str, events: &Value) -> Vec<u8> {
    let mut file = PluginFile::read(&guest("chameleon")).version(version);
    file.events = Some(serde_json::to_vec(events).unwrap());
    file.bytes()
}

fn event(properties: &Value, required: &[&str]) -> Value {
    json!({ "chameleon.event": { "type": "object", "properties": properties, "required": required } })
}

#[tokio::test]
async fn a_schema_that_promises_less_is_not_compatible() {
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    let full = event(&json!({ "id": { "type": "string", "examples": ["x"] }, "size": { "type": "integer" } }), &["id"]);
    operator.deploy("chameleon", file("1.0.0", &full)).await;

    let wider = event(
        &json!({ "id": { "type": "string" }, "size": { "type": "integer" }, "note": { "type": "string" } }),
        &["id"],
    );
    let verdict = operator.upload(file("1.1.0", &wider)).await.json();
    assert_eq!(verdict["compatible"], true, "{verdict}");
    let expected = json!({ "subject": "chameleon.event", "place": "note", "change": "it is new", "compatible": true });
    assert_eq!(verdict["schemas"], json!([expected]));

    let less = event(&json!({ "id": { "type": "integer" } }), &[]);
    let verdict = operator.upload(file("2.0.0", &less)).await.json();
    assert_eq!(verdict["compatible"], false, "{verdict}");
    let changes: Vec<_> = verdict["schemas"].as_array().unwrap().iter().map(|change| &change["change"]).collect();
    assert_eq!(
        changes,
        ["it was always there and may be missing now", "string is now integer", "it is gone"],
        "{verdict}"
    );
    let problem = verdict["problems"][0].as_str().unwrap();
    assert!(problem.starts_with("the subscribers of an event may miss something: chameleon.event, id: "), "{problem}");
    let refused = operator.activate("chameleon", verdict["revision"].as_str().unwrap()).await;
    assert_eq!(refused.status, 409, "{refused:?}");
}

#[tokio::test]
async fn a_wrong_schema_is_refused_with_its_place() {
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    for (events, reason) in [
        (json!({ "other.event": {} }), "describes other.event, which the manifest does not publish"),
        (event(&json!({ "id": { "type": "text" } }), &[]), "describes chameleon.event in a wrong way"),
        (json!({ "chameleon.event": { "$ref": "https://example.com/schema" } }), "none of its `$defs`"),
        (
            json!({ "chameleon.event": { "description": "x".repeat(64 << 10) } }),
            "more than the 65536 that are accepted",
        ),
    ] {
        let refused = operator.upload(file("1.0.0", &events)).await;
        assert_eq!(refused.status, 422, "{refused:?}");
        let message = &refused.errors()[0].0;
        assert!(message.contains("the section platform:events") && message.contains(reason), "{message}");
    }
}

#[tokio::test]
async fn a_schema_is_shown_to_every_role_that_sees_its_plugin() {
    let host = chameleon_host(Setup::without_components()).await;
    let operator = host.operator();
    let schema = event(&json!({ "id": { "type": "string", "examples": ["x"] } }), &["id"]);
    operator.deploy("chameleon", file("1.0.0", &schema)).await;
    let view = operator.make_token(json!({ "name": "eyes", "role": "view" })).await;
    let details = host.bearer(&view.text).get("/events/chameleon.event").await.json();
    assert_eq!(
        (&details["publishers"], &details["receivers"][0]["plugin"]),
        (&json!(["chameleon"]), &json!("chameleon"))
    );
    let shown = &details["schemas"][0];
    assert_eq!((&shown["plugin"], &shown["schema"]), (&json!("chameleon"), &schema["chameleon.event"]));
    assert_eq!(shown["sample"], json!({ "id": "x" }));
    operator.get("/events/nothing.here").await.refuses(404, "no plugin publishes or receives nothing.here");
    let bound = operator.make_token(json!({ "name": "other", "role": "deploy", "plugins": ["other"] })).await;
    assert_eq!(host.bearer(&bound.text).get("/events/chameleon.event").await.status, 404);
}
