//! A `wasi:http` component with `wasi:http` 0.3, without the platform's interfaces. It
//! streams its answers, and some of them end with a failure.
#![expect(unsafe_code, reason = "the generated bindings need it")]

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/p3",
        world: "service",
        generate_all,
    });
}

use bindings::{
    exports::wasi::http::handler::Guest,
    wasi::{
        clocks::monotonic_clock,
        http::types::{ErrorCode, Fields, Method, Request, Response},
    },
    wit_future, wit_stream,
};
use wit_bindgen::StreamWriter;

/// A test makes another version of this component by replacing these bytes.
const VERSION: &str = "streaming-one";

struct Streaming;

impl Guest for Streaming {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        match path.rsplit('/').next().unwrap_or_default() {
            "large" => answer(large),
            "events" => answer(events),
            "trap" => answer(trap),
            "echo" if matches!(request.get_method(), Method::Post) => echo(request),
            "spin" => spin(),
            "head" => head(query),
            "refuse" => Err(ErrorCode::InternalError(None)),
            "headers" => {
                let lines = request.get_headers().copy_all().into_iter();
                let lines = lines.map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(&value)));
                let text = lines.collect::<String>();
                answer(async move |body| write(body, text.into_bytes()).await)
            }
            _ => answer(async |body| write(body, VERSION.as_bytes().to_vec()).await),
        }
    }
}

/// The length of the answer `large`, which exceeds every buffer on the way.
const LARGE_BYTES: u32 = 4 << 20;
const PIECE_BYTES: u32 = 64 << 10;

async fn large(body: &mut StreamWriter<u8>) {
    for piece in 0..LARGE_BYTES / PIECE_BYTES {
        let first = piece * PIECE_BYTES;
        let bytes = (first..first + PIECE_BYTES).step_by(4).flat_map(u32::to_le_bytes).collect();
        write(body, bytes).await;
    }
}

/// Streams without an end.
async fn events(body: &mut StreamWriter<u8>) {
    for number in 0_u64.. {
        let event = format!("data: {VERSION} {number}\n\n").into_bytes();
        if !body.write_all(event).await.is_empty() {
            return;
        }
        monotonic_clock::wait_for(5_000_000).await;
    }
}

/// Traps in the middle of the answer.
async fn trap(body: &mut StreamWriter<u8>) {
    write(body, b"the first half".to_vec()).await;
    monotonic_clock::wait_for(50_000_000).await;
    std::process::abort();
}

fn spin() -> ! {
    let mut number = 1_u64;
    loop {
        number = std::hint::black_box(number.wrapping_mul(3));
    }
}

/// Sends the body back while it arrives.
fn echo(request: Request) -> Result<Response, ErrorCode> {
    let (_, whole) = wit_future::new(|| Ok(()));
    let (mut received, _) = Request::consume_body(request, whole);
    answer(async move |body| {
        loop {
            let (status, bytes) = received.read(Vec::with_capacity(16 << 10)).await;
            let ended = bytes.is_empty() && matches!(status, wit_bindgen::StreamResult::Dropped);
            if ended || !body.write_all(bytes).await.is_empty() {
                return;
            }
        }
    })
}

/// A number from the query string, or zero.
fn number(query: &str, name: &str) -> usize {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}

/// Answers with a `status`, so many `headers` with values of so many `bytes`, and
/// so many `trailers`.
fn head(query: &str) -> Result<Response, ErrorCode> {
    let fields = |count: usize| {
        let fields = Fields::new();
        for index in 0..count {
            // The host refuses fields over its limit.
            let _ = fields.append(&format!("x-{index}"), &vec![b'v'; number(query, "bytes")]);
        }
        fields
    };
    let trailers = (number(query, "trailers") > 0).then(|| fields(number(query, "trailers")));
    let response =
        answer_with(fields(number(query, "headers")), trailers, async |body| write(body, b"body".to_vec()).await)?;
    if let Ok(status) = u16::try_from(number(query, "status"))
        && status > 0
    {
        response.set_status_code(status).map_err(|()| ErrorCode::InternalError(Some("the status".to_owned())))?;
    }
    Ok(response)
}

/// Returns the head at once, and streams the body.
fn answer(make: impl AsyncFnOnce(&mut StreamWriter<u8>) + 'static) -> Result<Response, ErrorCode> {
    answer_with(Fields::new(), None, make)
}

fn answer_with(
    headers: Fields,
    last: Option<Fields>,
    make: impl AsyncFnOnce(&mut StreamWriter<u8>) + 'static,
) -> Result<Response, ErrorCode> {
    let (mut body, contents) = wit_stream::new();
    let (trailers, awaited_trailers) = wit_future::new(|| Ok(None));
    let (response, _) = Response::new(headers, Some(contents), awaited_trailers);
    wit_bindgen::spawn_local(async move {
        make(&mut body).await;
        drop(body);
        // An error means that the caller reads no trailers, which does no harm.
        let _ = trailers.write(Ok(last)).await;
    });
    Ok(response)
}

async fn write(body: &mut StreamWriter<u8>, bytes: Vec<u8>) {
    // The caller may have gone. Its bytes are lost then.
    let _ = body.write_all(bytes).await;
}

bindings::export!(Streaming with_types_in bindings);
