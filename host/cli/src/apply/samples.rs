//! Plugins for the tests of the comparison.

use super::{
    file::{Content, Setting, Wanted},
    state::{Present, PresentPolicy},
};
use crate::plugin::plugin_file::PluginFile;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A digest that begins with this digit.
pub(super) fn digest(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// An entry with a file of this digest. It declares the setting `greeting` and the
/// secret `key`.
pub(super) fn wanted(digit: char) -> Wanted {
    let declared = BTreeMap::from([("greeting".to_owned(), false), ("key".to_owned(), true)]);
    let content =
        Content { file: PluginFile::Local("hello.wasm".into()), digest: digest(digit), declared: Some(declared) };
    Wanted { name: "hello".to_owned(), content: Some(content), ..Wanted::default() }
}

/// Settings that are texts.
pub(super) fn texts(settings: &[(&str, &str)]) -> Option<BTreeMap<String, Setting>> {
    let text = |(key, value): &(&str, &str)| ((*key).to_owned(), Setting::Text((*value).to_owned()));
    Some(settings.iter().map(text).collect())
}

/// Limits of these values.
pub(super) fn limits(limits: &[(&str, u64)]) -> Option<BTreeMap<String, u64>> {
    Some(limits.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect())
}

/// A plugin with an active file of this digest. The other fields replace those of its
/// details.
pub(super) fn present(digit: char, fields: Value) -> Present {
    let mut details = details(&digest(digit));
    details.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let revisions = json!(['c', digit].map(|digit| revision(&digest(digit))));
    Present {
        active: Some(serde_json::from_value(details).unwrap()),
        revisions: serde_json::from_value(revisions).unwrap(),
        policy: PresentPolicy::default(),
    }
}

/// The details of an active plugin, as the API has them.
pub(super) fn details(digest: &str) -> Value {
    json!({
        "name": "hello", "version": "1.0.0", "revision": id(digest), "digest": digest, "size_bytes": 1,
        "status": "active", "imports": [], "exports": [], "routes": [], "subscribes": [], "publishes": [],
        "in_flight": 0, "calls": 0, "failures": 0, "config": { "greeting": "Hi" },
        "config_sources": { "greeting": "manifest" }, "config_secrets": ["key"], "config_set": {}, "limits": {},
        "limits_in_force": {}, "grants": [], "http_hosts": [],
    })
}

/// A revision, as the API has it.
pub(super) fn revision(digest: &str) -> Value {
    json!({
        "revision": id(digest), "version": "1.0.0", "digest": digest, "size_bytes": 1, "status": "staged",
        "source": "upload", "uploaded_ms": 0, "uploaded_by": "ci",
    })
}

/// The id of the revision with this digest.
pub(super) fn id(digest: &str) -> String {
    format!("1.0.0+{}", &digest[..8])
}

/// The field for a canary of the digest that begins with `c`.
pub(super) fn canary(percent: u8) -> Value {
    json!({ "revision": id(&digest('c')), "percent": percent, "calls": 0, "errors": 0, "failures": 0 })
}
