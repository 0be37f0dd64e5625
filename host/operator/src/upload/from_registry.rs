//! An upload that the host fetches from a registry by itself. Only the places that the
//! policy of the plugin names are asked.

use super::{Operator, Parts, UploadQuery, receive_on_disk, unreadable};
use crate::{caller::Caller, input::Body as Json};
use axum::{
    body::Body,
    extract::{FromRequest, Request},
};
use futures::StreamExt;
use host_api::{plugins::RegistryUpload, tokens::Role};
use host_http::error::Problem;
use host_oci::{Location, OciError, Sent};
use http::StatusCode;
use http_body_util::Limited;

/// The largest body that names a place.
const MAX_BODY_BYTES: usize = 4 << 10;

/// Fetches the parts of the upload that the request names.
pub(super) async fn receive(
    operator: &Operator,
    caller: &Caller,
    query: &UploadQuery,
    request: Request,
) -> Result<Parts, Problem> {
    let request = request.map(|body| Body::new(Limited::new(body, MAX_BODY_BYTES)));
    let Json(RegistryUpload { place }) = Json::from_request(request, &()).await?;
    let place: Location = place.parse().map_err(|problem: String| unreadable(problem).for_field("place"))?;
    let name = query.name.as_deref().ok_or_else(|| {
        unreadable("The host fetches a file for a plugin that is named: ?name=NAME").for_field("name")
    })?;
    caller.require(Role::Deploy, Some(name))?;
    let policy = operator.rollout.preparer.policies.of(name);
    if !place.is_below(policy.registries.iter().map(String::as_str)) {
        let message = format!(
            "The policy of {name} does not let the host fetch from {place}; an administrator can: \
             ticketing plugin policy {name} --registry {}",
            place.repository()
        );
        return Err(Problem::new(StatusCode::FORBIDDEN, message));
    }
    let Sent { bytes, signature, digest } = place.open().await.map_err(refused)?;
    let stream = bytes.map(|bytes| bytes.map_err(refused));
    let component = receive_on_disk(operator.rollout.archive.folder(), &operator.upload_limits, stream).await?;
    tracing::info!(component = name, %place, digest, "the host has fetched a plugin file from a registry");
    Ok(Parts { component: Some(component), manifest: None, signature })
}

/// The registry is another party, and its refusal is not one of the host.
fn refused(error: OciError) -> Problem {
    let status = match &error {
        OciError::Misused(_) => StatusCode::BAD_REQUEST,
        OciError::Unreachable(_) => StatusCode::GATEWAY_TIMEOUT,
        OciError::NotFound(_) | OciError::NotAuthorized(_) | OciError::Failed(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Problem::new(status, error.to_string())
}
