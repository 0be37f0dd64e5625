//! A `wasi:http` component with `wasi:http` 0.2, without the platform's interfaces. It
//! sends requests to other hosts on demand, and some of its own answers are bad.
#![expect(unsafe_code, reason = "the generated bindings need it")]

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/p2",
        world: "service",
        generate_all,
    });
}

use bindings::{
    exports::wasi::http::incoming_handler::Guest,
    wasi::{
        clocks::monotonic_clock,
        http::{
            outgoing_handler,
            types::{
                ErrorCode, Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingRequest, OutgoingResponse,
                ResponseOutparam, Scheme,
            },
        },
        io::streams::{InputStream, OutputStream, StreamError},
    },
};
use std::collections::BTreeMap;

/// A test makes another version of this component by replacing these bytes.
const VERSION: &str = "asking-one";

struct Asking;

impl Guest for Asking {
    fn handle(request: IncomingRequest, answer: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let query: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        match path.rsplit('/').next().unwrap_or_default() {
            "fetch" => match fetch(&query) {
                Ok((status, body)) => respond(answer, status, &body),
                Err(error) => respond(answer, 502, format!("{error:?}").as_bytes()),
            },
            "length" => {
                let length = request.consume().ok().and_then(|body| read(&body).ok()).map(|body| body.len());
                respond(answer, 200, format!("{length:?}").as_bytes());
            }
            "silent" => {}
            "refuse" => ResponseOutparam::set(answer, Err(ErrorCode::InternalError(None))),
            "endless" => stream(answer, |body| while write(body, &[b'x'; 4096]).is_ok() {}),
            // The host answers each question at once, so the guest never waits.
            "ready" => ask_without_end(),
            "ready-late" => stream(answer, |body| {
                let _ = write(body, b"the first half");
                ask_without_end();
            }),
            "trap" => stream(answer, |body| {
                let _ = write(body, b"the first half");
                std::process::abort();
            }),
            "grow" => {
                let mut all = Vec::new();
                loop {
                    all.push(vec![1_u8; 1 << 20]);
                    std::hint::black_box(&all);
                }
            }
            _ => respond(answer, 200, VERSION.as_bytes()),
        }
    }
}

/// Asks again and again whether a time has come.
fn ask_without_end() {
    let moment = monotonic_clock::subscribe_duration(1_000_000);
    moment.block();
    loop {
        std::hint::black_box(moment.ready());
    }
}

/// Sends a request to the URL of `scheme`, `authority` and `path`, with the header
/// `name` and its `value`.
fn fetch(query: &BTreeMap<String, String>) -> Result<(u16, Vec<u8>), Problem> {
    let given = |name: &str| query.get(name).map(String::as_str);
    let headers = Fields::new();
    if let (Some(name), Some(value)) = (given("name"), given("value")) {
        headers.append(name, value.as_bytes()).map_err(|_| Problem::Request("header"))?;
    }
    let request = OutgoingRequest::new(headers);
    let scheme = if given("scheme") == Some("https") { Scheme::Https } else { Scheme::Http };
    request.set_scheme(Some(&scheme)).map_err(|()| Problem::Request("scheme"))?;
    request.set_authority(given("authority")).map_err(|()| Problem::Request("authority"))?;
    request.set_path_with_query(given("path")).map_err(|()| Problem::Request("path"))?;
    let pending = outgoing_handler::handle(request, None).map_err(Problem::Refused)?;
    pending.subscribe().block();
    let response =
        pending.get().and_then(Result::ok).ok_or(Problem::Request("no answer"))?.map_err(Problem::Refused)?;
    let body = response.consume().map_err(|()| Problem::Request("body"))?;
    Ok((response.status(), read(&body)?))
}

#[derive(Debug)]
#[expect(dead_code, reason = "the fields are for the text in the answer")]
enum Problem {
    /// A value that the types of `wasi:http` refuse.
    Request(&'static str),
    /// An error of the host.
    Refused(ErrorCode),
    Body,
}

fn read(body: &IncomingBody) -> Result<Vec<u8>, Problem> {
    let stream: InputStream = body.stream().map_err(|()| Problem::Body)?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(16 << 10) {
            Ok(piece) => bytes.extend(piece),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(_)) => return Err(Problem::Body),
        }
    }
}

fn respond(answer: ResponseOutparam, status: u16, text: &[u8]) {
    let response = OutgoingResponse::new(Fields::new());
    // The test would notice a wrong status.
    let _ = response.set_status_code(status);
    send(answer, response, |body| {
        let _ = write(body, text);
    });
}

fn stream(answer: ResponseOutparam, make: impl FnOnce(&OutputStream)) {
    send(answer, OutgoingResponse::new(Fields::new()), make);
}

fn send(answer: ResponseOutparam, response: OutgoingResponse, make: impl FnOnce(&OutputStream)) {
    let body = response.body();
    ResponseOutparam::set(answer, Ok(response));
    let Ok(body) = body else { return };
    if let Ok(stream) = body.write() {
        make(&stream);
    }
    let _ = OutgoingBody::finish(body, None);
}

fn write(stream: &OutputStream, bytes: &[u8]) -> Result<(), StreamError> {
    bytes.chunks(4096).try_for_each(|piece| stream.blocking_write_and_flush(piece))
}

bindings::export!(Asking with_types_in bindings);
