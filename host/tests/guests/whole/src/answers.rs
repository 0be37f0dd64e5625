//! Both directions of `wasi:http`, with short bodies.

use crate::bindings::wasi::http::{
    outgoing_handler,
    types::{Fields, OutgoingBody, OutgoingRequest, OutgoingResponse, ResponseOutparam, Scheme},
};

pub(crate) fn respond(answer: ResponseOutparam, status: u16, text: &str) {
    let response = OutgoingResponse::new(Fields::new());
    // The test would notice a wrong status.
    let _ = response.set_status_code(status);
    let body = response.body();
    ResponseOutparam::set(answer, Ok(response));
    let Ok(body) = body else { return };
    if let Ok(stream) = body.write() {
        for piece in text.as_bytes().chunks(4096) {
            let _ = stream.blocking_write_and_flush(piece);
        }
    }
    let _ = OutgoingBody::finish(body, None);
}

/// Asks `http://AUTHORITY/` and tells the status, or the error.
pub(crate) fn fetch(authority: &str) -> String {
    let request = OutgoingRequest::new(Fields::new());
    let _ = request.set_scheme(Some(&Scheme::Http));
    let _ = request.set_authority(Some(authority));
    let _ = request.set_path_with_query(Some("/"));
    let pending = match outgoing_handler::handle(request, None) {
        Ok(pending) => pending,
        Err(error) => return format!("{error:?}"),
    };
    pending.subscribe().block();
    match pending.get() {
        Some(Ok(Ok(response))) => response.status().to_string(),
        other => format!("{other:?}"),
    }
}
