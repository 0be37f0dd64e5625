//! The fields of a JSON body. A reader function checks each field, and all
//! problems are reported at once.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::error::{Error, Problem, Result};
use crate::json;

/// The fields of a body, and the problems found in them so far.
///
/// ```
/// # fn read(body: &[u8]) -> ticketing_sdk::Result<(String, String)> {
/// let mut fields = ticketing_sdk::Fields::parse(body)?;
/// let from = fields.text("from", |text| Ok(text.to_owned()));
/// let to = fields.text("to", |text| Ok(text.to_owned()));
/// let (Some(from), Some(to)) = (from, to) else {
///     return Err(fields.into_error());
/// };
/// # Ok((from, to))
/// # }
/// # assert!(read(b"{}").is_err());
/// # assert!(read(br#"{"from": "a", "to": "b"}"#).is_ok());
/// ```
pub struct Fields<'a> {
    values: BTreeMap<String, &'a RawValue>,
    problems: Vec<Problem>,
}

impl<'a> Fields<'a> {
    /// Parses a JSON object. An empty body counts as an empty object.
    pub fn parse(body: &'a [u8]) -> Result<Self> {
        let values = if body.iter().all(u8::is_ascii_whitespace) {
            BTreeMap::new()
        } else {
            serde_json::from_slice(body)
                .map_err(|_| Error::bad_request("The body must be an object in well-formed JSON"))?
        };
        Ok(Self { values, problems: Vec::new() })
    }

    /// Reads a field from its JSON text, exactly as the client sent it. The
    /// reader gets `None` if the field is absent or null.
    pub fn json<T>(&mut self, name: &str, read: impl FnOnce(Option<&'a str>) -> Result<T, String>) -> Option<T> {
        let json = self.values.get(name).map(|value| value.get());
        match read(json.filter(|json| *json != "null")) {
            Ok(value) => Some(value),
            Err(message) => self.refuse(name.to_owned(), message),
        }
    }

    /// Reads a required field that must be a string.
    pub fn text<T>(&mut self, name: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.json(name, |json| {
            let json = json.ok_or_else(|| format!("{name} is required"))?;
            let text: String = serde_json::from_str(json).map_err(|_| format!("{name} must be a string"))?;
            // PostgreSQL cannot store it in a text column.
            if text.contains('\0') {
                return Err(format!("{name} must not contain a NUL"));
            }
            read(&text)
        })
    }

    /// Reads a required field of any type.
    pub fn required<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        match self.optional(name)? {
            Some(value) => Some(value),
            None => self.refuse(name.to_owned(), format!("{name} is required")),
        }
    }

    /// Reads a field of any type that may be absent or null. `None` says that the
    /// field is wrong, and `Some(None)` that it is absent.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Option<Option<T>> {
        let json = self.values.get(name).map_or("null", |value| value.get());
        match json::read(json.as_bytes()) {
            Ok(value) => Some(value),
            Err(json::Mismatch::Field { path, message }) if !path.is_empty() => {
                let separator = if path.starts_with('[') { "" } else { "." };
                self.refuse(format!("{name}{separator}{path}"), message)
            }
            Err(mismatch) => self.refuse(name.to_owned(), format!("{name}: {mismatch}")),
        }
    }

    fn refuse<T>(&mut self, field: String, message: String) -> Option<T> {
        self.problems.push(Problem { message, field: Some(field) });
        None
    }

    /// 400 with all problems.
    pub fn into_error(self) -> Error {
        Error::invalid(self.problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let mut fields = Fields::parse(br#"{"a": 1, "b": null}"#).unwrap();
        assert_eq!(fields.text("a", same), None);
        assert_eq!(fields.text("b", same), None);
        assert_eq!(fields.text("c", |_| Err::<(), _>("no".to_owned())), None);
        let Error::Refused { status, problems, .. } = fields.into_error() else {
            panic!("not a refusal");
        };
        assert_eq!(status, 400);
        let reported: Vec<_> =
            problems.iter().map(|problem| (problem.field.as_deref().unwrap(), problem.message.as_str())).collect();
        assert_eq!(reported, [("a", "a must be a string"), ("b", "b is required"), ("c", "c is required"),]);
    }

    #[test]
    fn a_field_has_any_type() {
        let mut fields = Fields::parse(br#"{"count": 3, "names": ["a", 1], "far": null}"#).unwrap();
        assert_eq!(fields.required::<u8>("count"), Some(3));
        assert_eq!(fields.optional::<u8>("far"), Some(None));
        assert_eq!(fields.required::<Vec<String>>("names"), None);
        assert_eq!(fields.required::<bool>("count"), None);
        assert_eq!(fields.required::<bool>("open"), None);
        let Error::Refused { problems, .. } = fields.into_error() else { panic!("not a refusal") };
        let reported: Vec<_> =
            problems.iter().map(|problem| (problem.field.as_deref().unwrap(), problem.message.as_str())).collect();
        assert_eq!(
            reported,
            [
                ("names[1]", "invalid type: integer `1`, expected a string"),
                ("count", "count: invalid type: integer `3`, expected a boolean"),
                ("open", "open is required"),
            ]
        );
    }

    #[test]
    fn numbers_keep_the_text_that_the_client_sent() {
        let mut fields = Fields::parse(br#"{"price": 19.990}"#).unwrap();
        let json = fields.json("price", |json| Ok(json.unwrap_or_default().to_owned()));
        assert_eq!(json.as_deref(), Some("19.990"));
    }

    #[test]
    fn a_body_that_is_not_an_object_is_refused() {
        for body in [&b"{"[..], b"[]", b"1", b"\"a\"", b"{} x", b"\xff"] {
            assert!(Fields::parse(body).is_err(), "{body:?}");
        }
        assert!(Fields::parse(b"").is_ok());
    }
}
