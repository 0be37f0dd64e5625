//! `/openapi.json`: this API, described for programs. The routes that the
//! listener serves and those in the document come from the same list.

use super::Operator;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use host_api::error::Envelope;
use http::header::CONTENT_TYPE;
use std::sync::{Arc, LazyLock};
use utoipa::{
    OpenApi,
    openapi::{
        Ref, ResponseBuilder, SecurityRequirement,
        content::ContentBuilder,
        path::{Operation, PathItem},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;

/// The name of the scheme in the document.
const TOKEN: &str = "token";

/// The parts of the document that do not come from the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Operator API",
        description = "Shows and changes the plugins of this host. \
            Roles: `view` reads, `deploy` changes plugins, `admin` changes policies and tokens. \
            A token that is bound to plugins reads and changes only these. \
            Every error has the same envelope. A token that is unknown, wrong or revoked has the answer 401.",
    ),
    tags(
        (name = "plugins", description = "The plugins and their revisions"),
        (name = "events and timers", description = "Who publishes and receives events, and the timers that are set"),
        (name = "dead letters", description = "Events and timers that no attempt could handle"),
        (name = "operators", description = "Tokens, and the record of changes"),
        (name = "health", description = "For programs that watch the host, without a token"),
    ),
    components(schemas(Envelope)),
)]
struct Base;

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| {
    let document = document(super::open_routes(), super::guarded_routes());
    serde_json::to_vec(&document).map(Bytes::from).unwrap_or_default()
});

/// This document.
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi", tag = "health", responses((status = 200, body = Object)))]
pub(super) async fn serve() -> Response {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.clone()).into_response()
}

type Routes = OpenApiRouter<Arc<Operator>>;

fn document(open: Routes, guarded: Routes) -> utoipa::openapi::OpenApi {
    let mut base = Base::openapi();
    let mut guarded = guarded.into_openapi();
    for item in guarded.paths.paths.values_mut() {
        operations(item).for_each(guard);
    }
    base.merge(open.into_openapi());
    base.merge(guarded);
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token of this host"));
    base.components.get_or_insert_default().add_security_scheme(TOKEN, SecurityScheme::Http(scheme.build()));
    base
}

/// The refusals of every operation behind a token.
const REFUSALS: [(&str, &str); 2] =
    [("400", "The path, the query or the body cannot be read"), ("401", "Not authorized")];

/// Adds the parts that all operations behind a token have in common.
fn guard(operation: &mut Operation) {
    operation.security = Some(vec![SecurityRequirement::new(TOKEN, Vec::<String>::new())]);
    let envelope = ContentBuilder::new().schema(Some(Ref::from_schema_name("Envelope"))).build();
    let responses = &mut operation.responses.responses;
    for (status, description) in REFUSALS {
        let refusal = ResponseBuilder::new().description(description).content("application/json", envelope.clone());
        responses.entry(status.to_owned()).or_insert_with(|| refusal.build().into());
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}
