//! Events and timers that no attempt can handle. They hold up nothing else,
//! become dead letters, and an operator can send them again.

use crate::{
    hostile::hostile,
    support::{Client, Host, eventually},
};
use serde_json::{Value, json};

/// How the hostile guest makes an event or a timer: the route, and the field of
/// the request beside `id` and `mood`.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    path: &'static str,
    field: &'static str,
}

const EVENT: Kind = Kind { name: "event", path: "/hostile/publish", field: "subject" };
const TIMER: Kind = Kind { name: "timer", path: "/hostile/timers", field: "key" };

async fn cause(client: &Client, kind: Kind, id: &str, mood: &str) {
    let field = if kind.name == "event" { "hostile.event" } else { id };
    let reply = client.post(kind.path, json!({ "id": id, "mood": mood, kind.field: field })).await;
    assert_eq!(reply.status, 201, "{reply:?}");
}

async fn applied(client: &Client, id: &str) -> i64 {
    let reply = client.get(&format!("/hostile/applied/{id}")).await;
    reply.json()["times"].as_i64().unwrap()
}

async fn is_applied(client: &Client, id: &str) {
    eventually(&format!("{id} is applied"), async || applied(client, id).await, |times| *times > 0).await;
}

/// Waits for the dead letter of the event or timer with this id.
async fn letter(host: &Host, id: &str) -> Value {
    let find = async || host.dead_letters().await.into_iter().find(|letter| effect(letter) == id);
    eventually(&format!("{id} becomes a dead letter"), find, Option::is_some).await.unwrap()
}

fn effect(letter: &Value) -> String {
    let payload = hex::decode(letter["payload"].as_str().unwrap()).unwrap();
    let payload: Value = serde_json::from_slice(&payload).unwrap();
    payload["id"].as_str().unwrap().to_owned()
}

async fn improve(client: &Client, id: &str) {
    let reply = client.post("/hostile/moods", json!({ "id": id, "mood": "apply" })).await;
    assert_eq!(reply.status, 204, "{reply:?}");
}

async fn poison_is_set_aside(kind: Kind) {
    let host = hostile().start().await;
    let client = host.visitor();
    let poison = [("trap", 3), ("loop", 3), ("retry", 3), ("reject", 1), ("shout", 1)];
    for (mood, _) in poison {
        cause(&client, kind, mood, mood).await;
    }
    cause(&client, kind, "good", "apply").await;
    cause(&client, kind, "second-time", "retry-once").await;
    is_applied(&client, "good").await;
    is_applied(&client, "second-time").await;

    for (mood, attempts) in poison {
        let letter = letter(&host, mood).await;
        assert_eq!(letter["attempts"], attempts, "{letter}");
        assert_eq!((&letter["component"], &letter["kind"]), (&json!("hostile"), &json!(kind.name)), "{letter}");
        assert!((1..=2_100).contains(&letter["reason"].as_str().unwrap().len()), "{letter}");
        assert_eq!(applied(&client, mood).await, 0, "{mood} has no effect");
    }
    assert_eq!((applied(&client, "good").await, applied(&client, "second-time").await), (1, 1));
    assert!(host.failures("hostile", "trap").await >= 3 && host.failures("hostile", "deadline").await >= 3);
    client.says_hello().await;
}

#[tokio::test]
async fn poisonous_events_are_set_aside_and_hold_up_nothing() {
    poison_is_set_aside(EVENT).await;
}

#[tokio::test]
async fn poisonous_timers_are_set_aside_and_hold_up_nothing() {
    poison_is_set_aside(TIMER).await;
}

async fn a_letter_can_be_sent_again(kind: Kind) {
    let host = hostile().start().await;
    let (client, operator) = (host.visitor(), host.operator());
    cause(&client, kind, "ill", "trap").await;
    let id = letter(&host, "ill").await["id"].as_str().unwrap().to_owned();
    let path = format!("/dead-letters/{id}/redeliver");

    let outsider = host.outsider().post(&path, json!({})).await;
    assert_eq!(outsider.status, 401);
    improve(&client, "ill").await;
    // Several operators ask at once, and it is sent once.
    let operators = (0..6).map(|_| operator.post(&path, json!({})));
    let statuses: Vec<u16> = futures::future::join_all(operators).await.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 202).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [202, 404].contains(status)), "{statuses:?}");
    is_applied(&client, "ill").await;
    let gone = async || operator.post(&path, json!({})).await.status;
    assert_eq!(gone().await, 404);
    cause(&client, kind, "after", "apply").await;
    is_applied(&client, "after").await;
    assert_eq!(applied(&client, "ill").await, 1);
    assert!(host.dead_letters().await.is_empty());
}

#[tokio::test]
async fn an_event_that_was_set_aside_can_be_sent_again_and_is_applied_once() {
    a_letter_can_be_sent_again(EVENT).await;
}

#[tokio::test]
async fn a_timer_that_was_set_aside_can_be_sent_again_and_is_applied_once() {
    a_letter_can_be_sent_again(TIMER).await;
}

#[tokio::test]
async fn only_declared_subjects_of_a_bounded_size_are_published() {
    let host = hostile().start().await;
    let client = host.visitor();
    let publish = async |subject: &str, mood: &str| {
        client.post("/hostile/publish", json!({ "id": "x", "mood": mood, "subject": subject })).await.json()
    };
    let undeclared = publish("order.created", "apply").await;
    assert_eq!(undeclared["error"]["kind"], "invalid", "{undeclared}");
    assert!(undeclared["error"]["text"].as_str().unwrap().contains("order.created"), "{undeclared}");
    let large = publish("hostile.event", &"x".repeat(5_000)).await;
    assert_eq!(large["error"]["kind"], "limit", "{large}");
    let key = "k".repeat(300);
    let timer = client.post("/hostile/timers", json!({ "id": "x", "mood": "apply", "key": key })).await;
    assert_eq!(timer.status, 500, "{timer:?}");
    assert_eq!(applied(&client, "x").await, 0);
}
