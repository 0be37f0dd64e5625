//! Requests and responses of the interface as those of the HTTP client, within
//! their limits.

use super::{Error, Request};
use crate::head_limits;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts};

/// The size limit of a body, in both directions.
pub(super) const MAX_BODY_BYTES: usize = 8 << 20;
/// The longest URL.
const MAX_URL_BYTES: usize = 8 << 10;

/// The head and the body of a request.
pub(super) fn parts_of(request: Request) -> Result<(Parts, Vec<u8>), Error> {
    if request.url.len() > MAX_URL_BYTES {
        return Err(Error::TooLarge(format!("the URL has more than {MAX_URL_BYTES} bytes")));
    }
    if request.body.len() > MAX_BODY_BYTES {
        return Err(Error::TooLarge(format!("the body of the request has more than {MAX_BODY_BYTES} bytes")));
    }
    let lengths = request.headers.iter().map(|(name, value)| (name.len(), value.len()));
    head_limits::check(lengths).map_err(|problem| Error::TooLarge(format!("the request has {problem}")))?;
    let mut head = http::Request::new(());
    *head.method_mut() =
        Method::from_bytes(request.method.as_bytes()).map_err(|_| invalid("the method is not a word"))?;
    *head.uri_mut() = request.url.parse().map_err(|_| invalid("the URL is not valid"))?;
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid("the name of a header is not valid"))?;
        let value =
            HeaderValue::from_bytes(value.as_bytes()).map_err(|_| invalid("the value of a header is not valid"))?;
        head.headers_mut().append(name, value);
    }
    // The client computes it from the body.
    head.headers_mut().remove(header::CONTENT_LENGTH);
    Ok((head.into_parts().0, request.body))
}

/// The headers of a response.
pub(super) fn headers_of(headers: &HeaderMap) -> Result<Vec<(String, String)>, Error> {
    let lengths = headers.iter().map(|(name, value)| (name.as_str().len(), value.len()));
    head_limits::check(lengths).map_err(|problem| Error::TooLarge(format!("the response has {problem}")))?;
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        let value = std::str::from_utf8(value.as_bytes()).ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    };
    Ok(headers.iter().filter_map(text).collect())
}

fn invalid(problem: &str) -> Error {
    Error::Invalid(problem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str, headers: &[(&str, &str)], body: usize) -> Request {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Request { method: "POST".to_owned(), url: url.to_owned(), headers, body: vec![0; body], timeout_ms: None }
    }

    #[test]
    fn a_request_has_its_limits() {
        let url = "http://example.com/";
        assert!(parts_of(request(url, &[("x-a", "1"); 100], MAX_BODY_BYTES)).is_ok());
        let long = format!("{url}{}", "x".repeat(MAX_URL_BYTES));
        let value = "x".repeat(64 << 10);
        for large in [
            request(url, &[], MAX_BODY_BYTES + 1),
            request(url, &[("x-a", "1"); 101], 0),
            request(url, &[("x-a", &value)], 0),
            request(&long, &[], 0),
        ] {
            assert!(matches!(parts_of(large), Err(Error::TooLarge(_))));
        }
    }

    #[test]
    fn a_request_that_http_does_not_allow_is_invalid() {
        let url = "http://example.com/";
        for (name, value) in [("", "x"), ("a b", "x"), ("a\r\nb", "x"), ("x", "a\r\nhost: b"), ("x", "\0"), ("x:", "y")]
        {
            let refused = parts_of(request(url, &[(name, value)], 0));
            assert!(matches!(refused, Err(Error::Invalid(_))), "{name:?}: {value:?}");
        }
        for url in ["", "http://", "http:// /", "http://a b/", "http://example.com/\r\nx", "\0"] {
            assert!(matches!(parts_of(request(url, &[], 0)), Err(Error::Invalid(_))), "{url:?}");
        }
        let wrong = Request { method: "GET /x".to_owned(), ..request(url, &[], 0) };
        assert!(matches!(parts_of(wrong), Err(Error::Invalid(_))));
    }

    #[test]
    fn the_client_sets_the_length_of_the_body() {
        let (head, body) = parts_of(request("http://example.com/", &[("Content-Length", "999")], 3)).unwrap();
        assert!(head.headers.is_empty() && body.len() == 3);
    }

    #[test]
    fn a_response_has_few_headers_and_its_values_are_texts() {
        let mut headers = HeaderMap::new();
        headers.append("x-latin", HeaderValue::from_bytes(b"\xe9").unwrap());
        headers.append("x-text", HeaderValue::from_static("yes"));
        assert_eq!(headers_of(&headers).unwrap(), [("x-text".to_owned(), "yes".to_owned())]);
        (0..100).for_each(|_| {
            headers.append("x-more", HeaderValue::from_static("1"));
        });
        assert!(matches!(headers_of(&headers), Err(Error::TooLarge(_))));
    }
}
