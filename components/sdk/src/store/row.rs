//! Rows of results, and the types that are read from them.

use crate::error::{Error, Result};
use crate::store::Value;
use crate::time::Timestamp;

/// A type that is read from a row.
///
/// ```
/// use ticketing_sdk::Result;
/// use ticketing_sdk::store::{FromRow, Row};
///
/// struct Visitor {
///     who: String,
///     email: Option<String>,
/// }
///
/// impl FromRow for Visitor {
///     fn from_row(row: &mut Row<'_>) -> Result<Self> {
///         Ok(Self { who: row.get("who")?, email: row.get("email")? })
///     }
/// }
/// ```
pub trait FromRow: Sized {
    /// Takes the values out of the row.
    fn from_row(row: &mut Row<'_>) -> Result<Self>;
}

/// A type that is read from one value of a row.
pub trait FromValue: Sized {
    /// The type in words, for the error.
    const EXPECTED: &'static str;

    /// Reads the value. None if it is of another type.
    fn from_value(value: Value) -> Option<Self>;
}

/// A row of a result. A value is found by the name of its column, and can be
/// taken once.
pub struct Row<'a> {
    columns: &'a [String],
    values: Vec<Value>,
}

impl<'a> Row<'a> {
    pub(super) fn new(columns: &'a [String], values: Vec<Value>) -> Self {
        Self { columns, values }
    }

    /// Takes a value of any type.
    pub fn get<T: FromValue>(&mut self, column: &str) -> Result<T> {
        let index = self.columns.iter().position(|name| name == column);
        let index = index.ok_or_else(|| column_error(column, "absent"))?;
        self.take(index)
    }

    /// Takes a text.
    pub fn text(&mut self, column: &str) -> Result<String> {
        self.get(column)
    }

    /// Takes a text or null.
    pub fn optional_text(&mut self, column: &str) -> Result<Option<String>> {
        self.get(column)
    }

    /// Takes bytes.
    pub fn blob(&mut self, column: &str) -> Result<Vec<u8>> {
        self.get(column)
    }

    /// Takes an integer.
    pub fn integer(&mut self, column: &str) -> Result<i64> {
        self.get(column)
    }

    /// Takes an integer or null.
    pub fn optional_integer(&mut self, column: &str) -> Result<Option<i64>> {
        self.get(column)
    }

    fn take<T: FromValue>(&mut self, index: usize) -> Result<T> {
        let column = self.columns.get(index).map_or("", String::as_str);
        let value = self.values.get_mut(index).ok_or_else(|| column_error(column, "absent"))?;
        let value = std::mem::replace(value, Value::Null);
        let is_null = matches!(value, Value::Null);
        T::from_value(value).ok_or_else(|| match is_null {
            true => column_error(column, "null"),
            false => column_error(column, &format!("not {}", T::EXPECTED)),
        })
    }

    fn expect_columns(&self, count: usize) -> Result<()> {
        match self.columns.len() {
            found if found == count => Ok(()),
            found => Err(Error::Internal(format!("the row has {found} columns and not {count}"))),
        }
    }
}

fn column_error(column: &str, problem: &str) -> Error {
    Error::Internal(format!("column `{column}` is {problem}"))
}

/// Reads each of these types from one kind of value.
macro_rules! from_value {
    ($($type:ty, $expected:literal: $value:pat => $read:expr);* $(;)?) => {
        $(impl FromValue for $type {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: Value) -> Option<Self> {
                match value {
                    $value => $read,
                    _ => None,
                }
            }
        })*
    };
}

from_value! {
    String, "a text": Value::Text(text) => Some(text);
    Vec<u8>, "bytes": Value::Blob(bytes) => Some(bytes);
    i64, "an integer": Value::Integer(integer) => Some(integer);
    u32, "an integer from 0 to 4294967295": Value::Integer(integer) => integer.try_into().ok();
    f64, "a real": Value::Real(real) => Some(real);
    bool, "0 or 1": Value::Integer(truth @ (0 | 1)) => Some(truth == 1);
    Timestamp, "a time in milliseconds": Value::Integer(ms) => Some(Self(ms));
}

impl<T: FromValue> FromValue for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// For rows of one column.
impl<T: FromValue> FromRow for T {
    fn from_row(row: &mut Row<'_>) -> Result<Self> {
        row.expect_columns(1)?;
        row.take(0)
    }
}

/// Reads tuples from rows with as many columns, in the order of the columns.
macro_rules! tuples {
    ($($count:literal: $($type:ident $index:literal),*;)*) => {
        $(impl<$($type: FromValue),*> FromRow for ($($type,)*) {
            fn from_row(row: &mut Row<'_>) -> Result<Self> {
                row.expect_columns($count)?;
                Ok(($(row.take::<$type>($index)?,)*))
            }
        })*
    };
}

tuples! {
    1: A 0;
    2: A 0, B 1;
    3: A 0, B 1, C 2;
    4: A 0, B 1, C 2, D 3;
    5: A 0, B 1, C 2, D 3, E 4;
    6: A 0, B 1, C 2, D 3, E 4, F 5;
    7: A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    8: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params;

    fn columns<const COUNT: usize>(names: [&str; COUNT]) -> [String; COUNT] {
        names.map(str::to_owned)
    }

    #[test]
    fn values_are_taken_by_name_and_type() {
        let columns = columns(["id", "count", "note", "data"]);
        let mut row = Row::new(&columns, params!["a", 3, None::<&str>, vec![1_u8]].to_vec());
        assert_eq!(row.text("id").unwrap(), "a");
        assert_eq!(row.integer("count").unwrap(), 3);
        assert_eq!(row.optional_text("note").unwrap(), None);
        assert_eq!(row.blob("data").unwrap(), [1]);
        assert_eq!(row.text("note").unwrap_err().to_string(), "column `note` is null");
        assert_eq!(row.text("absent").unwrap_err().to_string(), "column `absent` is absent");
    }

    #[test]
    fn a_tuple_has_the_columns_in_their_order() {
        let columns = columns(["who", "open", "seen_ms", "far"]);
        let values = params!["anna", true, 7, 1.5].to_vec();
        let read = <(String, bool, Timestamp, f64)>::from_row(&mut Row::new(&columns, values.clone())).unwrap();
        assert_eq!(read, ("anna".to_owned(), true, Timestamp(7), 1.5));
        let fewer = <(String, bool)>::from_row(&mut Row::new(&columns, values.clone())).unwrap_err();
        assert_eq!(fewer.to_string(), "the row has 4 columns and not 2");
        let other = <(i64, bool, i64, f64)>::from_row(&mut Row::new(&columns, values)).unwrap_err();
        assert_eq!(other.to_string(), "column `who` is not an integer");
    }

    #[test]
    fn a_row_of_one_column_is_its_value() {
        let columns = columns(["count"]);
        assert_eq!(i64::from_row(&mut Row::new(&columns, params![3].to_vec())).unwrap(), 3);
        assert_eq!(Option::<i64>::from_row(&mut Row::new(&columns, params![None::<i64>].to_vec())).unwrap(), None);
        assert!(u32::from_row(&mut Row::new(&columns, params![-1].to_vec())).is_err());
    }
}
