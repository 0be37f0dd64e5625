//! The description of the public API: the parts of the active plugins, in one
//! document in the form of OpenAPI 3.1.

use super::Snapshot;
use crate::revision::Revision;
use axum::body::Bytes;
use host_api::error::{Envelope, Fault};
use host_artifact::manifest::{Route, takes_keys};
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

impl Snapshot {
    /// The description of the public API as JSON. A snapshot makes it once.
    pub fn api_document(&self) -> Bytes {
        self.api_document.get_or_init(|| self.describe().to_string().into()).clone()
    }

    fn describe(&self) -> Value {
        let (mut paths, mut schemas, mut responses) = (Map::new(), shared_schemas(), shared_responses());
        for plugin in self.plugins.values() {
            let Some(part) = &plugin.revision.api else { continue };
            schemas.extend(part.schemas.clone());
            responses.extend(part.responses.clone());
            for (path, method, operation) in operations(&plugin.revision) {
                let item = paths.entry(path).or_insert_with(|| json!({}));
                if let Value::Object(item) = item {
                    item.insert(method.to_owned(), operation);
                }
            }
        }
        let cookie = "The cookie of a session. A site with TLS calls it `__Host-session`.";
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Public API",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "The routes of the active plugins. Every answer that is not a success has the same envelope.",
            },
            "paths": paths,
            "components": {
                "schemas": schemas,
                "responses": responses,
                "securitySchemes": {
                    "session": { "type": "apiKey", "in": "cookie", "name": "session", "description": cookie },
                },
            },
        })
    }
}

fn shared_schemas() -> Map<String, Value> {
    let of = |schema| serde_json::to_value(schema).unwrap_or_default();
    Map::from_iter([("Errors".to_owned(), of(Envelope::schema())), (Fault::name().into_owned(), of(Fault::schema()))])
}

fn shared_responses() -> Map<String, Value> {
    let refused = json!({
        "description": "The request was refused or has failed. The body says why.",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Errors" } } },
    });
    Map::from_iter([("Refused".to_owned(), refused)])
}

/// The described operations that the plugin may serve to visitors.
fn operations(revision: &Revision) -> impl Iterator<Item = (String, &String, Value)> {
    let parts = revision.api.iter().flat_map(|part| &part.paths);
    parts.flat_map(move |(path, operations)| {
        operations.iter().filter_map(move |(method, operation)| {
            let mut routes = revision.manifest.routes.iter();
            let (route, allowed) = routes.find_map(|route| {
                let is_public = route.path == *path && route.visibility.is_public();
                let allowed = route.methods.iter().find(|allowed| is_public && allowed.eq_ignore_ascii_case(method))?;
                Some((route, allowed))
            })?;
            Some((path.clone(), method, complete(operation.clone(), revision.name(), allowed, route)))
        })
    })
}

/// Adds the parts that the host itself plays in an operation.
fn complete(mut operation: Map<String, Value>, plugin: &str, method: &str, route: &Route) -> Value {
    operation.insert("tags".to_owned(), json!([plugin]));
    let mut refusals = vec!["default"];
    if route.idempotent && takes_keys(method) {
        refusals.extend(["409", "422"]);
        if let Some(Value::Array(parameters)) = operation.get_mut("parameters") {
            parameters.push(json!({
                "name": "Idempotency-Key",
                "in": "header",
                "description": "The same key and body have the same answer for a day, and one effect.",
                "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
            }));
        }
    }
    if let Some(Value::Object(responses)) = operation.get_mut("responses") {
        for status in refusals {
            let refused = || json!({ "$ref": "#/components/responses/Refused" });
            responses.entry(status).or_insert_with(refused);
        }
    }
    operation.into()
}
