//! The upload of a plugin file.

use crate::{
    api::{read, refused, revision_path},
    layout::{Section, faults, page},
    session::Session,
};
use axum::{
    extract::Request,
    response::{IntoResponse, Redirect, Response},
};
use host_api::verdict::Verdict;
use http::{HeaderMap, Uri};
use maud::{Markup, html};

pub(crate) async fn form(session: Session) -> Response {
    page(&session, Section::Upload, "Upload", Ok(render(None)))
}

fn render(problem: Option<&Markup>) -> Markup {
    html! {
        h1 { "Upload a plugin" }
        @if let Some(problem) = problem {
            section.refusal aria-labelledby="refused" {
                h2 #refused { "The host refused the file" }
                (problem)
                p { "Nothing was kept. Change the plugin and upload it again." }
            }
        }
        p { "The host checks the file and shows what it would change. It serves only after you activate it." }
        form.stack.upload method="post" action="/console/upload" enctype="multipart/form-data" data-upload {
            div.field.drop {
                label for="component" { "Plugin file" }
                input #component name="component" type="file" accept=".wasm,application/wasm" required;
                p.hint { "The " code { ".wasm" } " file that " code { "ticketing plugin pack" }
                    " writes. Drop it anywhere on this page." }
            }
            div.field {
                label for="signature" { "Signature " span.quiet { "(optional)" } }
                input #signature name="signature" type="file" accept=".minisig";
                p.hint { "The " code { ".minisig" } " file, if this host asks for one." }
            }
            div.progress hidden data-progress {
                progress max="100" value="0" aria-label="Upload" {}
                p role="status" data-progress-text {}
            }
            button.primary type="submit" { "Upload and check" }
        }
    }
}

/// Hands the form to the API as it is, and leads to the verdict.
pub(crate) async fn receive(session: Session, request: Request) -> Response {
    let (mut head, body) = request.into_parts();
    head.uri = Uri::from_static("/plugins");
    // The API sees the token, and of the browser's headers those about the body.
    head.headers = HeaderMap::from_iter(
        head.headers
            .into_iter()
            .filter_map(|(name, value)| Some((name?, value)))
            .filter(|(name, _)| name.as_str().starts_with("content-")),
    );
    let answer = session.api.forward(Request::from_parts(head, body)).await;
    if answer.status().is_success() {
        let verdict: Result<Verdict, _> = read(answer).await;
        return match verdict {
            Ok(verdict) => {
                Redirect::to(&format!("/console{}", revision_path(&verdict.plugin, &verdict.revision))).into_response()
            }
            Err(refused) => page(&session, Section::Upload, "Upload", Err(refused)),
        };
    }
    let refused = refused(answer).await;
    let content = page(&session, Section::Upload, "Upload", Ok(render(Some(&faults(&refused)))));
    (refused.status, content).into_response()
}
