//! The schemas of the events that a plugin publishes, in the form of JSON Schema
//! 2020-12, see <https://json-schema.org/draft/2020-12>.
//!
//! The section is a JSON object with a schema for each subject. A schema uses the
//! part of JSON Schema that a description of the API may use, too. It refers to its
//! own `$defs` and to nothing else, so nobody has to fetch anything to read it. The
//! host compares and shows schemas. It does not check events against them.

mod sample;

use crate::{
    manifest::Manifest,
    shape::{Object, Schema},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The version of JSON Schema.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// The key of a schema with the schemas that it refers to.
const DEFINITIONS: &str = "$defs";
const DEFINITION: &str = "#/$defs/";

/// A schema as JSON has it.
pub(crate) type SchemaJson = Map<String, Value>;

/// The schemas of a plugin's events, by subject. They have the shape of JSON Schema.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventSchemas(BTreeMap<String, SchemaJson>);

impl EventSchemas {
    /// Reads the section of a plugin with this manifest.
    ///
    /// # Errors
    /// Names the first place that is wrong, in words for the author.
    pub fn parse(json: &[u8], manifest: &Manifest) -> Result<Self, String> {
        let schemas: BTreeMap<String, SchemaJson> =
            serde_json::from_slice(json).map_err(|error| format!("is not valid: {error}"))?;
        for (subject, schema) in &schemas {
            if !manifest.messaging.publishes.contains(subject) {
                return Err(format!("describes {subject}, which the manifest does not publish"));
            }
            check(schema).map_err(|problem| format!("describes {subject} in a wrong way: {problem}"))?;
        }
        Ok(Self(schemas))
    }

    /// The schema of a subject, if it has one.
    pub fn get(&self, subject: &str) -> Option<&SchemaJson> {
        self.0.get(subject)
    }

    /// An example of a payload, from the examples in the schema.
    pub fn sample(&self, subject: &str) -> Option<Value> {
        sample::of(self.get(subject)?)
    }
}

/// The schema that a reference in this root names. None for a wrong reference.
pub(crate) fn resolve<'a>(root: &'a SchemaJson, reference: &str) -> Option<&'a Value> {
    root.get(DEFINITIONS)?.get(reference.strip_prefix(DEFINITION)?)
}

fn check(schema: &SchemaJson) -> Result<(), String> {
    let mut root = schema.clone();
    if let Some(dialect) = root.remove("$schema").filter(|dialect| dialect != DIALECT) {
        return Err(format!("its $schema is {dialect}; the host knows {DIALECT}"));
    }
    let definitions = match root.remove(DEFINITIONS) {
        None => Map::new(),
        Some(definitions) => Map::deserialize(definitions).map_err(|error| error.to_string())?,
    };
    if let Some(name) = definitions.keys().find(|name| !is_name(name)) {
        return Err(format!("it defines {name:?}; a name has 1 to 100 letters, digits, `.`, `_` or `-`"));
    }
    for part in definitions.values().chain([&Value::Object(root)]) {
        Object::<Schema>::deserialize(part).map_err(|error| error.to_string())?;
        check_references(part, &definitions)?;
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    (1..=100).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// The depth of the value is bounded by the parser of JSON.
fn check_references(value: &Value, definitions: &SchemaJson) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| check_references(item, definitions)),
        Value::Object(map) => map.iter().try_for_each(|(key, value)| match (key.as_str(), value) {
            ("$ref", Value::String(target)) => match target.strip_prefix(DEFINITION) {
                Some(name) if definitions.contains_key(name) => Ok(()),
                _ => Err(format!("it refers to {target:?}, which is none of its `$defs`")),
            },
            _ => check_references(value, definitions),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(schemas: &Value) -> Result<EventSchemas, String> {
        let manifest = "name = \"things\"\nversion = \"1.0.0\"\nmessaging.publishes = [\"thing.made\"]\n";
        EventSchemas::parse(&serde_json::to_vec(schemas).unwrap(), &Manifest::parse(manifest).unwrap())
    }

    #[test]
    fn a_schema_belongs_to_a_subject_that_the_plugin_publishes() {
        let schema = json!({ "$schema": DIALECT, "type": "object", "properties": { "id": { "type": "string" } } });
        let schemas = parse(&json!({ "thing.made": schema })).unwrap();
        assert_eq!(Value::from(schemas.get("thing.made").unwrap().clone()), schema);
        assert_eq!(schemas.get("thing.lost"), None);
        let refused = parse(&json!({ "thing.lost": {} })).unwrap_err();
        assert_eq!(refused, "describes thing.lost, which the manifest does not publish");
    }

    #[test]
    fn a_schema_has_the_shape_of_json_schema_and_refers_to_itself_alone() {
        for (wrong, reason) in [
            (json!(1), "is not valid"),
            (json!({ "type": "thing" }), "did not match any variant"),
            (json!({ "required": "id" }), "invalid type"),
            (json!({ "properties": { "id": 1 } }), "invalid type"),
            (json!({ "propertys": {} }), "unknown field `propertys`"),
            (json!({ "$id": "https://evil.example" }), "unknown field `$id`"),
            (json!({ "$schema": "https://evil.example" }), "the host knows https://json-schema.org"),
            (json!({ "$ref": "https://evil.example" }), "none of its `$defs`"),
            (json!({ "properties": { "a": { "$ref": "#/$defs/B" } } }), "none of its `$defs`"),
            (json!({ "$defs": { "A": { "$ref": "#/$defs/B" } } }), "none of its `$defs`"),
            (json!({ "$defs": { "A": { "minLength": -1 } } }), "invalid value"),
            (json!({ "$defs": { "a/b": {} } }), "it defines \"a/b\""),
            (json!({ "$defs": [] }), "invalid type"),
        ] {
            let refused = parse(&json!({ "thing.made": wrong })).unwrap_err();
            assert!(refused.contains(reason), "{wrong}: {refused}");
        }
        let right = json!({ "$defs": { "A": { "items": { "$ref": "#/$defs/A" } } }, "$ref": "#/$defs/A" });
        assert!(parse(&json!({ "thing.made": right })).is_ok());
    }
}
