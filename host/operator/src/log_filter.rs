//! The lines of a log that a reader wants.

use serde::Deserialize;
use serde_json::Value;
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
        LogFilter { level, text: text.map(str::to_owned) }.in_small_letters()
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
    fn a_line_that_cannot_be_read_is_not_hidden() {
        assert!(filter(Some(Level::Error), Some("x")).wants("no JSON"));
        assert!(filter(Some(Level::Error), None).wants(r#"{"level":"NOTICE"}"#));
    }
}
