//! Reading JSON into a type, with errors that name the field.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::error::{Error, Problem, Result};

/// The reason why a text is not the JSON of a type.
pub(crate) enum Mismatch {
    /// It is not JSON.
    NotJson(serde_json::Error),
    /// A field is wrong. The path is empty for the whole value.
    Field { path: String, message: String },
}

/// Reads a value of a type.
pub(crate) fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Mismatch> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        Mismatch::of(error.into_inner(), &path)
    })?;
    deserializer.end().map_err(Mismatch::NotJson)?;
    Ok(value)
}

impl Mismatch {
    fn of(error: serde_json::Error, path: &str) -> Self {
        if error.classify() != Category::Data {
            return Self::NotJson(error);
        }
        // The path of the whole value is a dot.
        let path = if path == "." { "" } else { path };
        let message = without_position(&error.to_string()).to_owned();
        // The path of an absent field ends at the value that should have it.
        match message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            Some(absent) => {
                let separator = if path.is_empty() { "" } else { "." };
                let path = format!("{path}{separator}{absent}");
                Self::Field { message: format!("{path} is required"), path }
            }
            None => Self::Field { path: path.to_owned(), message },
        }
    }
}

/// A message of `serde_json` without the line and the column, which help nobody.
fn without_position(message: &str) -> &str {
    message.rsplit_once(" at line ").map_or(message, |(message, _)| message)
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotJson(error) => write!(formatter, "not well-formed JSON: {error}"),
            Self::Field { path, message } if path.is_empty() => formatter.write_str(message),
            Self::Field { path, message } => write!(formatter, "{path}: {message}"),
        }
    }
}

/// 400 for a request.
impl From<Mismatch> for Error {
    fn from(mismatch: Mismatch) -> Self {
        match mismatch {
            Mismatch::NotJson(_) => Self::bad_request("The body must be well-formed JSON"),
            Mismatch::Field { path, message } => {
                let field = (!path.is_empty()).then_some(path);
                Self::invalid(vec![Problem { message, field }])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Order {
        lines: Vec<Line>,
    }

    #[derive(Debug, Deserialize)]
    struct Line {
        count: u32,
    }

    fn refusal(text: &str) -> (Option<String>, String) {
        let error = read::<Order>(text.as_bytes()).map_err(Error::from).unwrap_err();
        let Error::Refused { status: 400, problems, .. } = error else { panic!("{error:?}") };
        let [Problem { message, field }] = problems.try_into().unwrap();
        (field, message)
    }

    #[test]
    fn an_error_names_the_field() {
        let (field, message) = refusal(r#"{"lines": [{"count": 1}, {"count": "two"}]}"#);
        assert_eq!(field.as_deref(), Some("lines[1].count"));
        assert_eq!(message, "invalid type: string \"two\", expected u32");
        assert_eq!(refusal("{}"), (Some("lines".to_owned()), "lines is required".to_owned()));
        let (field, message) = refusal(r#"{"lines": [{}]}"#);
        assert_eq!((field.as_deref(), message.as_str()), (Some("lines[0].count"), "lines[0].count is required"));
        assert_eq!(refusal("7").0, None);
    }

    #[test]
    fn what_is_no_json_has_no_field() {
        for text in ["", "{", r#"{"lines": []} x"#] {
            assert_eq!(refusal(text), (None, "The body must be well-formed JSON".to_owned()), "{text}");
        }
    }

    #[test]
    fn a_value_is_read() {
        let order: Order = read(br#"{"lines": [{"count": 3}]}"#).ok().unwrap();
        assert_eq!(order.lines.iter().map(|line| line.count).sum::<u32>(), 3);
    }
}
