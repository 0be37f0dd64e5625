//! A plugin's part of the description of the public API, in the form of OpenAPI
//! 3.1, see <https://spec.openapis.org/oas/v3.1.1.html>.
//!
//! The section is a JSON object with `paths` and `components`. It describes routes
//! of the plugin's manifest and nothing else. It refers to its own components and
//! to those of the host ([`SHARED`]). In the document of the host, the name of the
//! plugin stands before the name of each component and of each operation, so the
//! parts of two plugins have no name in common.

use crate::{
    manifest::{Manifest, Route},
    shape::{self, Object},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The components that the host adds to the document: the answer to a refused
/// request, and its body.
const SHARED: [&str; 2] = ["#/components/responses/Refused", "#/components/schemas/Errors"];

const COMPONENTS: &str = "#/components/";
/// The key of a path for the parameters of all its methods.
const PARAMETERS: &str = "parameters";

/// A plugin's part of the description. All values have the shape of OpenAPI.
#[derive(Debug, Clone)]
pub struct ApiPart {
    /// The operations of each path, by method in small letters. The parameters of a
    /// path are those of its operations.
    pub paths: BTreeMap<String, BTreeMap<String, Map<String, Value>>>,
    /// The schemas, by name.
    pub schemas: Map<String, Value>,
    /// The responses, by name.
    pub responses: Map<String, Value>,
}

/// The section as an author writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    paths: BTreeMap<String, Map<String, Value>>,
    #[serde(default)]
    components: Object<WrittenComponents>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenComponents {
    schemas: Map<String, Value>,
    responses: Map<String, Value>,
}

impl ApiPart {
    /// Reads the section of a plugin with this manifest.
    ///
    /// # Errors
    /// Names the first place that is wrong, in words for the author.
    pub fn parse(json: &[u8], manifest: &Manifest) -> Result<Self, String> {
        let written = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let Object(Written { paths, components: Object(components) }) = written;
        let names = Names::of(&manifest.name, &components)?;
        let mut part = Self { paths: BTreeMap::new(), schemas: Map::new(), responses: Map::new() };
        for (path, item) in paths {
            let route = manifest.routes.iter().find(|route| route.path == path);
            let route = route.ok_or_else(|| format!("describes {path}, which is no route of the manifest"))?;
            part.paths.insert(path, operations(route, item, &names)?);
        }
        for (name, schema) in components.schemas {
            part.schemas.insert(names.qualified(&name), names.checked::<Object<shape::Schema>>(&name, schema)?);
        }
        for (name, response) in components.responses {
            part.responses.insert(names.qualified(&name), names.checked::<Object<shape::Response>>(&name, response)?);
        }
        Ok(part)
    }
}

fn operations(
    route: &Route,
    mut item: Map<String, Value>,
    names: &Names<'_>,
) -> Result<BTreeMap<String, Map<String, Value>>, String> {
    let path = &route.path;
    let shared = match item.remove(PARAMETERS) {
        Some(parameters) => names.checked::<Vec<Object<shape::Parameter>>>(path, parameters)?,
        None => Value::Array(Vec::new()),
    };
    let mut operations = BTreeMap::new();
    for (method, operation) in item {
        if !route.methods.iter().any(|allowed| allowed.to_ascii_lowercase() == method) {
            return Err(format!("describes {method:?} of {path}, which is no method of the route in the manifest"));
        }
        let operation = names.checked::<Object<shape::Operation>>(&format!("{method} {path}"), operation)?;
        if let Value::Object(mut operation) = operation {
            add_parameters(&mut operation, &shared);
            operations.insert(method, operation);
        }
    }
    Ok(operations)
}

/// Adds the parameters of the path that the operation does not have itself.
fn add_parameters(operation: &mut Map<String, Value>, shared: &Value) {
    let place = |parameter: &Value| (parameter.get("name").cloned(), parameter.get("in").cloned());
    let Value::Array(own) = operation.entry(PARAMETERS).or_insert_with(|| Value::Array(Vec::new())) else { return };
    for parameter in shared.as_array().into_iter().flatten() {
        if own.iter().all(|one| place(one) != place(parameter)) {
            own.push(parameter.clone());
        }
    }
}

/// The names of the components of one plugin.
struct Names<'a> {
    plugin: &'a str,
    own: Vec<String>,
}

impl<'a> Names<'a> {
    fn of(plugin: &'a str, components: &WrittenComponents) -> Result<Self, String> {
        let is_name = |name: &str| {
            (1..=100).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        let mut own = Vec::new();
        for (kind, components) in [("schemas", &components.schemas), ("responses", &components.responses)] {
            if let Some(name) = components.keys().find(|name| !is_name(name)) {
                return Err(format!(
                    "names a component {name:?}; a name has 1 to 100 letters, digits, `.`, `_` or `-`"
                ));
            }
            own.extend(components.keys().map(|name| format!("{COMPONENTS}{kind}/{name}")));
        }
        Ok(Self { plugin, own })
    }

    fn qualified(&self, name: &str) -> String {
        format!("{}.{name}", self.plugin)
    }

    /// Checks the shape of a value and qualifies its names.
    fn checked<T: for<'de> Deserialize<'de>>(&self, place: &str, mut value: Value) -> Result<Value, String> {
        T::deserialize(&value).map_err(|error| format!("describes {place} in a wrong way: {error}"))?;
        self.qualify(&mut value)?;
        Ok(value)
    }

    /// Puts the name of the plugin before each name. The depth of the value is
    /// bounded by the parser of JSON.
    fn qualify(&self, value: &mut Value) -> Result<(), String> {
        match value {
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.qualify(item)),
            Value::Object(map) => map.iter_mut().try_for_each(|(key, value)| match (key.as_str(), &*value) {
                ("$ref", Value::String(target)) => {
                    *value = self.target(target)?.into();
                    Ok(())
                }
                ("operationId", Value::String(id)) => {
                    *value = self.qualified(id).into();
                    Ok(())
                }
                _ => self.qualify(value),
            }),
            _ => Ok(()),
        }
    }

    fn target(&self, target: &str) -> Result<String, String> {
        if self.own.iter().any(|own| own == target)
            && let Some((kind, name)) = target.strip_prefix(COMPONENTS).and_then(|rest| rest.split_once('/'))
        {
            return Ok(format!("{COMPONENTS}{kind}/{}", self.qualified(name)));
        }
        match SHARED.contains(&target) {
            true => Ok(target.to_owned()),
            false => Err(format!("refers to {target:?}, which is neither its own component nor one of {SHARED:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const MANIFEST: &str =
        "name = \"things\"\nversion = \"1.0.0\"\n[[routes]]\npath = \"/things/{id}\"\nmethods = [\"GET\", \"PUT\"]\n";

    fn parse(part: &Value) -> Result<Value, String> {
        let part = ApiPart::parse(&serde_json::to_vec(part).unwrap(), &Manifest::parse(MANIFEST).unwrap())?;
        Ok(json!({ "paths": part.paths, "schemas": part.schemas, "responses": part.responses }))
    }

    fn operation(operation: &Value) -> Value {
        json!({ "paths": { "/things/{id}": { "get": operation } } })
    }

    #[test]
    fn names_get_the_name_of_the_plugin() {
        let part = parse(&json!({
            "paths": { "/things/{id}": { "get": {
                "operationId": "show",
                "security": [{ "session": [] }],
                "responses": {
                    "200": { "$ref": "#/components/responses/Thing" },
                    "404": { "$ref": "#/components/responses/Refused" }
                }
            } } },
            "components": {
                "schemas": { "Thing": { "type": "object", "properties": { "next": { "$ref": "#/components/schemas/Thing" } } } },
                "responses": { "Thing": { "description": "A thing.", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Thing" } } } } }
            }
        }))
        .unwrap();
        let get = &part["paths"]["/things/{id}"]["get"];
        assert_eq!(get["operationId"], "things.show");
        assert_eq!(get["responses"]["200"]["$ref"], "#/components/responses/things.Thing");
        assert_eq!(get["responses"]["404"]["$ref"], "#/components/responses/Refused");
        let thing = &part["schemas"]["things.Thing"];
        assert_eq!(thing["properties"]["next"]["$ref"], "#/components/schemas/things.Thing");
        let response = &part["responses"]["things.Thing"];
        assert_eq!(response["content"]["application/json"]["schema"]["$ref"], "#/components/schemas/things.Thing");
    }

    #[test]
    fn a_part_describes_the_routes_of_its_plugin_alone() {
        let responses = json!({ "200": { "description": "A thing." } });
        for (part, reason) in [
            (json!({ "paths": { "/other": {} } }), "no route of the manifest"),
            (json!({ "paths": { "/things/{id}": { "delete": {} } } }), "no method of the route"),
            (json!({ "paths": { "/things/{id}": { "servers": [] } } }), "no method of the route"),
            (json!({ "paths": { "/things/{id}": { "$ref": "https://evil.example" } } }), "no method of the route"),
            (json!({ "paths": { "/things/{id}": { "get": 1 } } }), "invalid type"),
            (json!({ "paths": {}, "servers": [] }), "unknown field `servers`"),
            (json!({ "paths": {}, "components": { "securitySchemes": {} } }), "unknown field `securitySchemes`"),
            (json!({ "paths": {}, "components": { "schemas": { "a/b": {} } } }), "names a component"),
            (json!([]), "invalid type"),
            (operation(&json!({ "responses": responses, "servers": [{ "url": "https://evil.example" }] })), "servers"),
            (operation(&json!({ "responses": responses, "callbacks": {} })), "callbacks"),
            (operation(&json!({ "responses": responses, "security": [{ "token": [] }] })), "unknown field `token`"),
            (operation(&json!({ "responses": 1 })), "invalid type"),
            (operation(&json!({})), "missing field `responses`"),
            (operation(&json!({ "responses": { "200": {} } })), "needs a `description`"),
            (operation(&json!({ "responses": { "200": { "$ref": "https://evil.example" } } })), "refers to"),
            (operation(&json!({ "responses": { "200": { "$ref": "#/components/responses/Other" } } })), "refers to"),
            (operation(&json!({ "responses": { "200": { "$ref": "#/paths/other" } } })), "refers to"),
            (operation(&json!({ "responses": { "200": { "$ref": 1 } } })), "invalid type"),
        ] {
            let refused = parse(&part).unwrap_err();
            assert!(refused.contains(reason), "{part}: {refused}");
        }
        assert!(parse(&operation(&json!({ "responses": responses }))).is_ok());
    }

    #[test]
    fn the_shape_of_a_schema_is_checked_at_every_depth() {
        let schema = |schema: Value| {
            let part = json!({ "paths": {}, "components": { "schemas": { "Thing": schema } } });
            parse(&part)
        };
        for wrong in [
            json!(1),
            json!({ "type": "thing" }),
            json!({ "type": 5 }),
            json!({ "$id": "https://evil.example" }),
            json!({ "$dynamicRef": "#x" }),
            json!({ "properties": { "a": { "items": { "minLength": -1 } } } }),
            json!({ "oneOf": [{ "enum": "a" }] }),
            json!({ "additionalProperties": "yes" }),
            json!(vec![Value::Null; 34]),
            json!({ "properties": { "enum": vec![Value::Null; 34] } }),
            json!({ "properties": { "a": { "$ref": "file:///etc/passwd" } } }),
        ] {
            assert!(schema(wrong.clone()).is_err(), "{wrong}");
        }
        for right in [
            json!({}),
            json!({ "type": ["string", "null"], "const": "me", "examples": ["me"] }),
            json!({ "properties": { "$ref": { "type": "string" } }, "additionalProperties": false }),
            json!({ "enum": [null, 1, "a"], "not": { "minimum": 1.5 } }),
        ] {
            assert!(schema(right.clone()).is_ok(), "{right}");
        }
    }

    #[test]
    fn the_parameters_of_a_path_are_those_of_its_operations() {
        let parameter = |name: &str, text: &str| json!({ "name": name, "in": "path", "required": true, "description": text, "schema": {} });
        let part = parse(&json!({ "paths": { "/things/{id}": {
            "parameters": [parameter("id", "shared"), parameter("other", "shared")],
            "get": { "parameters": [parameter("id", "own")], "responses": {} }
        } } }))
        .unwrap();
        let expected = json!([parameter("id", "own"), parameter("other", "shared")]);
        assert_eq!(part["paths"]["/things/{id}"]["get"]["parameters"], expected);
    }
}
