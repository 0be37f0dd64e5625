//! The lines of a log that a reader wants.

use host_http::error::Problem;
use host_telemetry::KEPT_LINES;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use std::{collections::VecDeque, sync::Arc};
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LogFilter {
    /// Only lines of this level and of more important ones.
    #[param(inline)]
    level: Option<Level>,
    /// Only lines with this text in a value, in any case.
    text: Option<String>,
    /// First the newest of the lines that the host has kept, 0 to 500. Left out: none, or all since `since_ms`.
    pub(super) last: Option<usize>,
    /// Of the lines that the host has kept, only those since this time, in milliseconds since the Unix epoch.
    pub(super) since_ms: Option<u64>,
    /// Whether the lines from now on follow. Left out: true.
    pub(super) follow: Option<bool>,
}

/// How important a line is, the most important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogFilter {
    /// The filter that compares texts in small letters.
    pub(super) fn in_small_letters(self) -> Self {
        Self { text: self.text.map(|text| text.to_lowercase()), ..self }
    }

    /// The lines from before that the reader wants.
    ///
    /// # Errors
    /// 400 when it asks for more than the host keeps.
    pub(super) fn kept(&self, kept: Vec<Arc<str>>) -> Result<VecDeque<Arc<str>>, Problem> {
        let last = match (self.last, self.since_ms) {
            (Some(last), _) if last > KEPT_LINES => {
                let problem = format!("last must be 0 to {KEPT_LINES}");
                return Err(Problem::new(StatusCode::BAD_REQUEST, problem).for_field("last"));
            }
            (Some(last), _) => last,
            (None, Some(_)) => KEPT_LINES,
            (None, None) => 0,
        };
        let mut wanted: VecDeque<_> = kept.into_iter().filter(|line| self.wants(line)).collect();
        wanted.drain(..wanted.len().saturating_sub(last));
        Ok(wanted)
    }

    /// Whether the reader wants a line, which is a JSON object.
    pub(super) fn wants(&self, line: &str) -> bool {
        if self.level.is_none() && self.text.is_none() {
            return true;
        }
        let Ok(line) = serde_json::from_str::<Value>(line) else { return true };
        let has_level = self.level.is_none_or(|most| level_of(&line).is_none_or(|level| level <= most));
        has_level && self.text.as_deref().is_none_or(|text| contains(&line, text))
    }
}

fn level_of(line: &Value) -> Option<Level> {
    let level = line.get("level")?.as_str()?.to_lowercase();
    serde_json::from_value(level.into()).ok()
}

/// Whether a value below this one contains the text, which is in small letters.
fn contains(value: &Value, text: &str) -> bool {
    match value {
        Value::String(value) => value.to_lowercase().contains(text),
        Value::Array(items) => items.iter().any(|item| contains(item, text)),
        Value::Object(fields) => fields.values().any(|field| contains(field, text)),
        other => other.to_string().contains(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(level: Option<Level>, text: Option<&str>) -> LogFilter {
        LogFilter { level, text: text.map(str::to_owned), ..LogFilter::default() }.in_small_letters()
    }

    #[test]
    fn lines_pass_by_level_and_by_text_in_any_field() {
        let line = r#"{"level":"WARN","message":"The \"Seat\" is gone","span":{"id":"r-17","count":42}}"#;
        for level in [Level::Warn, Level::Info, Level::Trace] {
            assert!(filter(Some(level), None).wants(line), "{level:?}");
        }
        assert!(!filter(Some(Level::Error), None).wants(line));
        for text in ["the \"seat\"", "R-17", "42", ""] {
            assert!(filter(None, Some(text)).wants(line), "{text}");
        }
        assert!(!filter(None, Some("level")).wants(line), "the name of a field is no value");
        assert!(!filter(Some(Level::Error), Some("seat")).wants(line));
        assert!(filter(None, None).wants(line));
    }

    #[test]
    fn the_newest_lines_that_pass_come_first() {
        let lines: Vec<Arc<str>> = ["one", "two", "one more", "three"].map(|text| format!("[{text:?}]").into()).into();
        let kept = |last, since_ms| {
            let filter = LogFilter { text: Some("o".to_owned()), last, since_ms, ..LogFilter::default() };
            filter.kept(lines.clone()).map(|kept| kept.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(kept(Some(2), None).unwrap(), ["[\"two\"]", "[\"one more\"]"]);
        assert_eq!((kept(None, None).unwrap().len(), kept(None, Some(1)).unwrap().len()), (0, 3));
        assert_eq!((kept(Some(0), Some(1)).unwrap().len(), kept(Some(500), None).unwrap().len()), (0, 3));
        assert!(kept(Some(501), None).is_err());
    }

    #[test]
    fn a_line_that_cannot_be_read_is_not_hidden() {
        assert!(filter(Some(Level::Error), Some("x")).wants("no JSON"));
        assert!(filter(Some(Level::Error), None).wants(r#"{"level":"NOTICE"}"#));
    }
}
