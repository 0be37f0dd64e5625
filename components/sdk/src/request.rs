//! HTTP requests.

use std::ops::Range;
use std::str::FromStr;

use serde::de::DeserializeOwned;

use crate::bindings::http::exports::platform::packed::packed_handler::PackedRequest;
use crate::bindings::imports::platform::http::types;
use crate::error::{Error, Result};
use crate::fields::Fields;
use crate::headers::etag;
use crate::{id, json};

pub use types::Principal;

/// The texts of a packed request before its parameters.
const FIXED: usize = 7;

/// An HTTP request. The host has already found its route, read its body and
/// verified its session.
pub struct Request {
    /// The texts as the host sends them, see `wit/deps/packed/packed.wit`.
    texts: String,
    ends: Vec<u32>,
    params: usize,
    has_query: bool,
    body: Vec<u8>,
    principal: Option<Principal>,
}

impl Request {
    /// The id of the request. The log line of the host has the same.
    pub fn id(&self) -> &str {
        self.text_at(0)
    }

    /// The path, as the client sent it.
    pub fn path(&self) -> &str {
        self.text_at(3)
    }

    /// The method, in upper case.
    pub fn method(&self) -> &str {
        self.text_at(1)
    }

    /// The path pattern of the route, as the manifest has it.
    pub fn route(&self) -> &str {
        self.text_at(2)
    }

    /// The text after `?`, as the client sent it.
    pub fn raw_query(&self) -> Option<&str> {
        self.has_query.then(|| self.text_at(4))
    }

    /// A text of the request by its number. Empty if there is none.
    fn text_at(&self, index: usize) -> &str {
        let end = |index: usize| self.ends.get(index).map_or(0, |end| *end as usize);
        let start = index.checked_sub(1).map_or(0, end);
        self.texts.get(start..end(index)).unwrap_or_default()
    }

    /// The first value of a name in the pairs with these numbers.
    fn first_value(&self, mut pairs: Range<usize>, name: &str) -> Option<&str> {
        let pair = pairs.find(|pair| self.text_at(FIXED + 2 * pair) == name)?;
        Some(self.text_at(FIXED + 2 * pair + 1))
    }

    /// The value of a named segment of the path pattern.
    pub fn param(&self, name: &str) -> Result<&str> {
        self.first_value(0..self.params, name)
            .ok_or_else(|| Error::Internal(format!("the route has no parameter `{name}`")))
    }

    /// The value of a named segment that is an id. A malformed id is a 404,
    /// because no row can have it.
    pub fn id_param(&self, name: &str) -> Result<&str> {
        let value = self.param(name)?;
        if id::is_valid(value) { Ok(value) } else { Err(Error::not_found()) }
    }

    /// The first value of a header. The name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.first_value(self.params..self.ends.len().saturating_sub(FIXED) / 2, name)
    }

    /// The first value of a query parameter, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.raw_query()?.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The first value of a query parameter, as any type. The error is 400 if it is
    /// of another type.
    pub fn query_as<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        let wrong = || Error::field(name, format!("{name} has a wrong value"));
        self.query(name).map(|text| text.parse().map_err(|_| wrong())).transpose()
    }

    /// The body. It is empty if there is none.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as a text. The error is 400 if it is not UTF-8.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.body).map_err(|_| Error::bad_request("The body must be UTF-8"))
    }

    /// The JSON body as a value of a type. The error is 400 and names the field that
    /// is wrong, and 415 as for [`Request::fields`], which reports all problems at
    /// once and in words of your own.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        self.check_media_type()?;
        Ok(json::read(&self.body)?)
    }

    /// The signed-in user, if there is one.
    pub fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    /// The signed-in user, or 401.
    pub fn signed_in(&self) -> Result<&Principal> {
        self.principal().ok_or_else(Error::not_authorized)
    }

    /// The fields of the JSON object in the body. An empty body has no fields. The
    /// error is 415 if the request says that the body is something else: a page of
    /// another site can send a form or plain text without being asked, but no JSON.
    pub fn fields(&self) -> Result<Fields<'_>> {
        self.check_media_type()?;
        Fields::parse(&self.body)
    }

    fn check_media_type(&self) -> Result<()> {
        match self.header("content-type") {
            Some(media_type) if !is_json(media_type) => Err(Error::refused(415, "The body must be application/json")),
            _ => Ok(()),
        }
    }

    /// Checks `If-Match` against the current version. The error is 412. A
    /// request without the header passes.
    pub fn check_if_match(&self, version: i64) -> Result<()> {
        let Some(header) = self.header("if-match") else {
            return Ok(());
        };
        let tag = etag(version);
        let matches = header.split(',').map(str::trim).any(|candidate| candidate == "*" || candidate == tag);
        if matches { Ok(()) } else { Err(Error::refused(412, "It was changed in the meantime")) }
    }

    /// The versions that `If-Match` names. Tags that stand for no version are
    /// left out.
    pub fn matched_versions(&self) -> impl Iterator<Item = i64> {
        let tags = self.header("if-match").unwrap_or_default().split(',').map(str::trim);
        tags.filter_map(|tag| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok())
    }
}

/// Whether a media type is `application/json` or another one in JSON.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

impl From<PackedRequest> for Request {
    fn from(packed: PackedRequest) -> Self {
        let PackedRequest { texts, ends, params, has_query, has_principal, body } = packed;
        let body = body.unwrap_or_default();
        let params = (params as usize).min(ends.len().saturating_sub(FIXED) / 2);
        let mut request = Self { texts, ends, params, has_query, body, principal: None };
        if has_principal {
            let (id, email) = (request.text_at(5).to_owned(), request.text_at(6).to_owned());
            request.principal = Some(Principal { id, email });
        }
        request
    }
}

/// A number of the interface. A request has far less than 4 GiB.
fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// For tests of routes, and for a component that exports `platform:http/handler` with its own bindings.
impl From<types::Request> for Request {
    fn from(request: types::Request) -> Self {
        let (has_query, has_principal) = (request.query.is_some(), request.principal.is_some());
        let user = request.principal.unwrap_or(Principal { id: String::new(), email: String::new() });
        let query = request.query.unwrap_or_default();
        let fixed: [String; FIXED] =
            [request.id, request.method, request.route, request.path, query, user.id, user.email];
        let params = number(request.params.len());
        let pairs = request.params.into_iter().chain(request.headers).flat_map(|(name, value)| [name, value]);
        let (mut texts, mut ends) = (String::new(), Vec::new());
        for text in fixed.into_iter().chain(pairs) {
            texts.push_str(&text);
            ends.push(number(texts.len()));
        }
        PackedRequest { texts, ends, params, has_query, has_principal, body: Some(request.body) }.into()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::response::Response;

    /// A signed-out request for `/things` with this method, query and headers.
    pub(crate) fn request(method: &str, query: Option<&str>, headers: &[(&str, &str)]) -> Request {
        Request::from(types::Request {
            id: "r".to_owned(),
            method: method.to_owned(),
            route: "/things".to_owned(),
            params: vec![("id".to_owned(), "nonsense".to_owned())],
            path: "/things".to_owned(),
            query: query.map(str::to_owned),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: Vec::new(),
            principal: None,
        })
    }

    #[test]
    fn a_packed_request_has_the_texts_of_its_places() {
        let texts =
            ["r1", "GET", "/a/{b}", "/a/%C3%A9", "", "u1", "a@b", "b", "\u{e9}", "accept", "*/*", "x-empty", ""];
        let mut packed = PackedRequest {
            texts: texts.concat(),
            ends: texts
                .iter()
                .scan(0, |end, text| {
                    *end += u32::try_from(text.len()).unwrap();
                    Some(*end)
                })
                .collect(),
            params: 1,
            has_query: false,
            has_principal: true,
            body: None,
        };
        let request = Request::from(packed.clone());
        assert_eq!(
            (request.id(), request.method(), request.route(), request.path()),
            ("r1", "GET", texts[2], texts[3])
        );
        assert_eq!((request.raw_query(), request.query("x")), (None, None));
        assert_eq!((request.param("b").unwrap(), request.header("accept")), ("\u{e9}", Some("*/*")));
        assert_eq!((request.header("x-empty"), request.header("b"), request.header("none")), (Some(""), None, None));
        assert!(request.param("accept").is_err(), "a header is no parameter");
        let user = request.principal().unwrap();
        assert_eq!((user.id.as_str(), user.email.as_str(), request.body()), ("u1", "a@b", &[][..]));

        // Ends that are wrong give empty texts.
        packed.ends = vec![5, 3, 4_000_000_000];
        (packed.has_query, packed.params) = (true, u32::MAX);
        let request = Request::from(packed);
        assert_eq!((request.method(), request.route(), request.header("accept")), ("", "", None));
        assert_eq!(request.raw_query(), Some(""));
        assert!(request.param("b").is_err());
    }

    #[test]
    fn a_request_as_a_record_keeps_its_principal() {
        let principal = Principal { id: "u1".to_owned(), email: "a@b".to_owned() };
        let record = types::Request {
            id: "r".to_owned(),
            method: "GET".to_owned(),
            route: "/a".to_owned(),
            params: Vec::new(),
            path: "/a".to_owned(),
            query: Some(String::new()),
            headers: vec![("accept".to_owned(), "*/*".to_owned())],
            body: vec![7],
            principal: Some(principal),
        };
        let request = Request::from(record);
        let user = request.signed_in().unwrap();
        assert_eq!((user.id.as_str(), user.email.as_str()), ("u1", "a@b"));
        assert_eq!((request.raw_query(), request.header("accept"), request.body()), (Some(""), Some("*/*"), &[7][..]));
    }

    #[test]
    fn a_signed_out_request_is_a_401_and_a_malformed_id_is_a_404() {
        let request = request("GET", None, &[]);
        let signed_out = Response::from(request.signed_in().unwrap_err());
        assert_eq!(signed_out.status(), 401);
        assert_eq!(signed_out.body(), br#"{"errors":[{"message":"Not authorized"}]}"#);
        let malformed = Response::from(request.id_param("id").unwrap_err());
        assert_eq!(malformed.status(), 404);
    }

    #[test]
    fn a_body_and_a_parameter_are_read_as_a_type() {
        let mut request = request("POST", Some("count=3&word=x"), &[]);
        request.body = br#"{"name": 7}"#.to_vec();
        let body: std::collections::BTreeMap<String, i64> = request.json().unwrap();
        assert_eq!(body.get("name"), Some(&7));
        let refused = Response::from(request.json::<std::collections::BTreeMap<String, String>>().unwrap_err());
        assert!(String::from_utf8_lossy(refused.body()).contains(r#""field":"name""#));
        assert_eq!(request.query_as("count").unwrap(), Some(3));
        assert_eq!(request.query_as::<i64>("absent").unwrap(), None);
        assert_eq!(Response::from(request.query_as::<i64>("word").unwrap_err()).status(), 400);
        assert_eq!(request.text().unwrap(), r#"{"name": 7}"#);
    }

    #[test]
    fn a_stale_or_weak_tag_is_refused() {
        for (header, allowed) in
            [("\"3\"", true), ("*", true), ("\"2\", \"3\"", true), ("\"2\"", false), ("W/\"3\"", false), ("3", false)]
        {
            let result = request("GET", None, &[("if-match", header)]).check_if_match(3);
            assert_eq!(result.is_ok(), allowed, "{header}");
        }
    }

    #[test]
    fn only_json_is_read_as_fields() {
        for (media_type, status) in [
            (None, None),
            (Some("application/json"), None),
            (Some("Application/JSON; charset=utf-8"), None),
            (Some("application/merge-patch+json"), None),
            (Some("text/plain"), Some(415)),
            (Some("text/plain; a=application/json"), Some(415)),
            (Some("application/x-www-form-urlencoded"), Some(415)),
            (Some("multipart/form-data; boundary=x"), Some(415)),
            (Some("text/json"), Some(415)),
            (Some(""), Some(415)),
        ] {
            let headers: Vec<_> = media_type.map(|value| ("content-type", value)).into_iter().collect();
            let refused = request("POST", None, &headers).fields().err().map(|error| Response::from(error).status());
            assert_eq!(refused, status, "{media_type:?}");
        }
    }
}
