//! Policies: nothing that a manifest asks goes beyond its policy, and the policy
//! that allows a manifest is a legal one.

use super::{cases, manifest, mutation::Corpus};
use host_api::{policy::Policy, settings::Grant};
use host_artifact::{
    Manifest,
    policy::{Rights, check_policy, policy_of},
};
use std::collections::BTreeSet;

const POLICIES: &[&str] = &[
    "{}",
    r#"{"grants": ["store", "identity"], "publishes": ["order.created", "order.*"], "subscribes": ["ticket.*"]}"#,
    r#"{"paths": ["/api/tickets", "/api/tickets/*", "/{*all}", "/hello/{id}"], "same_origin": true, "visitor": true}"#,
    r#"{"http_hosts": ["api.example.com:443"], "limits": {"memory_mib": 32, "wall_time_ms": 1000, "concurrency": 2}}"#,
    r#"{"quotas": {"database_mib": 10, "timers": 5}, "require_signature": true, "lowest_version": "1.4.0"}"#,
];
const WORDS: &[&str] = &[
    "\"*\"",
    "\".*\"",
    "\"a.*.*\"",
    "\"order.*\"",
    "\"/*\"",
    "\"/**\"",
    "\"//*\"",
    "\"/api/../*\"",
    "\"/%61\"",
    "null",
    "true",
    "-1",
    "0",
    "18446744073709551615",
    "1e30",
    "\"\"",
    "\"1.0.0-\"",
    "\"grants\": [\"payments\"]",
    "\"limits\": {\"queue\": 0}",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"\\u0000\"",
    "\"lowest_version\": \"x\"",
];

fn no_grants() -> BTreeSet<Grant> {
    BTreeSet::new()
}

/// The rule, in other words than those of the host.
fn allows_subject(plugin: &str, entries: &BTreeSet<String>, subject: &str) -> bool {
    let word = subject.split('.').next();
    let below = |entry: &String| entry.strip_suffix('*').is_some_and(|start| subject.starts_with(start));
    (word == Some(plugin) && subject.contains('.')) || entries.contains(subject) || entries.iter().any(below)
}

#[test]
fn a_narrowed_manifest_asks_nothing_beyond_its_policy() {
    let (manifests, policies) = (manifest::corpus(), Corpus::new(POLICIES.iter().copied(), WORDS));
    let mut accepted = 0;
    for mut case in cases(3_000) {
        let policy = policies.text(&mut case.random);
        let Ok(policy) = serde_json::from_str::<Policy>(&policy) else { continue };
        if check_policy(&policy).is_err() {
            continue;
        }
        let text = manifests.text(&mut case.random);
        let Ok(manifest) = Manifest::parse(&text) else { continue };
        let rights = Rights { plugin: &manifest.name, policy: &policy };
        let narrowed = rights.narrow(&manifest);
        assert_eq!(rights.excesses(&narrowed, &no_grants()), [], "{text}\n{policy:?}");
        let published = narrowed.messaging.publishes.iter();
        let subscribed = narrowed.messaging.subscribes.iter();
        for (subject, entries) in published
            .map(|subject| (subject, &policy.publishes))
            .chain(subscribed.map(|subject| (subject, &policy.subscribes)))
        {
            assert!(allows_subject(&manifest.name, entries, subject), "{subject}: {text}\n{policy:?}");
        }
        accepted += 1;
    }
    eprintln!("{accepted} pairs were compared");
}

#[test]
fn the_policy_of_an_upload_is_legal_and_allows_exactly_that() {
    let manifests = manifest::corpus();
    let mut accepted = 0;
    for mut case in cases(3_000) {
        let text = manifests.mutated_text(&mut case.random);
        let Ok(manifest) = Manifest::parse(&text) else { continue };
        if manifest.check_upload().is_err() {
            continue;
        }
        let policy = policy_of(&manifest, no_grants());
        assert_eq!(check_policy(&policy), Ok(()), "{text}");
        let rights = Rights { plugin: &manifest.name, policy: &policy };
        assert_eq!(rights.excesses(&manifest, &no_grants()), [], "{text}");
        accepted += 1;
    }
    eprintln!("{accepted} manifests were allowed");
}
