//! Lists in pages: `?limit=` and `?cursor=`, and the next page in a `Link`
//! header. The cursor is the id of the last item of the page before.

use serde::Serialize;

use crate::error::{Error, Problem, Result};
use crate::http::{Request, Response};
use crate::id;

/// Items of a page when `limit` does not say.
const DEFAULT_ITEMS: usize = 50;
/// The most that `limit` may ask for.
const MAX_ITEMS: usize = 100;

/// Which part of a list is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    limit: usize,
    /// Items after the one with this id.
    pub cursor: Option<String>,
}

impl Page {
    /// Reads `limit` and `cursor`.
    pub fn of(request: &Request) -> Result<Self> {
        let mut problems = Vec::new();
        let limit = match request.query("limit") {
            None => DEFAULT_ITEMS,
            Some(text) => text.parse().ok().filter(|limit| (1..=MAX_ITEMS).contains(limit)).unwrap_or_else(|| {
                problems.push(Problem {
                    message: format!("limit must be a number from 1 to {MAX_ITEMS}"),
                    field: Some("limit".to_owned()),
                });
                DEFAULT_ITEMS
            }),
        };
        let cursor = request.query("cursor");
        if cursor.as_deref().is_some_and(|text| !id::is_valid(text)) {
            problems.push(Problem {
                message: "cursor must be one from a Link header".to_owned(),
                field: Some("cursor".to_owned()),
            });
        }
        if problems.is_empty() { Ok(Self { limit, cursor }) } else { Err(Error::invalid(problems)) }
    }

    /// How many rows to read: one more than the page has, to know whether
    /// another follows.
    pub fn rows(&self) -> i64 {
        i64::try_from(self.limit).map_or(i64::MAX, |limit| limit + 1)
    }

    /// Answers with the items, and a link to the next page if there is one.
    /// `filters` are the query parameters to repeat in it.
    pub fn respond<T: Serialize>(
        &self,
        mut items: Vec<T>,
        id: impl Fn(&T) -> &str,
        path: &str,
        filters: &[(&str, &str)],
    ) -> Result<Response> {
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        let response = Response::json(200, &items)?;
        let Some(last) = items.last().filter(|_| more) else {
            return Ok(response);
        };
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("limit", &self.limit.to_string())
            .append_pair("cursor", id(last))
            .extend_pairs(filters)
            .finish();
        Ok(response.header("link", format!("<{path}?{query}>; rel=\"next\"")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests::request;

    const ID: &str = "018bcfe5-6800-7000-8000-000000000000";

    #[test]
    fn a_page_out_of_bounds_is_refused() {
        for query in ["limit=0", "limit=101", "limit=x", "limit=-1", "cursor=x"] {
            let refusal = Page::of(&request(Some(query), &[])).unwrap_err();
            assert_eq!(refusal.into_response().status(), 400, "{query}");
        }
        let page = Page::of(&request(None, &[])).unwrap();
        assert_eq!(page.rows(), 51);
    }

    #[test]
    fn the_link_leads_to_the_next_page_and_keeps_the_filters() {
        let page = Page::of(&request(Some("limit=1"), &[])).unwrap();
        let two = page.respond(vec![ID, ID], |id| id, "/things", &[("q", "a&b")]).unwrap();
        assert_eq!(
            two.header_value("link"),
            Some(format!("</things?limit=1&cursor={ID}&q=a%26b>; rel=\"next\"").as_str())
        );
        let one = page.respond(vec![ID], |id| id, "/things", &[]).unwrap();
        assert_eq!(one.header_value("link"), None);
    }
}
