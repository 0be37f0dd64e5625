//! A request for a component. Its texts are in one piece, as `platform:packed` hands them
//! over.

use crate::bindings::{
    exports::platform::http::handler as wit, packed::exports::platform::packed::packed_handler::PackedRequest,
    platform::http::types::Principal,
};
use http::{HeaderMap, header};
use std::borrow::Cow;

/// The texts before the parameters.
const FIXED: usize = 7;

/// The head of a request beside its parameters and headers.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestHead<'a> {
    /// The id of the request.
    pub id: &'a str,
    /// The method of the endpoint.
    pub method: &'a str,
    /// The path pattern of the endpoint.
    pub route: &'a str,
    /// The path, as the client sent it.
    pub path: &'a str,
    /// The text after `?`.
    pub query: Option<&'a str>,
    /// The id and the email address of the visitor.
    pub principal: Option<(&'a str, &'a str)>,
}

/// A request with all its texts in one, and where each one ends.
#[derive(Debug)]
pub struct Request {
    texts: String,
    ends: Vec<u32>,
    params: usize,
    has_query: bool,
    has_principal: bool,
    body: Vec<u8>,
}

impl Request {
    /// A request with these decoded parameters. The component gets the headers without
    /// the credentials, and without values that are no text.
    pub fn new(head: RequestHead<'_>, params: &[(&str, Cow<'_, str>)], headers: &HeaderMap, body: Vec<u8>) -> Self {
        let (id, email) = head.principal.unwrap_or_default();
        let fixed: [&str; FIXED] =
            [head.id, head.method, head.route, head.path, head.query.unwrap_or_default(), id, email];
        let params_bytes = params.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let headers_bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>();
        let bytes = fixed.iter().map(|text| text.len()).sum::<usize>() + params_bytes + headers_bytes;
        let mut request = Self {
            texts: String::with_capacity(bytes),
            ends: Vec::with_capacity(FIXED + 2 * (params.len() + headers.len())),
            params: params.len(),
            has_query: head.query.is_some(),
            has_principal: head.principal.is_some(),
            body,
        };
        fixed.iter().for_each(|text| request.add(text));
        for (name, value) in params {
            request.add(name);
            request.add(value);
        }
        for (name, value) in headers {
            let is_credential = *name == header::COOKIE || *name == header::AUTHORIZATION;
            if let (false, Ok(value)) = (is_credential, value.to_str()) {
                request.add(name.as_str());
                request.add(value);
            }
        }
        request
    }

    fn add(&mut self, text: &str) {
        self.texts.push_str(text);
        self.ends.push(number(self.texts.len()));
    }

    /// The id of the request.
    pub fn id(&self) -> &str {
        self.text_at(0)
    }

    /// The method of the endpoint.
    pub fn method(&self) -> &str {
        self.text_at(1)
    }

    /// The path pattern of the endpoint.
    pub fn route(&self) -> &str {
        self.text_at(2)
    }

    /// The path, as the client sent it.
    pub fn path(&self) -> &str {
        self.text_at(3)
    }

    /// The text after `?`.
    pub fn query(&self) -> Option<&str> {
        self.has_query.then(|| self.text_at(4))
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find_map(|(header, value)| (header == name).then_some(value))
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    fn text_at(&self, index: usize) -> &str {
        let end = |index: usize| self.ends.get(index).map_or(0, |end| *end as usize);
        let start = index.checked_sub(1).map_or(0, end);
        self.texts.get(start..end(index)).unwrap_or_default()
    }

    /// The name and the value of each parameter, then those of each header.
    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        (FIXED..self.ends.len()).step_by(2).map(|index| (self.text_at(index), self.text_at(index + 1)))
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs().skip(self.params)
    }

    /// The record of `platform:packed`.
    pub(super) fn packed(&self) -> PackedRequest<'_> {
        PackedRequest {
            texts: &self.texts,
            ends: &self.ends,
            params: number(self.params),
            has_query: self.has_query,
            has_principal: self.has_principal,
            body: (!self.body.is_empty()).then_some(&self.body),
        }
    }

    /// The record of `platform:http`.
    pub(super) fn record(&self) -> wit::Request {
        let text = |index| self.text_at(index).to_owned();
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        wit::Request {
            id: text(0),
            method: text(1),
            route: text(2),
            params: self.pairs().take(self.params).map(owned).collect(),
            path: text(3),
            query: self.query().map(str::to_owned),
            headers: self.headers().map(owned).collect(),
            body: self.body.clone(),
            principal: self.has_principal.then(|| Principal { id: text(5), email: text(6) }),
        }
    }
}

/// The head of a request has a limit far below 4 GiB.
fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const HEAD: RequestHead<'_> =
        RequestHead { id: "r1", method: "GET", route: "/a/{b}", path: "/a/%C3%A9", query: None, principal: None };

    fn request(head: RequestHead<'_>, headers: &[(&'static str, &str)], body: &[u8]) -> Request {
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()));
        Request::new(head, &[("b", "é".into())], &headers.collect(), body.to_vec())
    }

    /// The texts as a component reads them.
    fn texts(request: &Request) -> Vec<&str> {
        let packed = request.packed();
        let starts = std::iter::once(&0).chain(packed.ends);
        starts.zip(packed.ends).map(|(start, end)| &packed.texts[*start as usize..*end as usize]).collect()
    }

    #[test]
    fn each_text_has_its_place() {
        let request = request(HEAD, &[("accept", "*/*"), ("x-empty", "")], &[]);
        let expected = ["r1", "GET", "/a/{b}", "/a/%C3%A9", "", "", "", "b", "é", "accept", "*/*", "x-empty", ""];
        assert_eq!(texts(&request), expected);
        let packed = request.packed();
        assert_eq!((packed.params, packed.has_query, packed.has_principal), (1, false, false));
        assert_eq!(packed.body, None);
        assert_eq!(request.texts.capacity(), request.texts.len(), "the text has one allocation");
        assert_eq!(
            (request.id(), request.method(), request.route(), request.path()),
            ("r1", "GET", "/a/{b}", expected[3])
        );
        assert_eq!((request.header("accept"), request.header("x-empty")), (Some("*/*"), Some("")));
        assert_eq!((request.header("b"), request.query()), (None, None));
    }

    #[test]
    fn an_empty_query_and_a_principal_are_told_from_none() {
        let head = RequestHead { query: Some(""), principal: Some(("u1", "a@b")), ..HEAD };
        let request = request(head, &[], &[0, 255]);
        assert_eq!(texts(&request)[4..7], ["", "u1", "a@b"]);
        let packed = request.packed();
        assert_eq!((packed.has_query, packed.has_principal), (true, true));
        assert_eq!(packed.body, Some(&[0, 255][..]));
        let record = request.record();
        assert_eq!((record.query.as_deref(), &record.body[..]), (Some(""), &[0, 255][..]));
        assert_eq!(record.principal.map(|user| (user.id, user.email)), Some(("u1".to_owned(), "a@b".to_owned())));
    }

    #[test]
    fn a_component_gets_no_credentials_and_no_value_that_is_no_text() {
        let headers = [("cookie", "session=1"), ("authorization", "Bearer 1"), ("x-latin", "é"), ("accept", "*/*")];
        let record = request(HEAD, &headers, &[]).record();
        assert_eq!(record.headers, [("accept".to_owned(), "*/*".to_owned())]);
        assert_eq!(record.params, [("b".to_owned(), "é".to_owned())]);
        assert_eq!((record.id.as_str(), record.method.as_str(), record.route.as_str()), ("r1", "GET", "/a/{b}"));
    }
}
