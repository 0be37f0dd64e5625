//! Parameters of statements.

use crate::store::Value;
use crate::time::Timestamp;

/// The placeholders of parameters for a list in SQL: `$2, $3, $4`.
pub fn placeholders(first: usize, last: usize) -> String {
    (first..=last).map(|number| format!("${number}")).collect::<Vec<String>>().join(", ")
}

/// The parameters of a statement: `params![id, version, None::<&str>]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$($crate::store::Value::from($value)),*]
    };
}

/// A value for each of these types.
macro_rules! from {
    ($($type:ty: |$value:ident| $made:expr),* $(,)?) => {
        $(impl From<$type> for Value {
            fn from($value: $type) -> Self {
                $made
            }
        })*
    };
}

from! {
    &str: |text| Self::Text(text.to_owned()),
    &String: |text| Self::Text(text.clone()),
    String: |text| Self::Text(text),
    &[u8]: |bytes| Self::Blob(bytes.to_vec()),
    Vec<u8>: |bytes| Self::Blob(bytes),
    i64: |integer| Self::Integer(integer),
    i32: |integer| Self::Integer(integer.into()),
    u32: |integer| Self::Integer(integer.into()),
    f64: |real| Self::Real(real),
    bool: |truth| Self::Integer(truth.into()),
    Timestamp: |time| Self::Integer(time.0),
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_have_the_types_of_sql() {
        let parameters = params!["a", 3, true, 1.5, Timestamp(7), None::<i64>, &[1_u8][..]];
        assert!(matches!(
            parameters,
            [
                Value::Text(_),
                Value::Integer(3),
                Value::Integer(1),
                Value::Real(_),
                Value::Integer(7),
                Value::Null,
                Value::Blob(_)
            ]
        ));
    }

    #[test]
    fn placeholders_are_numbered() {
        assert_eq!(placeholders(2, 4), "$2, $3, $4");
    }
}
