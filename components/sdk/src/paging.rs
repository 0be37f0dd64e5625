//! Paged lists. The client sends `?limit=` and `?cursor=`, and the `Link`
//! header of the response has the URL of the next page. The cursor is the id
//! of the last item on the previous page.

use serde::Serialize;

use crate::error::{Error, Problem, Result};
use crate::id;
use crate::request::Request;
use crate::response::Response;

/// The number of items on a page without `limit`.
const DEFAULT_ITEMS: usize = 50;
/// The highest value of `limit`.
const MAX_ITEMS: usize = 100;

/// The requested page of a list.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    limit: usize,
    /// The page starts after the item with this id.
    pub cursor: Option<String>,
}

impl Page {
    /// Reads `limit` and `cursor` from the query. The error is 400.
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

    /// The number of rows to read. It is one more than the page holds, and so
    /// shows whether there is a next page.
    pub fn rows(&self) -> i64 {
        i64::try_from(self.limit).map_or(i64::MAX, |limit| limit + 1)
    }

    /// Makes the response with the items, and a link to the next page if there
    /// is one. The link repeats the query parameters in `filters`.
    pub fn respond<T: Serialize>(
        &self,
        mut items: Vec<T>,
        id: impl Fn(&T) -> &str,
        path: &str,
        filters: &[(&str, &str)],
    ) -> Result<Response> {
        let last = self.next_after(&mut items, id);
        self.respond_until(&items, last.as_deref(), path, filters)
    }

    /// Removes the item that shows whether there is a next page, and returns the
    /// id of the last item of this page if there is one.
    pub fn next_after<T>(&self, items: &mut Vec<T>, id: impl Fn(&T) -> &str) -> Option<String> {
        let has_next = items.len() > self.limit;
        items.truncate(self.limit);
        items.last().filter(|_| has_next).map(|last| id(last).to_owned())
    }

    /// Makes the response with all of these items, and a link to the page after
    /// the id `last`, if there is one. The page may be shorter than the client
    /// wants.
    pub fn respond_until<T: Serialize>(
        &self,
        items: &[T],
        last: Option<&str>,
        path: &str,
        filters: &[(&str, &str)],
    ) -> Result<Response> {
        let response = Response::json(200, &items)?;
        let Some(last) = last else { return Ok(response) };
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("limit", &self.limit.to_string())
            .append_pair("cursor", last)
            .extend_pairs(filters)
            .finish();
        Ok(response.header("link", format!("<{path}?{query}>; rel=\"next\"")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::request;

    const ID: &str = "018bcfe5-6800-7000-8000-000000000000";

    #[test]
    fn a_wrong_limit_or_cursor_is_refused() {
        for query in ["limit=0", "limit=101", "limit=x", "limit=-1", "cursor=x"] {
            let refusal = Page::of(&request("GET", Some(query), &[])).unwrap_err();
            assert_eq!(Response::from(refusal).status(), 400, "{query}");
        }
        let page = Page::of(&request("GET", None, &[])).unwrap();
        assert_eq!(page.rows(), 51);
    }

    #[test]
    fn the_link_leads_to_the_next_page_and_keeps_the_filters() {
        let page = Page::of(&request("GET", Some("limit=1"), &[])).unwrap();
        let two = page.respond(vec![ID, ID], |id| id, "/things", &[("q", "a&b")]).unwrap();
        assert_eq!(
            two.header_value("link"),
            Some(format!("</things?limit=1&cursor={ID}&q=a%26b>; rel=\"next\"").as_str())
        );
        let one = page.respond(vec![ID], |id| id, "/things", &[]).unwrap();
        assert_eq!(one.header_value("link"), None);
    }
}
