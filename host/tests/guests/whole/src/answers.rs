//! Both directions of `wasi:http`, with short bodies.

use crate::bindings::wasi::http::{
    outgoing_handler,
    types::{Fields, IncomingResponse, OutgoingBody, OutgoingRequest, OutgoingResponse, ResponseOutparam, Scheme},
};

pub(crate) fn respond(answer: ResponseOutparam, status: u16, text: &str) {
    respond_with(answer, Fields::new(), status, text);
}

/// Lets the host hold the connection for the live events of a channel.
pub(crate) fn hold(answer: ResponseOutparam, channel: &str) {
    let headers = [("grip-hold", "stream"), ("grip-channel", channel), ("content-type", "text/event-stream")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    // The test would notice missing headers.
    let headers = Fields::from_list(&headers).unwrap_or_else(|_| Fields::new());
    respond_with(answer, headers, 200, "event: hello\ndata: from whole\n\n");
}

fn respond_with(answer: ResponseOutparam, headers: Fields, status: u16, text: &str) {
    let response = OutgoingResponse::new(headers);
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

/// Asks `http://ADDRESS` and tells the status, or the error.
pub(crate) fn fetch(address: &str) -> String {
    send(address).map_or_else(|error| error, |response| response.status().to_string())
}

/// Asks `http://ADDRESS` and tells the status with the beginning of the body, or the
/// error.
pub(crate) fn ask(address: &str) -> String {
    let told = send(address).and_then(|response| {
        let body = response.consume().map_err(|()| "there is no body".to_owned())?;
        let stream = body.stream().map_err(|()| "there is no stream".to_owned())?;
        let bytes = stream.blocking_read(4096).map_err(|error| format!("{error:?}"))?;
        Ok(format!("{} {}", response.status(), String::from_utf8_lossy(&bytes)))
    });
    told.unwrap_or_else(|error| error)
}

fn send(address: &str) -> Result<IncomingResponse, String> {
    let (authority, path) = address.split_once('/').unwrap_or((address, ""));
    let request = OutgoingRequest::new(Fields::new());
    let _ = request.set_scheme(Some(&Scheme::Http));
    let _ = request.set_authority(Some(authority));
    let _ = request.set_path_with_query(Some(&format!("/{path}")));
    let pending = outgoing_handler::handle(request, None).map_err(|error| format!("{error:?}"))?;
    pending.subscribe().block();
    match pending.get() {
        Some(Ok(Ok(response))) => Ok(response),
        other => Err(format!("{other:?}")),
    }
}
