//! Compares what a step should have caused with what it has caused.

use super::{
    fixture::{Answer, Content, ExpectedEvent},
    values::{Names, shown, whole_name},
};
use crate::offline::{Cell, Happened};
use bytes::Bytes;
use http::Response;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// Stands for a value that is not there.
const NOTHING: &str = "(nothing)";

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    /// The part that differs, such as `answer.status` or `rows[0][1]`.
    pub(super) place: String,
    pub(super) expected: String,
    pub(super) got: String,
}

/// Collects differences.
pub(super) struct Comparison<'a> {
    pub(super) names: &'a mut Names,
    pub(super) differences: Vec<Difference>,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(names: &'a mut Names) -> Self {
        Self { names, differences: Vec::new() }
    }

    pub(super) fn answer(&mut self, expected: &Answer, got: &Response<Bytes>) {
        let status = got.status();
        match expected.status {
            Some(expected) if expected != status.as_u16() => self.differs("answer.status", expected, status.as_u16()),
            None if status.is_client_error() || status.is_server_error() => {
                self.differs("answer.status", "below 400", status.as_u16());
            }
            _ => {}
        }
        for (name, expected) in &expected.headers {
            let got: Vec<_> = got.headers().get_all(name).iter().map(|value| value.to_str().unwrap_or("?")).collect();
            self.text(&format!("answer.headers.{name}"), expected, &got.join(", "), got.is_empty());
        }
        match &expected.content {
            Some(content) => self.content("answer", content, got.body()),
            None if self.differences.is_empty() || got.body().is_empty() => {}
            // The body of a wrong answer often has the reason.
            None => self.differs("answer.body", "(anything)", String::from_utf8_lossy(got.body())),
        }
    }

    pub(super) fn events(&mut self, expected: &[ExpectedEvent], happened: &Happened) {
        for index in 0..expected.len().max(happened.published.len()) {
            let place = format!("events[{index}]");
            match (expected.get(index), happened.published.get(index)) {
                (Some(expected), Some((subject, payload))) => {
                    self.text(&format!("{place}.subject"), &expected.subject, subject, false);
                    if let Some(content) = &expected.content {
                        self.content(&place, content, payload);
                    }
                }
                (Some(expected), None) => self.differs(&place, &expected.subject, NOTHING),
                (None, Some((subject, payload))) => {
                    self.differs(&place, NOTHING, format!("{subject} {}", String::from_utf8_lossy(payload)));
                }
                (None, None) => {}
            }
        }
    }

    /// Events and timers that the plugin did not handle are differences, unless the step expects the reason.
    pub(super) fn refused(&mut self, expected: Option<&str>, happened: &Happened) {
        if let (Some(expected), []) = (expected, happened.refused.as_slice()) {
            self.differs("refused", expected, NOTHING);
        }
        for (name, reason) in &happened.refused {
            if expected.is_none_or(|expected| !reason.contains(expected)) {
                self.differs("refused", expected.unwrap_or(NOTHING), format!("{name}: {reason}"));
            }
        }
    }

    pub(super) fn rows(&mut self, expected: &[Vec<Value>], got: Vec<Vec<Cell>>) {
        let got: Vec<Value> = got.into_iter().map(|row| row.into_iter().map(cell).collect()).collect();
        let expected: Vec<Value> = expected.iter().map(|row| Value::Array(row.clone())).collect();
        self.value("rows", &Value::Array(expected), &Value::Array(got));
    }

    fn content(&mut self, place: &str, expected: &Content, got: &[u8]) {
        match expected {
            Content::Body(expected) => {
                self.text(&format!("{place}.body"), expected, &String::from_utf8_lossy(got), false)
            }
            Content::Json(expected) => match serde_json::from_slice::<Value>(got) {
                Ok(got) => self.value(&format!("{place}.json"), expected, &got),
                Err(_) => self.differs(&format!("{place}.json"), expected, String::from_utf8_lossy(got)),
            },
        }
    }

    fn value(&mut self, place: &str, expected: &Value, got: &Value) {
        match (expected, got) {
            (Value::String(expected), got)
                if whole_name(expected).is_some_and(|name| self.names.stands_for(name, got)) => {}
            (Value::String(expected), Value::String(got)) => self.text(place, expected, got, false),
            (Value::Array(expected), Value::Array(got)) => {
                for index in 0..expected.len().max(got.len()) {
                    self.entry(&format!("{place}[{index}]"), expected.get(index), got.get(index));
                }
            }
            (Value::Object(expected), Value::Object(got)) => {
                let keys: BTreeSet<&String> = expected.keys().chain(got.keys()).collect();
                for key in keys {
                    self.entry(&format!("{place}.{key}"), expected.get(key), got.get(key));
                }
            }
            (Value::Number(one), Value::Number(other)) if one.as_f64() == other.as_f64() => {}
            (expected, got) if expected == got => {}
            (expected, got) => self.differs(place, shown_typed(expected, got), shown_typed(got, expected)),
        }
    }

    fn entry(&mut self, place: &str, expected: Option<&Value>, got: Option<&Value>) {
        match (expected, got) {
            (Some(expected), Some(got)) => self.value(place, expected, got),
            (expected, got) => {
                let shown = |value: Option<&Value>| value.map_or(NOTHING.to_owned(), shown);
                self.differs(place, shown(expected), shown(got));
            }
        }
    }

    fn text(&mut self, place: &str, expected: &str, got: &str, is_missing: bool) {
        if is_missing || !self.names.match_text(expected, got) {
            let expected = self.names.fill(expected).unwrap_or_else(|_| expected.to_owned());
            self.differs(place, expected, if is_missing { NOTHING } else { got });
        }
    }

    fn differs(&mut self, place: &str, expected: impl ToString, got: impl ToString) {
        let (expected, got) = (expected.to_string(), got.to_string());
        self.differences.push(Difference { place: place.to_owned(), expected, got });
    }
}

/// A value beside another one: a text keeps its quotation marks if the other one is none.
fn shown_typed(value: &Value, other: &Value) -> String {
    if value.is_string() && !other.is_string() { value.to_string() } else { shown(value) }
}

/// A value of a row. Bytes are written as in SQL.
fn cell(cell: Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Integer(number) => number.into(),
        Cell::Real(number) => number.into(),
        Cell::Text(text) => text.into(),
        Cell::Blob(bytes) => format!("x'{}'", hex::encode(bytes)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn differences(compare: impl FnOnce(&mut Comparison<'_>)) -> Vec<String> {
        let mut names = Names::default();
        let mut comparison = Comparison::new(&mut names);
        compare(&mut comparison);
        let shown = |Difference { place, expected, got }: Difference| format!("{place}: {expected} | {got}");
        comparison.differences.into_iter().map(shown).collect()
    }

    fn of_json(expected: Value, got: Value) -> Vec<String> {
        differences(|comparison| comparison.value("json", &expected, &got))
    }

    #[test]
    fn a_difference_in_json_names_its_place() {
        assert!(
            of_json(json!({ "a": [1, null], "b": "${any}" }), json!({ "a": [1.0, null], "b": { "c": 1 } })).is_empty()
        );
        let expected = json!({ "a": [1, 2], "b": 1, "same": "${x}", "again": "${x}" });
        let got = json!({ "a": [1, 3, 4], "c": "n", "same": "1", "again": "2" });
        assert_eq!(
            of_json(expected, got),
            [
                "json.a[1]: 2 | 3",
                "json.a[2]: (nothing) | 4",
                "json.b: 1 | (nothing)",
                "json.c: (nothing) | n",
                "json.same: 2 | 1"
            ]
        );
        assert_eq!(of_json(json!("1"), json!(1)), ["json: \"1\" | 1"]);
    }

    #[test]
    fn an_answer_is_compared_as_far_as_it_is_described() {
        let got = Response::builder().status(500).header("x-a", "b").body(Bytes::from_static(b"broken")).unwrap();
        let any = Answer::default();
        assert_eq!(
            differences(|comparison| comparison.answer(&any, &got)),
            ["answer.status: below 400 | 500", "answer.body: (anything) | broken"]
        );
        let headers = [("x-a".to_owned(), "c".to_owned()), ("x-b".to_owned(), "${any}".to_owned())].into();
        let expected = Answer { status: Some(500), headers, content: Some(Content::Json(json!(1))) };
        assert_eq!(
            differences(|comparison| comparison.answer(&expected, &got)),
            ["answer.headers.x-a: c | b", "answer.headers.x-b: ${any} | (nothing)", "answer.json: 1 | broken"]
        );
    }

    #[test]
    fn events_dead_letters_and_rows_are_compared() {
        let expected = ExpectedEvent { subject: "a.b".to_owned(), content: Some(Content::Body("x".to_owned())) };
        let happened = Happened {
            published: vec![("a.b".to_owned(), b"y".to_vec()), ("a.c".to_owned(), b"z".to_vec())],
            refused: vec![("event a.b".to_owned(), "not text".to_owned())],
            ..Happened::default()
        };
        let found = differences(|comparison| {
            comparison.events(&[expected], &happened);
            comparison.refused(None, &happened);
            comparison.refused(Some("not"), &happened);
            comparison.refused(Some("late"), &Happened::default());
            comparison.rows(&[vec![json!("a"), json!(null)]], vec![vec![Cell::Blob(vec![1, 255]), Cell::Null]]);
        });
        assert_eq!(
            found,
            [
                "events[0].body: x | y",
                "events[1]: (nothing) | a.c z",
                "refused: (nothing) | event a.b: not text",
                "refused: late | (nothing)",
                "rows[0][0]: a | x'01ff'"
            ]
        );
    }
}
