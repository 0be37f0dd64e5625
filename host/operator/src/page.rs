//! Pages of lists. A page is limited in rows and in bytes, so an answer has a
//! limit whatever a plugin's manifest or an error text contains. The header
//! `link` of an answer has the path of the next page.

use super::input::limit_rows;
use axum::response::{IntoResponse, Response};
use host_http::error::{Problem, Refusal};
use http::{
    HeaderValue,
    header::{CONTENT_TYPE, LINK},
};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use utoipa::IntoParams;

/// The most bytes of a page that has more than one row.
const MAX_BYTES: usize = 1 << 20;

/// The query of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// The number of rows, 1 to 1000. Left out: 100.
    pub(super) limit: Option<u32>,
    /// Only rows after this one. The header `link` has it for the next page.
    pub(super) after: Option<String>,
}

/// How the query of the next page begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    /// The parameter that has the last key.
    pub(super) name: &'a str,
    /// The filters, which hold for all pages.
    pub(super) filters: &'a [(&'a str, &'a str)],
}

/// A page of a list, ready to be sent.
#[derive(Debug)]
pub(super) struct Page<T> {
    json: Vec<u8>,
    next: Option<String>,
    rows: PhantomData<T>,
}

impl<T: Serialize> Page<T> {
    /// The first of these rows that fit. Each comes with its key. Rows behind the
    /// limit tell that there is another page.
    ///
    /// # Errors
    /// The limit is out of range.
    pub(super) fn of(
        path: &str,
        query: &PageQuery,
        rows: impl IntoIterator<Item = (String, T)>,
    ) -> Result<Self, Problem> {
        Self::with_cursor(path, Cursor { name: "after", filters: &[] }, query.limit, rows)
    }

    /// The same with another cursor.
    ///
    /// # Errors
    /// The limit is out of range.
    pub(super) fn with_cursor(
        path: &str,
        cursor: Cursor<'_>,
        limit: Option<u32>,
        rows: impl IntoIterator<Item = (String, T)>,
    ) -> Result<Self, Problem> {
        let max_rows = limit_rows(limit)? as usize;
        let (mut json, mut taken, mut last) = (vec![b'['], 0_usize, None);
        for (key, row) in rows {
            let row = serde_json::to_vec(&row).map_err(|error| {
                tracing::error!(%error, "the host cannot write a row of a list");
                Refusal::Failed
            })?;
            if taken == max_rows || (taken > 0 && json.len() + row.len() > MAX_BYTES) {
                json.push(b']');
                let next = last.map(|last: String| next_page(path, cursor, limit, &last));
                return Ok(Self { json, next, rows: PhantomData });
            }
            if taken > 0 {
                json.push(b',');
            }
            json.extend_from_slice(&row);
            (taken, last) = (taken + 1, Some(key));
        }
        json.push(b']');
        Ok(Self { json, next: None, rows: PhantomData })
    }
}

fn next_page(path: &str, cursor: Cursor<'_>, limit: Option<u32>, last: &str) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    pairs.append_pair(cursor.name, last).extend_pairs(cursor.filters);
    if let Some(limit) = limit {
        pairs.append_pair("limit", &limit.to_string());
    }
    format!("<{path}?{}>; rel=\"next\"", pairs.finish())
}

impl<T> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        let mut response = ([(CONTENT_TYPE, "application/json")], self.json).into_response();
        if let Some(next) = self.next.and_then(|next| HeaderValue::try_from(next).ok()) {
            response.headers_mut().insert(LINK, next);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(limit: u32, rows: &[(&str, usize)]) -> (usize, usize, Option<String>) {
        let query = PageQuery { limit: Some(limit), after: None };
        let rows = rows.iter().map(|(key, bytes)| ((*key).to_owned(), "x".repeat(*bytes)));
        let page = Page::of("/list", &query, rows).unwrap();
        let read: Vec<String> = serde_json::from_slice(&page.json).unwrap();
        (read.len(), page.json.len(), page.next)
    }

    #[test]
    fn a_page_ends_at_its_rows_or_its_bytes_and_names_the_next() {
        assert_eq!(page(9, &[]), (0, 2, None));
        assert_eq!(page(2, &[("a", 1), ("b", 1)]), (2, 9, None));
        let (rows, _, next) = page(2, &[("a", 1), ("b&c", 1), ("d", 1)]);
        assert_eq!((rows, next.as_deref()), (2, Some("</list?after=b%26c&limit=2>; rel=\"next\"")));
        let (rows, bytes, next) = page(9, &[("a", 600_000), ("b", 600_000), ("c", 1)]);
        assert!(rows == 1 && bytes < MAX_BYTES && next.is_some_and(|next| next.contains("after=a")));
        let (rows, _, next) = page(9, &[("a", 2 << 20), ("b", 1)]);
        assert!(rows == 1 && next.is_some(), "a row that is too large for any page has one for itself");
    }
}
