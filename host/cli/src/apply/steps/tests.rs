use super::*;
use crate::apply::samples::{canary, limits, present, texts, wanted};
use host_api::policy::Policy;
use serde_json::json;

/// The names of the steps, in their order.
fn names(wanted: &Wanted, present: &Present) -> Vec<String> {
    let difference = Difference::between(wanted, present, false).unwrap();
    let name = |step: &Step<'_>| format!("{step:?}").split([' ', '(']).next().unwrap().to_owned();
    steps(wanted, present, &difference).iter().map(name).collect()
}

fn with_all(digit: char) -> Wanted {
    Wanted {
        settings: texts(&[("greeting", "Hello")]),
        limits: limits(&[("queue", 3)]),
        policy: Some(Policy { visitor: true, ..Policy::default() }),
        ..wanted(digit)
    }
}

#[test]
fn a_new_plugin_is_uploaded_after_its_policy_and_activated_last() {
    let expected = ["Policy", "Upload", "Limits", "AllSettings", "Activate"];
    assert_eq!(names(&with_all('b'), &Present::default()), expected);
    let paused = Wanted { paused: Some(true), ..wanted('b') };
    assert_eq!(names(&paused, &Present::default()), ["Upload", "Activate", "Pause"]);
}

#[test]
fn a_known_file_is_judged_and_not_sent_again() {
    assert_eq!(names(&with_all('c'), &present('a', json!({}))), ["Policy", "Judge", "Limits", "Settings", "Activate"]);
    assert_eq!(names(&wanted('b'), &present('a', json!({}))), ["Upload", "Activate"]);
}

#[test]
fn no_difference_has_no_step() {
    assert_eq!(names(&wanted('a'), &present('a', json!({}))), [] as [&str; 0]);
    let paused = present('a', json!({ "status": "paused" }));
    assert_eq!(names(&wanted('a'), &paused), [] as [&str; 0]);
}

#[test]
fn a_setting_that_only_the_new_file_declares_is_set_after_its_activation() {
    let active = present('a', json!({ "config": {}, "config_secrets": [] }));
    let wanted = Wanted { settings: texts(&[("greeting", "Hello")]), ..wanted('b') };
    assert_eq!(names(&wanted, &active), ["Upload", "Activate", "Settings"]);
    let trial = Wanted { canary: Some(Canary { percent: 5, promote_after_seconds: None }), ..wanted };
    let problem = Difference::between(&trial, &active, false).unwrap_err().to_string();
    assert!(problem.contains("the host sets none for a canary alone"), "{problem}");
}

#[test]
fn a_trial_begins_ends_and_is_promoted() {
    let trial = present('a', json!({ "canary": canary(10) }));
    let share = Some(Canary { percent: 10, promote_after_seconds: None });
    assert_eq!(names(&Wanted { canary: share, ..wanted('c') }, &present('a', json!({}))), ["Judge", "Activate"]);
    assert_eq!(names(&wanted('c'), &trial), ["Promote"]);
    assert_eq!(names(&wanted('a'), &trial), ["EndCanary"]);
    let limited = Wanted { canary: share, limits: limits(&[("queue", 3)]), ..wanted('c') };
    assert_eq!(names(&limited, &trial), ["Judge", "Limits", "Activate"]);
}

#[test]
fn a_pause_lasts_over_a_swap() {
    let paused = present('a', json!({ "status": "paused" }));
    let standing = |paused| Wanted { paused, ..wanted('a') };
    let limited = |paused| Wanted { limits: limits(&[("queue", 3)]), ..standing(paused) };
    assert_eq!(names(&standing(Some(true)), &present('a', json!({}))), ["Pause"]);
    assert_eq!(names(&standing(Some(false)), &paused), ["Resume"]);
    assert_eq!(names(&limited(None), &paused), ["Limits", "Pause"]);
    assert_eq!(names(&limited(Some(true)), &paused), ["Limits", "Pause"]);
    assert_eq!(names(&limited(Some(false)), &paused), ["Limits"], "the swap ends the pause");
}

#[test]
fn a_removal_is_one_step() {
    let absent = Wanted { name: "hello".to_owned(), absent: true, ..Wanted::default() };
    for status in ["active", "paused"] {
        assert_eq!(names(&absent, &present('a', json!({ "status": status }))), ["Remove"], "{status}");
    }
}
