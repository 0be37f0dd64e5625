//! `POST /plugins`: an upload. The host writes it to disk while it arrives, limits
//! its size and time, and then judges it.

mod form;
mod from_registry;
mod queue;

pub use queue::UploadQueue;

use super::{Operator, caller::Caller, input::Query, plugins::problem, redact::Redaction};
use axum::{
    Json,
    body::Body,
    extract::{Request, State},
};
use base64::Engine;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use host_api::{error::Envelope, plugins::RegistryUpload, tokens::Role, verdict::Verdict};
use host_config::uploads::UploadsConfig;
use host_database::audit::{Entry, Outcome};
use host_http::error::{Problem, Refusal};
use host_plugin::rollout::Upload;
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use serde::Deserialize;
use std::{io::SeekFrom, path::Path, sync::Arc};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use utoipa::IntoParams;

/// Base64 of the text of a `.minisig` file, beside a plain body.
const SIGNATURE: &str = "x-plugin-signature";

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct UploadQuery {
    /// The name that the plugin must have. An upload from a registry needs it.
    name: Option<String>,
    /// Only gives the verdict. The host keeps nothing.
    #[serde(default)]
    dry_run: bool,
}

/// The parts of an upload.
#[derive(Default)]
struct Parts {
    component: Option<Received>,
    manifest: Option<String>,
    signature: Option<String>,
}

/// A component that has arrived and lies on disk.
struct Received {
    file: tokio::fs::File,
    size_bytes: usize,
}

/// Receives a plugin's file, judges it, and keeps it as a revision that can be
/// activated. A plain body is the component. A form has the parts `component`,
/// `manifest` (in place of the one inside the component) and `signature`. A body of JSON
/// names a place in a registry, from which the host fetches the file. The policy of the
/// plugin must allow the registry.
#[utoipa::path(post, path = "/plugins", tag = "plugins", params(UploadQuery),
    request_body(content(("application/wasm"), ("multipart/form-data"), (RegistryUpload = "application/json"))), responses(
        (status = 201, body = Verdict, description = "A revision that can be activated"),
        (status = 200, body = Verdict, description = "The host has the same revision already, or the client wanted only the verdict"),
        (status = 403, body = Envelope, description = "A role, a signature or an entry of the policy is missing"),
        (status = 408, body = Envelope),
        (status = 413, body = Envelope),
        (status = 415, body = Envelope),
        (status = 422, body = Envelope, description = "The file is refused, with the reason"),
        (status = 503, body = Envelope, description = "Too many uploads at once"),
        (status = 504, body = Envelope, description = "The registry does not answer"),
        (status = 507, body = Envelope, description = "The disk of the host is almost full"),
    ))]
pub(super) async fn upload(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Query(query): Query<UploadQuery>,
    request: Request,
) -> Result<(StatusCode, Json<Verdict>), Problem> {
    operator.allow_before_name_is_known(&caller, Role::Deploy, "upload").await?;
    let staged = async {
        let place = operator.uploads.enter(&caller.name)?;
        if operator.gauges.disk.is_low() {
            let message = "The disk of the host is almost full, so it takes no upload";
            return Err(Problem::new(StatusCode::INSUFFICIENT_STORAGE, message));
        }
        let parts = receive(&operator, &caller, &query, request).await?;
        place.in_turn(stage(&operator, &caller, query, parts)).await
    };
    let redaction = Redaction::of(&operator, &caller);
    let staged = staged.await;
    let entry = |outcome| Entry::new("upload", outcome);
    match staged {
        Ok((verdict, new)) => {
            let (plugin, revision, digest) = (&verdict.plugin, &verdict.revision, &verdict.digest);
            let entry =
                Entry { plugin: Some(plugin), revision: Some(revision), digest: Some(digest), ..entry(Outcome::Done) };
            operator.record(&caller, &entry).await?;
            Ok((if new { StatusCode::CREATED } else { StatusCode::OK }, Json(redaction.verdict(verdict))))
        }
        Err(problem) => {
            let detail = problem.message();
            operator.record(&caller, &Entry { detail: Some(&detail), ..entry(Outcome::Refused) }).await?;
            Err(redaction.problem(problem))
        }
    }
}

async fn stage(
    operator: &Operator,
    caller: &Caller,
    query: UploadQuery,
    parts: Parts,
) -> Result<(Verdict, bool), Problem> {
    let Parts { component, manifest, signature } = parts;
    let bytes = component.ok_or_else(|| unreadable("The form has no part named component"))?.read().await?;
    let UploadQuery { name, dry_run } = query;
    let upload = Upload { bytes, manifest, name, by: caller.name.clone(), signature, dry_run };
    let is_allowed = |plugin: &str| caller.require(Role::Deploy, Some(plugin)).is_ok();
    operator.rollout.stage(upload, is_allowed).await.map_err(problem)
}

async fn receive(
    operator: &Operator,
    caller: &Caller,
    query: &UploadQuery,
    request: Request,
) -> Result<Parts, Problem> {
    let limits = &operator.upload_limits;
    if request.headers().contains_key(CONTENT_ENCODING) {
        return Err(unsupported("The host takes no compressed upload; send the component as it is"));
    }
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let receiving = async {
        match kind.as_str() {
            "application/wasm" => receive_plain(operator, request).await,
            "multipart/form-data" => form::receive(operator, request).await,
            "application/json" => from_registry::receive(operator, caller, query, request).await,
            _ => Err(unsupported("The body must be application/wasm, multipart/form-data or application/json")),
        }
    };
    tokio::time::timeout(limits.timeout, receiving).await.unwrap_or_else(|_| Err(Refusal::TooSlow.into()))
}

async fn receive_plain(operator: &Operator, request: Request) -> Result<Parts, Problem> {
    let (parts, body) = request.into_parts();
    let limits = &operator.upload_limits;
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > limits.max_bytes as u64) {
        return Err(too_large(limits));
    }
    let signature = signature_header(&parts.headers)?;
    let stream = Body::into_data_stream(body).map(|chunk| chunk.map_err(|_| unreadable("The body cannot be read")));
    let component = receive_on_disk(operator.rollout.archive.folder(), limits, stream).await?;
    Ok(Parts { component: Some(component), manifest: None, signature })
}

fn signature_header(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(SIGNATURE) else { return Ok(None) };
    let bytes = base64::engine::general_purpose::STANDARD.decode(value.as_bytes()).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.map(Some).ok_or_else(|| unreadable("The header x-plugin-signature is not base64 of a signature's text"))
}

/// Writes the bytes that arrive to a file without a name, so that an upload that
/// is slow, large or not in turn does not lie in memory.
async fn receive_on_disk(
    folder: &Path,
    limits: &UploadsConfig,
    mut stream: impl Stream<Item = Result<Bytes, Problem>> + Unpin,
) -> Result<Received, Problem> {
    let mut file = tokio::fs::File::from_std(tempfile::tempfile_in(folder).map_err(failed)?);
    let mut size_bytes = 0;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        size_bytes += chunk.len();
        if size_bytes > limits.max_bytes {
            return Err(too_large(limits));
        }
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    Ok(Received { file, size_bytes })
}

impl Received {
    async fn read(mut self) -> Result<Vec<u8>, Problem> {
        self.file.seek(SeekFrom::Start(0)).await.map_err(failed)?;
        let mut bytes = Vec::with_capacity(self.size_bytes);
        self.file.read_to_end(&mut bytes).await.map_err(failed)?;
        Ok(bytes)
    }
}

fn failed(error: std::io::Error) -> Problem {
    tracing::error!(%error, "the host could not keep an upload on disk");
    Refusal::Unavailable.into()
}

fn too_large(limits: &UploadsConfig) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("The file is over the limit of {} bytes", limits.max_bytes))
}

fn unreadable(message: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, message.into())
}

fn unsupported(message: &'static str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
}
