//! The answers that are stored, and their bytes in the database.

use crate::http::exchange::ask_again_time;
use host_engine::bindings::exports::platform::http::handler::Response;
use http::HeaderName;

/// Says that an answer is a repetition. Comparable services use this name.
pub(in crate::http) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// With this header a component says, in an answer that is not stored, that it can
/// apply the request again although it has changed something.
pub(in crate::http) const REPEATABLE: HeaderName = HeaderName::from_static("x-repeatable");

/// The most bytes of a stored answer.
pub(super) const ANSWER_BYTES: usize = 64 << 10;

/// Headers that belong to one answer alone. A cookie of a repetition could bring
/// back a session that has ended, or give it to somebody else.
const FORGOTTEN_HEADERS: [&str; 4] = ["set-cookie", "date", "age", "idempotent-replayed"];

/// Whether the answer is the result of its request. A failure of the server, or the
/// advice to try again, is not.
pub(super) fn is_kept(answer: &Response) -> bool {
    answer.status < 500 && answer.status != 429 && ask_again_time(answer).is_zero()
}

/// Whether a repetition of a call with such an answer reaches the component.
pub(super) fn is_repeatable(answer: &Response) -> bool {
    answer.headers.iter().any(|(name, value)| name.eq_ignore_ascii_case(REPEATABLE.as_str()) && value == "true")
}

/// The length of the head, the head as JSON, and the body.
pub(super) fn encode(answer: &Response) -> Vec<u8> {
    let is_kept = |name: &str| !FORGOTTEN_HEADERS.iter().any(|forgotten| forgotten.eq_ignore_ascii_case(name));
    let headers: Vec<_> = answer.headers.iter().filter(|(name, _)| is_kept(name)).collect();
    let head = serde_json::json!([answer.status, headers]).to_string();
    let mut stored = Vec::with_capacity(4 + head.len() + answer.body.len());
    stored.extend(u32::try_from(head.len()).unwrap_or(u32::MAX).to_be_bytes());
    stored.extend(head.as_bytes());
    stored.extend(&answer.body);
    stored
}

/// None if another program wrote the bytes.
pub(super) fn decode(stored: &[u8]) -> Option<Response> {
    let (length, rest) = stored.split_first_chunk::<4>()?;
    let (head, body) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    let (status, headers) = serde_json::from_slice(head).ok()?;
    Some(Response { status, headers, body: body.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Response { status, headers, body: body.to_vec() }
    }

    #[test]
    fn an_answer_comes_back_without_cookies() {
        let headers = [
            ("content-type", "application/json"),
            ("Set-Cookie", "session=1"),
            ("etag", "\"1\""),
            ("set-cookie", "a=b"),
            ("x-mark", "one"),
            ("x-mark", "two"),
        ];
        let stored = encode(&answer(201, &headers, b"\x00\xff{}"));
        let back = decode(&stored).unwrap();
        assert_eq!((back.status, back.body.as_slice()), (201, &b"\x00\xff{}"[..]));
        let names: Vec<&str> = back.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["content-type", "etag", "x-mark", "x-mark"]);
        for damaged in [&[][..], &[0, 0], &[0, 0, 0, 9, b'['], &[0, 0, 0, 2, b'[', b']']] {
            assert!(decode(damaged).is_none(), "{damaged:?}");
        }
    }

    #[test]
    fn failures_and_advice_to_try_again_are_not_kept() {
        for status in [200, 201, 202, 204, 303, 400, 401, 402, 404, 409, 412, 422] {
            assert!(is_kept(&answer(status, &[], b"")), "{status}");
        }
        for status in [429, 500, 502, 503, 504, 599] {
            assert!(!is_kept(&answer(status, &[], b"")), "{status}");
        }
        assert!(!is_kept(&answer(404, &[("x-ask-again-ms", "2000")], b"")), "an event may still arrive");
    }
}
