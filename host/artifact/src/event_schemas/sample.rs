//! An example of a value that a schema describes.

use super::{SchemaJson, resolve};
use serde_json::{Map, Value};

/// A schema can refer to itself. A sample takes no more schemas than this.
const MAX_SCHEMAS: usize = 1_000;
/// A sample is no deeper than this.
const MAX_DEPTH: usize = 20;

/// The schema's own example, or one that is put together from the examples of its
/// parts. None if a required part has none.
pub(super) fn of(root: &SchemaJson) -> Option<Value> {
    let mut search = Search { root, schemas_left: MAX_SCHEMAS };
    search.sample(root, 0)
}

struct Search<'a> {
    root: &'a SchemaJson,
    schemas_left: usize,
}

impl Search<'_> {
    fn sample(&mut self, schema: &SchemaJson, depth: usize) -> Option<Value> {
        self.schemas_left = self.schemas_left.checked_sub(1)?;
        if depth > MAX_DEPTH {
            return None;
        }
        if let Some(Value::String(reference)) = schema.get("$ref") {
            return self.sample(resolve(self.root, reference)?.as_object()?, depth + 1);
        }
        let first_of = |key: &str| schema.get(key)?.as_array()?.first().cloned();
        let own = first_of("examples").or_else(|| schema.get("const").cloned());
        let own = own.or_else(|| schema.get("default").cloned()).or_else(|| first_of("enum"));
        own.or_else(|| self.object(schema, depth)).or_else(|| self.array(schema, depth))
    }

    /// An object with all properties that have a sample.
    fn object(&mut self, schema: &SchemaJson, depth: usize) -> Option<Value> {
        let mut object = Map::new();
        for (name, property) in schema.get("properties")?.as_object()? {
            match self.sample(property.as_object()?, depth + 1) {
                Some(sample) => drop(object.insert(name.clone(), sample)),
                None if is_required(schema, name) => return None,
                None => {}
            }
        }
        Some(object.into())
    }

    fn array(&mut self, schema: &SchemaJson, depth: usize) -> Option<Value> {
        let item = self.sample(schema.get("items")?.as_object()?, depth + 1)?;
        Some(vec![item].into())
    }
}

fn is_required(schema: &SchemaJson, property: &str) -> bool {
    schema.get("required").and_then(Value::as_array).is_some_and(|names| names.iter().any(|name| name == property))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sample(schema: Value) -> Option<Value> {
        of(schema.as_object().unwrap())
    }

    #[test]
    fn a_sample_is_put_together_from_the_examples() {
        let thing = json!({
            "$defs": { "Money": { "properties": { "amount": { "examples": [1_999] } } } },
            "required": ["id", "price"],
            "properties": {
                "id": { "type": "string", "examples": ["t-1", "t-2"] },
                "kind": { "enum": ["small", "large"] },
                "version": { "const": 3 },
                "note": { "type": "string" },
                "price": { "$ref": "#/$defs/Money" },
                "tags": { "items": { "examples": ["red"] } }
            }
        });
        let expected =
            json!({ "id": "t-1", "kind": "small", "version": 3, "price": { "amount": 1_999 }, "tags": ["red"] });
        assert_eq!(sample(thing), Some(expected));
        let whole = json!({ "examples": [{ "a": 1 }], "properties": { "b": { "const": 2 } } });
        assert_eq!(sample(whole), Some(json!({ "a": 1 })));
    }

    #[test]
    fn a_required_part_without_an_example_leaves_no_sample() {
        assert_eq!(sample(json!({ "required": ["a"], "properties": { "a": { "type": "string" } } })), None);
        assert_eq!(sample(json!({ "type": "string" })), None);
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let endless = json!({ "$defs": { "A": { "properties": { "x": { "$ref": "#/$defs/A" }, "y": { "$ref": "#/$defs/A" } } } }, "$ref": "#/$defs/A" });
        sample(endless);
        assert_eq!(sample(json!({ "$defs": { "A": { "$ref": "#/$defs/A" } }, "$ref": "#/$defs/A" })), None);
    }
}
