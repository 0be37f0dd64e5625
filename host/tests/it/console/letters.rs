//! Dead letters of one plugin: delivered again at once, and discarded with a reason.

use super::Browser;
use crate::{
    hostile::hostile,
    plugin_cli::Shell,
    support::{Host, eventually},
};
use serde_json::{Value, json};

/// Makes a dead letter of each of these events. Returns their ids.
async fn letters(host: &Host, events: &[&str]) -> Vec<String> {
    for id in events {
        let body = json!({ "id": id, "mood": "reject", "subject": "hostile.event" });
        assert_eq!(host.visitor().post("/hostile/publish", body).await.status, 201);
    }
    let all = async || host.operator().get("/dead-letters").await.json();
    let count = |letters: &Value| letters.as_array().unwrap().len();
    let found = eventually("the dead letters", all, |letters| count(letters) == events.len()).await;
    found.as_array().unwrap().iter().map(|letter| letter["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_discarded_letter_has_its_reason_in_the_audit() {
    let host = hostile().start().await;
    let (admin, operator) = (Browser::admin(&host).await, host.operator());
    let ids = letters(&host, &["one", "two", "three"]).await;
    let asked = admin.post("/console/dead-letters/discard", &[("id", &ids[0])]).await;
    assert!(asked.text.contains("name=\"reason\""), "{asked:?}");
    let fields = [("id", ids[0].as_str()), ("confirmed", "yes"), ("reason", " <b>sent twice</b> ")];
    let discarded = admin.post("/console/dead-letters/discard", &fields).await;
    assert!(discarded.text.contains("1 discarded."), "{discarded:?}");
    let detail = async || operator.get("/audit?action=discard&limit=1").await.json()[0]["detail"].clone();
    assert_eq!(detail().await, format!("{}: <b>sent twice</b>", ids[0]));
    let audit = admin.page("/console/audit?action=discard").await;
    assert!(audit.contains("&lt;b&gt;sent twice") && !audit.contains("<b>sent"), "{audit}");

    let long = "x".repeat(201);
    for reason in [long.as_str(), "two\nlines"] {
        let fields = [("id", ids[1].as_str()), ("confirmed", "yes"), ("reason", reason)];
        assert_eq!(admin.post("/console/dead-letters/discard", &fields).await.status, 400, "{reason}");
    }
    assert_eq!(operator.delete(&format!("/dead-letters/{}?why=x", ids[1])).await.status, 400);
    assert_eq!(operator.get("/dead-letters").await.json().as_array().unwrap().len(), 2, "nothing else is discarded");
    let shell = Shell::of(&host);
    shell.host(&format!("dead-letters discard {} {} --reason obsolete", ids[1], ids[2])).await.done();
    assert!(detail().await.as_str().unwrap().ends_with(": obsolete"));
    assert_eq!(operator.get("/dead-letters").await.json(), json!([]));
}

#[tokio::test]
async fn all_letters_of_a_plugin_are_delivered_again_at_once() {
    let host = hostile().start().await;
    let (admin, operator, client) = (Browser::admin(&host).await, host.operator(), host.visitor());
    let ids = letters(&host, &["one", "two", "three"]).await;
    let first = operator.get("/dead-letters?plugin=hostile&limit=2").await;
    assert_eq!(first.json().as_array().unwrap().len(), 2);
    let next = first.next_page().unwrap();
    assert!(next.contains("plugin=hostile"), "{next}");
    assert_eq!(operator.get(&next).await.json().as_array().unwrap().len(), 1);
    assert_eq!(operator.get("/dead-letters?plugin=hello").await.json(), json!([]));
    let token = operator.make_token(json!({ "name": "ci", "role": "deploy", "plugins": ["hello"] })).await;
    assert_eq!(host.bearer(&token.text).get("/dead-letters?plugin=hostile").await.status, 403);
    assert!(admin.page("/console/dead-letters?plugin=hello").await.contains("This plugin has no dead letters."));

    let again = [("all", "yes"), ("shown", ids[0].as_str()), ("shown", ids[1].as_str()), ("id", ids[2].as_str())];
    let sent = admin.post("/console/dead-letters/redeliver", &again).await;
    assert!(sent.text.contains("2 delivered again."), "{sent:?}");
    let all = async || operator.get("/dead-letters").await.json().as_array().unwrap().len();
    eventually("they are rejected again", all, |count| *count == 3).await;
    for id in ["one", "two", "three"] {
        assert_eq!(client.post("/hostile/moods", json!({ "id": id, "mood": "apply" })).await.status, 204);
    }
    let shell = Shell::of(&host);
    let printed = shell.host("dead-letters redeliver --plugin hostile").await;
    assert_eq!(printed.done().lines().count(), 3);
    assert_eq!(operator.get("/dead-letters").await.json(), json!([]));
    assert_eq!(shell.host("dead-letters redeliver").await.code, 2, "it says which");
}
