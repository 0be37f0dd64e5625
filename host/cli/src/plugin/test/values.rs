//! Values of a test file, and the names in them. `${any}` stands for any text or value. Another
//! name, such as `${id}`, takes what it stands for the first time, and stands for the same later.

use serde_json::Value;
use std::collections::BTreeMap;

/// Stands for anything, each time for something else.
const ANY: &str = "any";
/// Stands for the null of JSON and SQL, which TOML does not have.
const NULL: &str = "${null}";

/// The values that names stand for.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, Value>);

/// A piece of a text with names.
enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

impl Names {
    /// The text with the values of its names.
    ///
    /// # Errors
    /// A name stands for nothing yet.
    pub(super) fn fill(&self, text: &str) -> Result<String, String> {
        let pieces = pieces(text).into_iter().map(|piece| match piece {
            Piece::Text(text) => Ok(text.to_owned()),
            Piece::Name(name) => match self.0.get(name) {
                Some(value) => Ok(shown(value)),
                None => Err(format!("no earlier step has found ${{{name}}}")),
            },
        });
        pieces.collect()
    }

    /// The value with the values of its names.
    ///
    /// # Errors
    /// A name stands for nothing yet.
    pub(super) fn fill_value(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => match whole_name(text).and_then(|name| self.0.get(name)) {
                Some(value) => value.clone(),
                None => Value::String(self.fill(text)?),
            },
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.fill_value(item)).collect::<Result<_, _>>()?)
            }
            Value::Object(entries) => {
                let filled = entries.iter().map(|(key, value)| Ok::<_, String>((key.clone(), self.fill_value(value)?)));
                Value::Object(filled.collect::<Result<_, _>>()?)
            }
            other => other.clone(),
        })
    }

    /// Whether a text is as expected.
    pub(super) fn match_text(&mut self, expected: &str, got: &str) -> bool {
        let pieces = pieces(expected);
        let mut found: Vec<(&str, &str)> = Vec::new();
        let mut rest = got;
        // The name whose text ends where the next piece begins.
        let mut open: Option<&str> = None;
        for (index, piece) in pieces.iter().enumerate() {
            let known = match piece {
                Piece::Text(text) => Some((*text).to_owned()),
                Piece::Name(name) => self.0.get(*name).map(shown),
            };
            let Some(text) = known else {
                if let Piece::Name(name) = piece {
                    // Two names side by side: the first one stands for nothing.
                    found.extend(open.replace(*name).map(|before| (before, "")));
                }
                continue;
            };
            let place = match open {
                None => rest.starts_with(&text).then_some(0),
                Some(_) if index + 1 == pieces.len() => rest.ends_with(&text).then(|| rest.len() - text.len()),
                Some(_) => rest.find(&text),
            };
            let Some(place) = place else { return false };
            found.extend(open.take().map(|name| (name, rest.get(..place).unwrap_or_default())));
            rest = rest.get(place + text.len()..).unwrap_or_default();
        }
        match open {
            Some(name) => found.push((name, rest)),
            None if !rest.is_empty() => return false,
            None => {}
        }
        found.into_iter().all(|(name, text)| self.stands_for(name, &Value::String(text.to_owned())))
    }

    /// Whether a name stands for this value. A new name does from now on.
    pub(super) fn stands_for(&mut self, name: &str, value: &Value) -> bool {
        name == ANY || self.0.entry(name.to_owned()).or_insert_with(|| value.clone()) == value
    }
}

/// A value of TOML as JSON. A moment becomes its text.
pub(super) fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) if text == NULL => Value::Null,
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(moment) => moment.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(entries) => entries.into_iter().map(|(key, value)| (key, json(value))).collect(),
    }
}

/// A value for people: a text without quotation marks.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The name, if the text is nothing else.
pub(super) fn whole_name(text: &str) -> Option<&str> {
    match pieces(text).as_slice() {
        [Piece::Name(name)] => Some(name),
        _ => None,
    }
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    let mut plain = 0;
    while let Some(start) = rest.get(plain..).and_then(|tail| tail.find("${")).map(|start| start + plain) {
        let inside = rest.get(start + 2..).unwrap_or_default();
        match inside.split_once('}') {
            Some((name, after)) if is_name(name) => {
                pieces.extend(rest.get(..start).filter(|text| !text.is_empty()).map(Piece::Text));
                pieces.push(Piece::Name(name));
                (rest, plain) = (after, 0);
            }
            _ => plain = start + 2,
        }
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_takes_a_value_once_and_stands_for_it_later() {
        let mut names = Names::default();
        assert!(names.match_text("/things/${id}", "/things/7f"));
        assert_eq!(names.fill("GET /things/${id}/${id}").unwrap(), "GET /things/7f/7f");
        assert!(names.match_text("is ${id}!", "is 7f!") && !names.match_text("is ${id}!", "is 8f!"));
        assert_eq!(names.fill("${other}").unwrap_err(), "no earlier step has found ${other}");
        assert!(names.stands_for("number", &json!(5)) && !names.stands_for("number", &json!(6)));
        assert_eq!(names.fill_value(&json!({ "a": ["${number}", "n${number}"] })).unwrap(), json!({ "a": [5, "n5"] }));
    }

    #[test]
    fn a_text_matches_around_its_names() {
        for (expected, got, matches) in [
            ("", "", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("a${any}", "a", true),
            ("${any}b", "ab", true),
            ("${any}b", "ba", false),
            ("a${any}c${any}e", "abcde", true),
            ("a${any}c", "acc", true),
            ("${any}${any}", "x", true),
            ("${x} and ${x}", "a and a", true),
            ("${y} and ${y}", "a and b", false),
            ("a ${b", "a ${b", true),
            ("${A} ${", "${A} ${", true),
            ("ä${any}ö", "äüö", true),
        ] {
            assert_eq!(Names::default().match_text(expected, got), matches, "{expected} {got}");
        }
    }

    #[test]
    fn values_of_toml_become_json() {
        let table: toml::Table = toml::from_str("a = '${null}'\nb = [1, 1.5, true]\nc = 2026-01-31T12:00:00Z").unwrap();
        let expected = json!({ "a": null, "b": [1, 1.5, true], "c": "2026-01-31T12:00:00Z" });
        assert_eq!(json(table.into()), expected);
        assert_eq!([shown(&json!("x")), shown(&json!([1]))], ["x", "[1]"]);
    }
}
