//! The description of the public API: the parts of the active plugins, in one
//! document in the form of OpenAPI 3.1.

use super::Snapshot;
use crate::revision::Revision;
use axum::body::Bytes;
use host_api::error::{Envelope, Fault};
use host_artifact::{SESSION, manifest::Route};
use utoipa::{
    OpenApi, ToSchema,
    openapi::{
        self, Content, Ref, RefOr, ResponseBuilder,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem},
        schema::{ObjectBuilder, Type},
        security::{ApiKey, ApiKeyValue, SecurityScheme},
    },
};

/// The parts of the document that come from the host.
#[derive(OpenApi)]
#[openapi(info(
    title = "Public API",
    description = "The routes of the active plugins. Every answer that is not a success has the same envelope."
))]
struct Base;

const REFUSED: &str = "Refused";
const ERRORS: &str = "Errors";
/// The header and the refusals of a route that takes a key for repeated requests.
const KEY: &str = "Idempotency-Key";
const MAX_KEY_CHARACTERS: usize = 255;

impl Snapshot {
    /// The description of the public API as JSON. A snapshot makes it once.
    pub fn api_document(&self) -> Bytes {
        self.api_document
            .get_or_init(|| serde_json::to_vec(&self.document()).map(Bytes::from).unwrap_or_default())
            .clone()
    }

    fn document(&self) -> openapi::OpenApi {
        let mut document = Base::openapi();
        let components = document.components.get_or_insert_default();
        add_shared(components);
        for plugin in self.plugins.values() {
            let Some(part) = &plugin.revision.api else { continue };
            components.schemas.extend(part.components.schemas.clone());
            components.responses.extend(part.components.responses.clone());
        }
        for plugin in self.plugins.values() {
            for (path, item) in paths(&plugin.revision) {
                document.paths.paths.entry(path).or_default().merge_operations(item);
            }
        }
        document
    }
}

fn add_shared(components: &mut openapi::Components) {
    let errors = Content::new(Some(Ref::from_schema_name(ERRORS)));
    let refused = ResponseBuilder::new()
        .description("The request was refused or has failed. The body says why.")
        .content("application/json", errors);
    components.responses.insert(REFUSED.to_owned(), refused.build().into());
    components.schemas.insert(ERRORS.to_owned(), <Envelope as utoipa::PartialSchema>::schema());
    components.schemas.insert(Fault::name().into_owned(), <Fault as utoipa::PartialSchema>::schema());
    let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
        "session",
        "The cookie of a session. A site with TLS calls it `__Host-session`.",
    )));
    components.security_schemes.insert(SESSION.to_owned(), cookie);
}

/// The described paths that the plugin may serve.
fn paths(revision: &Revision) -> impl Iterator<Item = (String, PathItem)> {
    let described = revision.api.iter().flat_map(|part| &part.paths);
    described.filter_map(|(path, item)| {
        let route = revision.manifest.routes.iter().find(|route| route.path == *path)?;
        let mut item = item.clone();
        // Two plugins may share a path, so the parameters of the path belong to each operation.
        let shared = item.parameters.take().unwrap_or_default();
        for (method, operation) in operations(&mut item) {
            if !route.methods.iter().any(|allowed| allowed == method) {
                *operation = None;
            }
            if let Some(operation) = operation {
                add_parameters(operation, &shared);
                complete(operation, revision.name(), method, route);
            }
        }
        Some((path.clone(), item))
    })
}

fn operations(item: &mut PathItem) -> [(&'static str, &mut Option<Operation>); 7] {
    [
        ("GET", &mut item.get),
        ("HEAD", &mut item.head),
        ("POST", &mut item.post),
        ("PUT", &mut item.put),
        ("PATCH", &mut item.patch),
        ("DELETE", &mut item.delete),
        ("OPTIONS", &mut item.options),
    ]
}

/// Adds the parameters of the path that the operation does not have itself.
fn add_parameters(operation: &mut Operation, shared: &[Parameter]) {
    let own = operation.parameters.get_or_insert_default();
    for parameter in shared {
        if !own.iter().any(|one| one.name == parameter.name && one.parameter_in == parameter.parameter_in) {
            own.push(parameter.clone());
        }
    }
}

/// Adds the parts that the host itself plays in an operation.
fn complete(operation: &mut Operation, plugin: &str, method: &str, route: &Route) {
    operation.tags = Some(vec![plugin.to_owned()]);
    let responses = &mut operation.responses.responses;
    let refused = || RefOr::Ref(Ref::from_response_name(REFUSED));
    responses.entry("default".to_owned()).or_insert_with(refused);
    if route.idempotent && matches!(method, "POST" | "PATCH") {
        let text =
            ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(MAX_KEY_CHARACTERS));
        let key = ParameterBuilder::new()
            .name(KEY)
            .parameter_in(ParameterIn::Header)
            .description(Some("The same key and body have the same answer for a day, and one effect."))
            .schema(Some(text));
        operation.parameters.get_or_insert_default().push(key.build());
        responses.entry("409".to_owned()).or_insert_with(refused);
        responses.entry("422".to_owned()).or_insert_with(refused);
    }
}
