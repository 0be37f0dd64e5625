use super::*;
use crate::{
    apply::{
        file::Content,
        samples::{digest, limits, present, texts, wanted},
    },
    plugin::plugin_file::PluginFile,
};
use host_api::settings::{Grant, LimitOverrides};
use serde_json::json;

/// The lines of the difference.
fn lines(wanted: &Wanted, present: &Present) -> Vec<String> {
    let difference = Difference::between(wanted, present, false).unwrap();
    difference.changes.iter().map(|change| format!("{} {}", change.change.as_str(), change.what)).collect()
}

fn problem(wanted: &Wanted, present: &Present) -> String {
    Difference::between(wanted, present, false).unwrap_err().to_string()
}

#[test]
fn the_same_state_has_no_line() {
    let all = Wanted {
        settings: texts(&[("greeting", "Hello")]),
        limits: limits(&[("queue", 3)]),
        policy: Some(Policy { visitor: true, ..Policy::default() }),
        paused: Some(false),
        ..wanted('a')
    };
    let fields = json!({ "config_set": { "greeting": "Hello" }, "limits": { "queue": 3 } });
    let mut present = present('a', fields);
    present.policy.policy = fields_of(json!({ "visitor": true, "grants": [], "moon": 1 }));
    assert_eq!(lines(&all, &present), [] as [&str; 0]);
    assert_eq!(lines(&Wanted { name: "hello".to_owned(), ..Wanted::default() }, &Present::default()), [] as [&str; 0]);
}

fn fields_of(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn values_that_a_table_does_not_name_are_removed() {
    let fields =
        json!({ "config_set": { "greeting": "Hello", "gone": "1" }, "limits": { "queue": 3, "concurrency": 2 } });
    let present = present('a', fields);
    let named = Wanted { settings: texts(&[]), limits: limits(&[("queue", 5), ("memory_mib", 8)]), ..wanted('a') };
    let expected =
        ["- limit concurrency = 2", "+ limit memory_mib = 8", "~ limit queue = 3 -> 5", "- setting greeting = Hello"];
    assert_eq!(lines(&named, &present), expected);
    assert_eq!(lines(&wanted('a'), &present), [] as [&str; 0], "a table that is not named stays");
    let difference = Difference::between(&named, &present, false).unwrap();
    assert_eq!(difference.settings.before, BTreeMap::from([("greeting".to_owned(), None)]));
}

#[test]
fn each_entry_of_a_policy_has_a_line_and_fields_of_a_newer_host_stay() {
    let policy = Policy {
        grants: [Grant::Store].into(),
        visitor: true,
        limits: LimitOverrides { queue: Some(4), ..LimitOverrides::default() },
        ..Policy::default()
    };
    let wanted = Wanted { policy: Some(policy), ..wanted('a') };
    let mut present = present('a', json!({}));
    present.policy.policy =
        fields_of(json!({ "grants": ["http"], "lowest_version": "1.0.0", "limits": { "queue": 3 }, "moon": 1 }));
    let expected = [
        "- policy grants http",
        "+ policy grants store",
        "~ policy limits queue = 3 -> 4",
        "- policy lowest_version = 1.0.0",
        "~ policy visitor = false -> true",
    ];
    assert_eq!(lines(&wanted, &present), expected);
    let difference = Difference::between(&wanted, &present, false).unwrap();
    let policy = difference.policy.unwrap();
    assert_eq!((&policy["moon"], policy.get("lowest_version")), (&json!(1), None));
}

#[test]
fn a_plugin_that_is_not_there_gets_all_parts() {
    let wanted = Wanted { settings: texts(&[("greeting", "Hello")]), limits: limits(&[("queue", 3)]), ..wanted('a') };
    let expected = ["+ revision aaaaaaaaaaaa", "+ limit queue = 3", "+ setting greeting = Hello"];
    assert_eq!(lines(&wanted, &Present::default()), expected);
    assert!(Difference::between(&wanted, &Present::default(), false).unwrap().settings.replaces);
}

#[test]
fn a_secret_is_compared_by_its_presence_alone() {
    let secret = || Setting::Secret(host_base::secret::Secret::new("s3cret"));
    let wanted = Wanted { settings: Some(BTreeMap::from([("key".to_owned(), secret())])), ..wanted('a') };
    assert_eq!(lines(&wanted, &present('a', json!({}))), ["+ secret key"]);
    let set = present('a', json!({ "config_sources": { "key": "operator" } }));
    assert_eq!(lines(&wanted, &set), [] as [&str; 0]);
    let difference = Difference::between(&wanted, &set, true).unwrap();
    assert_eq!(difference.changes, [Change::new(Sign::Changed, "secret key".to_owned())]);
}

#[test]
fn a_setting_that_nothing_declares_is_refused_before_anything_changes() {
    let with = |settings: &[(&str, &str)]| Wanted { settings: texts(settings), ..wanted('b') };
    let present = present('a', json!({}));
    assert!(problem(&with(&[("size", "1")]), &present).contains("declares no setting size; it knows greeting, key"));
    assert!(problem(&with(&[("key", "1")]), &present).contains("key is a secret; write { file"));
    let secret = Setting::Secret(host_base::secret::Secret::new("1"));
    let wanted = Wanted { settings: Some(BTreeMap::from([("greeting".to_owned(), secret)])), ..wanted('b') };
    assert!(problem(&wanted, &present).contains("greeting is no secret"));
    let unread = Content { file: PluginFile::Local("x".into()), digest: digest('b'), declared: None };
    let unread = Wanted { content: Some(unread), ..with(&[("size", "1")]) };
    assert!(lines(&unread, &present).contains(&"+ setting size = 1".to_owned()), "the host says what is wrong");
}

#[test]
fn a_plugin_without_a_file_can_only_get_a_policy_first() {
    let paused = Wanted { name: "hello".to_owned(), paused: Some(true), ..Wanted::default() };
    assert!(problem(&paused, &Present::default()).contains("add `file"));
    let policy = Wanted { paused: None, policy: Some(Policy { visitor: true, ..Policy::default() }), ..paused };
    assert_eq!(lines(&policy, &Present::default()), ["~ policy visitor = false -> true"]);
}

#[test]
fn a_plugin_is_removed_once_and_a_starting_one_waits() {
    let absent = Wanted { name: "hello".to_owned(), absent: true, ..Wanted::default() };
    let present_now = present('a', json!({}));
    assert_eq!(lines(&absent, &present_now), ["- plugin with revision aaaaaaaaaaaa; its database and revisions stay"]);
    assert_eq!(lines(&absent, &Present::default()), [] as [&str; 0]);
    let starting = present('a', json!({ "status": "starting" }));
    assert_eq!(lines(&wanted('a'), &starting), [] as [&str; 0]);
    assert!(problem(&wanted('b'), &starting).contains("still loads"));
}
