//! Compares the schemas of events. A change breaks subscribers if an event may lack
//! something that its schema promised before: a property, a type, or the presence of
//! a property. More than before breaks nobody, because a reader ignores what it does
//! not know.

use super::ComparedRevision;
use crate::event_schemas::{SchemaJson, resolve};
use host_api::verdict::SchemaChange;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The most lines about one subject.
const MAX_CHANGES: usize = 100;
/// The most new values that a line names.
const MAX_VALUES: usize = 10;
/// Parts of a payload below this depth are not compared. JSON of this depth is rare,
/// and definitions can make a schema deeper than its text.
const MAX_DEPTH: usize = 60;
/// Keywords whose meaning for a subscriber the host cannot tell.
const OPAQUE: [&str; 4] = ["oneOf", "anyOf", "allOf", "not"];

/// The changes of the schemas of all subjects that both revisions publish.
pub(super) fn compare(new: ComparedRevision<'_>, active: ComparedRevision<'_>) -> Vec<SchemaChange> {
    let subjects = new.manifest.messaging.publishes.intersection(&active.manifest.messaging.publishes);
    subjects.flat_map(|subject| of_subject(subject, active.events.get(subject), new.events.get(subject))).collect()
}

fn of_subject(subject: &str, old: Option<&SchemaJson>, new: Option<&SchemaJson>) -> Vec<SchemaChange> {
    let whole = |change: &str, compatible| {
        let (subject, place, change) = (subject.to_owned(), String::new(), change.to_owned());
        vec![SchemaChange { subject, place, change, compatible }]
    };
    match (old, new) {
        (None, None) => Vec::new(),
        (None, Some(_)) => whole("it has a schema now", true),
        (Some(_), None) => whole("it has no schema any more", false),
        (Some(old), Some(new)) => {
            let mut comparison =
                Comparison { subject, old, new, compared: BTreeSet::new(), depth: 0, changes: Vec::new() };
            comparison.schema("", old, new);
            comparison.changes
        }
    }
}

/// The comparison of two schemas of one subject.
struct Comparison<'a> {
    subject: &'a str,
    old: &'a SchemaJson,
    new: &'a SchemaJson,
    /// The pairs of definitions that were compared already, because a definition can
    /// refer to itself.
    compared: BTreeSet<(usize, usize)>,
    depth: usize,
    changes: Vec<SchemaChange>,
}

impl<'a> Comparison<'a> {
    fn schema(&mut self, place: &str, old: &'a SchemaJson, new: &'a SchemaJson) {
        let (old_target, new_target) = (target(self.old, old), target(self.new, new));
        let is_definition = !std::ptr::eq(old_target, old) || !std::ptr::eq(new_target, new);
        let pair = (std::ptr::from_ref(old_target).addr(), std::ptr::from_ref(new_target).addr());
        if self.depth >= MAX_DEPTH || is_definition && !self.compared.insert(pair) {
            return;
        }
        self.depth += 1;
        if self.types(place, old_target, new_target) {
            self.opaque(place, old_target, new_target);
            self.values(place, old_target, new_target);
            self.properties(place, old_target, new_target);
            self.parts(place, old_target, new_target);
        }
        self.depth -= 1;
    }

    /// Compares the types. False if the values have become of another type.
    fn types(&mut self, place: &str, old: &SchemaJson, new: &SchemaJson) -> bool {
        let (old, new) = (types(old), types(new));
        if old == new {
            return true;
        }
        let compatible = match (&old, &new) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(old), Some(new)) => new.iter().all(|one| includes(old, one)),
        };
        self.report(place, format!("{} is now {}", text(old), text(new)), compatible);
        compatible
    }

    fn opaque(&mut self, place: &str, old: &SchemaJson, new: &SchemaJson) {
        for keyword in OPAQUE.into_iter().filter(|keyword| old.get(*keyword) != new.get(*keyword)) {
            self.report(place, format!("`{keyword}` has changed, and the host does not compare it"), false);
        }
    }

    fn values(&mut self, place: &str, old: &SchemaJson, new: &SchemaJson) {
        let (Some(old), Some(new)) = (values(old), values(new)) else { return };
        let added: Vec<&str> = new.difference(&old).take(MAX_VALUES).map(String::as_str).collect();
        if !added.is_empty() {
            self.report(place, format!("it can also be {}", added.join(" or ")), true);
        }
    }

    fn properties(&mut self, place: &str, old: &'a SchemaJson, new: &'a SchemaJson) {
        let (before, after) = (properties(old), properties(new));
        for (name, property) in &before {
            let place = joined(place, name);
            match after.get(name) {
                None => self.report(&place, "it is gone".to_owned(), false),
                Some(changed) => {
                    self.presence(&place, property, changed);
                    match (property.schema, changed.schema) {
                        (Some(old), Some(new)) => self.schema(&place, old, new),
                        (Some(_), None) => self.report(&place, "it is no longer described".to_owned(), false),
                        (None, _) => {}
                    }
                }
            }
        }
        for name in after.keys().filter(|name| !before.contains_key(*name)) {
            self.report(&joined(place, name), "it is new".to_owned(), true);
        }
    }

    fn presence(&mut self, place: &str, old: &Property<'_>, new: &Property<'_>) {
        match (old.required, new.required) {
            (true, false) => self.report(place, "it was always there and may be missing now".to_owned(), false),
            (false, true) => self.report(place, "it is always there now".to_owned(), true),
            _ => {}
        }
    }

    /// Compares the items of an array, and the values of an object with any keys.
    fn parts(&mut self, place: &str, old: &'a SchemaJson, new: &'a SchemaJson) {
        for (keyword, sign) in [("items", "[]"), ("additionalProperties", ".*")] {
            let part = |schema: &'a SchemaJson| schema.get(keyword).and_then(Value::as_object);
            match (part(old), part(new)) {
                (Some(old), Some(new)) => self.schema(&format!("{place}{sign}"), old, new),
                (Some(_), None) => self.report(&format!("{place}{sign}"), "it is gone".to_owned(), false),
                _ => {}
            }
        }
    }

    fn report(&mut self, place: &str, change: String, compatible: bool) {
        if self.changes.len() < MAX_CHANGES {
            let (subject, place) = (self.subject.to_owned(), place.to_owned());
            self.changes.push(SchemaChange { subject, place, change, compatible });
        }
    }
}

/// A property of an object.
struct Property<'a> {
    schema: Option<&'a SchemaJson>,
    required: bool,
}

/// The values that a schema allows, as JSON. None if it has no list of them.
fn values(schema: &SchemaJson) -> Option<BTreeSet<String>> {
    Some(schema.get("enum")?.as_array()?.iter().map(Value::to_string).collect())
}

/// The properties that a schema describes or requires, by name.
fn properties(schema: &SchemaJson) -> BTreeMap<&str, Property<'_>> {
    let described = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let mut properties: BTreeMap<&str, Property<'_>> = described
        .map(|(name, schema)| (name.as_str(), Property { schema: schema.as_object(), required: false }))
        .collect();
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        properties.entry(name).or_insert(Property { schema: None, required: true }).required = true;
    }
    properties
}

/// The schema that a chain of references leads to. The file was checked, so each
/// reference has a definition. A chain that goes in a circle describes nothing.
fn target<'a>(root: &'a SchemaJson, schema: &'a SchemaJson) -> &'a SchemaJson {
    let mut target = schema;
    for _ in 0..MAX_CHANGES {
        let reference = target.get("$ref").and_then(Value::as_str);
        match reference.and_then(|reference| resolve(root, reference)?.as_object()) {
            Some(next) => target = next,
            None => break,
        }
    }
    target
}

/// The types that a schema allows. None for all.
fn types(schema: &SchemaJson) -> Option<BTreeSet<&str>> {
    match schema.get("type")? {
        Value::String(one) => Some(BTreeSet::from([one.as_str()])),
        Value::Array(several) => Some(several.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

fn includes(types: &BTreeSet<&str>, one: &str) -> bool {
    types.contains(one) || one == "integer" && types.contains("number")
}

fn text(types: Option<BTreeSet<&str>>) -> String {
    types.map_or("any value".to_owned(), |types| types.into_iter().collect::<Vec<_>>().join(" or "))
}

fn joined(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn changes(old: &Value, new: &Value) -> Vec<String> {
        let schema = |value: &Value| value.as_object().cloned();
        let changes = of_subject("a.made", schema(old).as_ref(), schema(new).as_ref());
        let line = |change: &SchemaChange| format!("{} {change}", if change.compatible { '~' } else { '!' });
        changes.iter().map(line).collect()
    }

    fn object(properties: &Value, required: &[&str]) -> Value {
        json!({ "type": "object", "properties": properties, "required": required })
    }

    #[test]
    fn what_a_subscriber_may_miss_is_not_compatible() {
        let (string, integer) = (json!({ "type": "string" }), json!({ "type": "integer" }));
        let old = object(&json!({ "id": string, "amount": integer, "note": string }), &["id", "amount"]);
        let gone = object(&json!({ "id": string, "amount": integer }), &["id", "amount"]);
        assert_eq!(changes(&old, &gone), ["! a.made, note: it is gone"]);
        let retyped = object(&json!({ "id": string, "amount": string, "note": string }), &["id", "amount"]);
        assert_eq!(changes(&old, &retyped), ["! a.made, amount: integer is now string"]);
        let optional = object(&json!({ "id": string, "amount": integer, "note": string }), &["id"]);
        assert_eq!(changes(&old, &optional), ["! a.made, amount: it was always there and may be missing now"]);
        assert_eq!(changes(&old, &Value::Null), ["! a.made: it has no schema any more"]);
        let bare = object(&json!({ "id": string, "note": string }), &["id", "amount"]);
        assert_eq!(changes(&old, &bare), ["! a.made, amount: it is no longer described"]);
        let anything = object(&json!({ "id": {}, "amount": integer, "note": string }), &["id", "amount"]);
        assert_eq!(changes(&old, &anything), ["! a.made, id: string is now any value"]);
    }

    #[test]
    fn additions_are_compatible() {
        let old = object(&json!({ "id": { "type": "string" }, "kind": { "enum": ["a"] } }), &["id"]);
        let new = object(
            &json!({ "id": { "type": "string" }, "kind": { "enum": ["a", "b"] }, "seat": { "type": "string" } }),
            &["id", "kind"],
        );
        assert_eq!(
            changes(&old, &new),
            [
                "~ a.made, kind: it is always there now",
                "~ a.made, kind: it can also be \"b\"",
                "~ a.made, seat: it is new",
            ]
        );
        assert_eq!(changes(&Value::Null, &new), ["~ a.made: it has a schema now"]);
        assert!(changes(&new, &new).is_empty() && changes(&Value::Null, &Value::Null).is_empty());
        let narrower = |one: &Value, other: &Value| changes(&json!({ "type": one }), &json!({ "type": other }));
        assert_eq!(narrower(&json!(["string", "null"]), &json!("string")), ["~ a.made: null or string is now string"]);
        assert_eq!(narrower(&json!("number"), &json!("integer")), ["~ a.made: number is now integer"]);
        assert_eq!(narrower(&json!("integer"), &json!("number")), ["! a.made: integer is now number"]);
    }

    #[test]
    fn nested_schemas_are_compared() {
        let schema = |price: &Value| {
            json!({
                "$defs": { "Price": price },
                "properties": { "lines": { "items": { "properties": { "price": { "$ref": "#/$defs/Price" } } } } },
                "additionalProperties": { "type": "string" }
            })
        };
        let (old, new) = (schema(&object(&json!({ "cents": {} }), &["cents"])), schema(&object(&json!({}), &[])));
        assert_eq!(changes(&old, &new), ["! a.made, lines[].price.cents: it is gone"]);
        let mut closed = old.clone();
        closed["additionalProperties"] = json!(false);
        assert_eq!(changes(&old, &closed), ["! a.made, .*: it is gone"]);
        let inline = json!({
            "properties": { "lines": { "items": { "properties": { "price": object(&json!({ "cents": {} }), &["cents"]) } } } },
            "additionalProperties": { "type": "string" }
        });
        assert!(changes(&old, &inline).is_empty(), "a definition and its copy are the same");
        let chosen = json!({ "oneOf": [{ "required": ["id"] }] });
        assert_eq!(changes(&json!({}), &chosen), ["! a.made: `oneOf` has changed, and the host does not compare it"]);
    }

    #[test]
    fn a_schema_that_refers_to_itself_is_compared() {
        let list = |item: &str| {
            json!({
                "$defs": { "A": { "properties": { "item": { "type": item }, "next": { "$ref": "#/$defs/A" } } } },
                "$ref": "#/$defs/A"
            })
        };
        assert_eq!(changes(&list("string"), &list("integer")), ["! a.made, item: string is now integer"]);
        let circle = json!({ "$defs": { "A": { "$ref": "#/$defs/A" } }, "$ref": "#/$defs/A" });
        assert!(changes(&circle, &circle).is_empty());
    }
}
