//! A plugin's part of the description of the public API, in the form of OpenAPI
//! 3.1, see <https://spec.openapis.org/oas/v3.1.1.html>.
//!
//! The section is a JSON object with `paths` and `components`. It describes routes
//! of the plugin's manifest and nothing else. It refers to its own components and
//! to those of the host ([`SHARED`]). In the document of the host, the name of the
//! plugin stands before the name of each component and of each operation, so the
//! parts of two plugins have no name in common.

use crate::manifest::{Manifest, Route};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use utoipa::openapi::{Components, PathItem};

/// The components that the host adds to the document: the answer to a refused
/// request, and its body.
pub const SHARED: [&str; 2] = ["#/components/responses/Refused", "#/components/schemas/Errors"];
/// The security scheme of the host: the cookie of a session.
pub const SESSION: &str = "session";

const COMPONENTS: &str = "#/components/";
/// The keys of a path beside its methods.
const PATH_KEYS: [&str; 3] = ["summary", "description", "parameters"];
/// The keys of an operation. `servers` and `callbacks` would lead clients to other
/// sites.
const OPERATION_KEYS: [&str; 8] =
    ["operationId", "summary", "description", "parameters", "requestBody", "responses", "deprecated", "security"];

/// A plugin's part of the description.
#[derive(Clone)]
pub struct ApiPart {
    /// The operations of each path.
    pub paths: BTreeMap<String, PathItem>,
    /// The schemas and responses to which they refer.
    pub components: Components,
}

/// The section as an author writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    paths: BTreeMap<String, Map<String, Value>>,
    #[serde(default)]
    components: WrittenComponents,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenComponents {
    schemas: BTreeMap<String, Value>,
    responses: BTreeMap<String, Value>,
}

impl ApiPart {
    /// Reads the section of a plugin with this manifest.
    ///
    /// # Errors
    /// Names the first place that is wrong, in words for the author.
    pub fn parse(json: &[u8], manifest: &Manifest) -> Result<Self, String> {
        let mut written: Written = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        for (path, item) in &written.paths {
            let route = manifest.routes.iter().find(|route| route.path == *path);
            let route = route.ok_or_else(|| format!("describes {path}, which is no route of the manifest"))?;
            check_path(route, item)?;
        }
        let names = Names::of(&manifest.name, &written.components)?;
        let mut paths = BTreeMap::new();
        for (path, item) in std::mem::take(&mut written.paths) {
            let mut item = Value::Object(item);
            names.qualify(&mut item)?;
            paths.insert(path.clone(), typed(&path, item)?);
        }
        let mut components = Components::new();
        for (name, mut schema) in written.components.schemas {
            names.qualify(&mut schema)?;
            components.schemas.insert(names.qualified(&name), typed(&name, schema)?);
        }
        for (name, mut response) in written.components.responses {
            names.qualify(&mut response)?;
            components.responses.insert(names.qualified(&name), typed(&name, response)?);
        }
        Ok(Self { paths, components })
    }
}

/// The document keeps only the parts that OpenAPI knows, so no plugin can make the
/// document of all plugins invalid.
fn typed<T: for<'a> Deserialize<'a>>(place: &str, value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| format!("describes {place} in a way that is not OpenAPI: {error}"))
}

fn check_path(route: &Route, item: &Map<String, Value>) -> Result<(), String> {
    let path = &route.path;
    for (key, value) in item {
        if PATH_KEYS.contains(&key.as_str()) {
            continue;
        }
        if !route.methods.iter().any(|method| method.to_ascii_lowercase() == *key) {
            return Err(format!("describes {key:?} of {path}, which is no method of the route in the manifest"));
        }
        let operation = value.as_object().ok_or_else(|| format!("describes {key} {path} without an object"))?;
        check_operation(&format!("{key} {path}"), operation)?;
    }
    Ok(())
}

fn check_operation(place: &str, operation: &Map<String, Value>) -> Result<(), String> {
    if let Some(key) = operation.keys().find(|key| !OPERATION_KEYS.contains(&key.as_str())) {
        return Err(format!("has {key:?} in {place}; it may have {}", OPERATION_KEYS.join(", ")));
    }
    let schemes = operation.get("security").and_then(Value::as_array).into_iter().flatten();
    let names = schemes.filter_map(Value::as_object).flat_map(Map::keys);
    match names.into_iter().find(|name| *name != SESSION) {
        Some(name) => Err(format!("has the security scheme {name:?} in {place}; the only one is {SESSION:?}")),
        None => Ok(()),
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
        for (kind, names) in [
            ("schemas", components.schemas.keys().collect::<Vec<_>>()),
            ("responses", components.responses.keys().collect()),
        ] {
            if let Some(name) = names.iter().find(|name| !is_name(name)) {
                return Err(format!(
                    "names a component {name:?}; a name has 1 to 100 letters, digits, `.`, `_` or `-`"
                ));
            }
            own.extend(names.into_iter().map(|name| format!("{COMPONENTS}{kind}/{name}")));
        }
        Ok(Self { plugin, own })
    }

    fn qualified(&self, name: &str) -> String {
        format!("{}.{name}", self.plugin)
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
                ("$ref" | "$id" | "$anchor" | "$dynamicRef" | "$dynamicAnchor" | "$schema", _) => {
                    Err(format!("has {key:?}; a reference is a text in `$ref`"))
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
        Ok(json!({ "paths": part.paths, "components": part.components }))
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
        let thing = &part["components"]["schemas"]["things.Thing"];
        assert_eq!(thing["properties"]["next"]["$ref"], "#/components/schemas/things.Thing");
        let response = &part["components"]["responses"]["things.Thing"];
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
            (json!({ "paths": { "/things/{id}": { "get": 1 } } }), "without an object"),
            (json!({ "paths": {}, "servers": [] }), "unknown field `servers`"),
            (json!({ "paths": {}, "components": { "securitySchemes": {} } }), "unknown field `securitySchemes`"),
            (json!({ "paths": {}, "components": { "schemas": { "a/b": {} } } }), "names a component"),
            (json!([]), "invalid type"),
            (operation(&json!({ "responses": responses, "servers": [{ "url": "https://evil.example" }] })), "servers"),
            (operation(&json!({ "responses": responses, "callbacks": {} })), "callbacks"),
            (operation(&json!({ "responses": responses, "security": [{ "token": [] }] })), "security scheme"),
            (operation(&json!({ "responses": 1 })), "not OpenAPI"),
            (operation(&json!({ "responses": { "200": { "$ref": "https://evil.example" } } })), "refers to"),
            (operation(&json!({ "responses": { "200": { "$ref": "#/components/responses/Other" } } })), "refers to"),
            (operation(&json!({ "responses": { "200": { "$ref": "#/paths/other" } } })), "refers to"),
            (operation(&json!({ "responses": { "200": { "$ref": 1 } } })), "a reference is a text"),
        ] {
            let refused = parse(&part).unwrap_err();
            assert!(refused.contains(reason), "{part}: {refused}");
        }
        assert!(parse(&operation(&json!({ "responses": responses }))).is_ok());
    }
}
