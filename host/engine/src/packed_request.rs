//! The request of `platform:packed`: all texts in one.

use crate::bindings::{
    exports::platform::http::handler::Request, packed::exports::platform::packed::packed_handler::PackedRequest,
};

/// The texts before the parameters.
const FIXED: usize = 7;

/// A request with all its texts in one, and where each one ends.
pub(super) struct Packed<'a> {
    request: &'a Request,
    texts: String,
    ends: Vec<u32>,
}

impl<'a> Packed<'a> {
    pub(super) fn new(request: &'a Request) -> Self {
        let (id, email) = request.principal.as_ref().map_or(("", ""), |user| (&user.id, &user.email));
        let query = request.query.as_deref().unwrap_or_default();
        let fixed: [&str; FIXED] = [&request.id, &request.method, &request.route, &request.path, query, id, email];
        let pairs = || request.params.iter().chain(&request.headers).flat_map(|(name, value)| [name.as_str(), value]);
        let length = fixed.into_iter().chain(pairs()).map(str::len).sum();
        let count = FIXED + 2 * (request.params.len() + request.headers.len());
        let mut packed = Self { request, texts: String::with_capacity(length), ends: Vec::with_capacity(count) };
        for text in fixed.into_iter().chain(pairs()) {
            packed.texts.push_str(text);
            packed.ends.push(number(packed.texts.len()));
        }
        packed
    }

    /// The record for the call.
    pub(super) fn record(&self) -> PackedRequest<'_> {
        let request = self.request;
        PackedRequest {
            texts: &self.texts,
            ends: &self.ends,
            params: number(request.params.len()),
            has_query: request.query.is_some(),
            has_principal: request.principal.is_some(),
            body: (!request.body.is_empty()).then_some(&request.body),
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
    use crate::bindings::platform::http::types::Principal;

    fn field(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    fn request() -> Request {
        Request {
            id: "r1".to_owned(),
            method: "GET".to_owned(),
            route: "/a/{b}".to_owned(),
            params: vec![field("b", "é")],
            path: "/a/%C3%A9".to_owned(),
            query: None,
            headers: vec![field("accept", "*/*"), field("x-empty", "")],
            body: Vec::new(),
            principal: None,
        }
    }

    /// The texts as a component reads them.
    fn texts<'a>(packed: &'a Packed<'_>) -> Vec<&'a str> {
        let starts = std::iter::once(&0).chain(&packed.ends);
        starts.zip(&packed.ends).map(|(start, end)| &packed.texts[*start as usize..*end as usize]).collect()
    }

    #[test]
    fn each_text_has_its_place() {
        let request = request();
        let packed = Packed::new(&request);
        let expected = ["r1", "GET", "/a/{b}", "/a/%C3%A9", "", "", "", "b", "é", "accept", "*/*", "x-empty", ""];
        assert_eq!(texts(&packed), expected);
        let record = packed.record();
        assert_eq!((record.params, record.has_query, record.has_principal), (1, false, false));
        assert_eq!(record.body, None);
        assert_eq!(packed.texts.capacity(), packed.texts.len(), "the text has one allocation");
    }

    #[test]
    fn an_empty_query_and_a_principal_are_told_from_none() {
        let principal = Principal { id: "u1".to_owned(), email: "a@b".to_owned() };
        let request =
            Request { query: Some(String::new()), principal: Some(principal), body: vec![0, 255], ..request() };
        let packed = Packed::new(&request);
        assert_eq!(texts(&packed)[4..7], ["", "u1", "a@b"]);
        let record = packed.record();
        assert_eq!((record.has_query, record.has_principal), (true, true));
        assert_eq!(record.body, Some(&[0, 255][..]));
    }
}
