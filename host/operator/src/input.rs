//! Extractors for bodies and queries. They refuse input that cannot be read
//! with the error envelope.

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use host_http::error::{Problem, Refusal};
use http::{StatusCode, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

const MAX_BODY_BYTES: usize = 256 << 10;
const BODY_READ_SECONDS: u64 = 10;
const MAX_ROWS: u32 = 1_000;
const DEFAULT_ROWS: u32 = 100;

/// A JSON body, bounded in size and time.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// The query of the request's URL.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let body = Limited::new(request.into_body(), MAX_BODY_BYTES).collect();
        match tokio::time::timeout(Duration::from_secs(BODY_READ_SECONDS), body).await {
            Ok(Ok(collected)) => parse(&collected.to_bytes()).map(Self),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge.into()),
            Ok(Err(_)) => Err(Refusal::Malformed("The body cannot be read").into()),
            Err(_) => Err(Refusal::TooSlow.into()),
        }
    }
}

/// Refuses a request whose path or query contains U+0000. No database stores it,
/// so nothing can have such a name.
pub(super) async fn refuse_nul(request: Request, next: Next) -> Response {
    let contains_nul = |text: &str| percent_encoding::percent_decode_str(text).any(|byte| byte == 0);
    if contains_nul(request.uri().path()) {
        return Refusal::NotFound.into_response();
    }
    if request.uri().query().is_some_and(contains_nul) {
        return Refusal::Malformed("The query must not contain U+0000").into_response();
    }
    next.run(request).await
}

/// Whether a text or a name in the JSON contains U+0000, which is always escaped.
fn contains_nul(json: &[u8]) -> bool {
    const ESCAPED: &[u8] = br"\u0000";

    fn has_nul(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(items) => items.iter().any(has_nul),
            Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
            _ => false,
        }
    }
    json.windows(ESCAPED.len()).any(|bytes| bytes == ESCAPED)
        && serde_json::from_slice(json).is_ok_and(|value| has_nul(&value))
}

fn parse<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Problem> {
    let refused = |message: String| Problem::new(StatusCode::BAD_REQUEST, message);
    // A list would count as the fields of an object, in their order.
    if bytes.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
        return Err(refused("the body must be a JSON object".to_owned()));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let problem = refused(error.inner().to_string());
        match error.path().to_string().as_str() {
            "." => problem,
            path => problem.for_field(path),
        }
    })?;
    json.end().map_err(|error| refused(error.to_string()))?;
    if contains_nul(bytes) {
        return Err(refused("A text must not contain U+0000".to_owned()));
    }
    Ok(value)
}

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))
    }
}

/// The number of rows of a list.
pub(super) fn limit_rows(wanted: Option<u32>) -> Result<u32, Problem> {
    let limit = wanted.unwrap_or(DEFAULT_ROWS);
    if (1..=MAX_ROWS).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::new(StatusCode::BAD_REQUEST, format!("limit must be 1 to {MAX_ROWS}")).for_field("limit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "read by the test alone")]
        rows: u32,
    }

    #[test]
    fn a_body_that_is_not_as_wanted_is_refused_with_the_field_that_is_wrong() {
        assert!(parse::<Sample>(&Bytes::from(r#"{"rows": 1}"#)).is_ok());
        let problem = parse::<Sample>(&Bytes::from(r#"{"rows": "x"}"#)).unwrap_err();
        assert_eq!(problem.fields(), [Some("rows")]);
        for wrong in ["", "{", "{}", "[1]", " [1]", "null", r#"{"rows": 1} x"#, r#"{"rows": 1, "more": 2}"#] {
            let problem = parse::<Sample>(&Bytes::from(wrong)).unwrap_err();
            assert_eq!(problem.status(), StatusCode::BAD_REQUEST, "{wrong}");
        }
    }

    #[test]
    fn a_body_with_a_nul_in_a_text_is_refused_wherever_it_stands() {
        for wrong in [r#"{"a": "\u0000"}"#, r#"{"a": [1, {"b": "x\u0000y"}]}"#, r#"{"\u0000": 1}"#, r#""\\\u0000""#] {
            let problem = parse::<Value>(&Bytes::from(wrong)).unwrap_err();
            assert_eq!(problem.status(), StatusCode::BAD_REQUEST, "{wrong}");
        }
        assert!(parse::<Value>(&Bytes::from(r#"{"a": "\\u0000 \u0001"}"#)).is_ok());
    }

    #[test]
    fn lists_are_bounded() {
        assert_eq!(limit_rows(None), Ok(100));
        assert_eq!(limit_rows(Some(1_000)), Ok(1_000));
        assert_eq!(limit_rows(Some(0)).unwrap_err().fields(), [Some("limit")]);
        assert!(limit_rows(Some(1_001)).is_err());
    }
}
