//! The settings that the manifest declares and the operator sets.
//!
//! `ticketing plugin config NAME KEY=VALUE` sets one. The host checks the value against its declaration before a
//! component reads it.
//!
//! ```no_run
//! # fn example() -> ticketing_sdk::Result<()> {
//! use ticketing_sdk::settings::{self, Secret};
//!
//! let word: String = settings::get("word")?;
//! let open: bool = settings::get("open")?;
//! let hosts: Vec<String> = settings::get("hosts")?;
//! let key: Option<Secret> = settings::find("api-key")?;
//! # Ok(())
//! # }
//! ```

use std::fmt::{Debug, Formatter};

use crate::bindings::imports::wasi::config;
use crate::error::{Error, Result};

/// A type that a setting can be read as.
pub trait Setting: Sized {
    /// The type in words, for the error.
    const EXPECTED: &'static str;

    /// Reads the text of the setting. None if it is not of the type.
    fn read(text: String) -> Option<Self>;
}

/// The value of a setting. The error is [`Error::Internal`] if the manifest does not declare it, if it has no value, or
/// if the value is of another type.
pub fn get<T: Setting>(key: &str) -> Result<T> {
    find(key)?.ok_or_else(|| Error::Internal(format!("setting `{key}` is not declared, or has no value")))
}

/// The value of a setting, or none if it has no value. The error is [`Error::Internal`] if the value is of another type.
pub fn find<T: Setting>(key: &str) -> Result<Option<T>> {
    let text = config::store::get(key).map_err(|error| Error::Unavailable(format!("setting `{key}`: {error}")))?;
    text.map(|text| read(key, text)).transpose()
}

fn read<T: Setting>(key: &str, text: String) -> Result<T> {
    T::read(text).ok_or_else(|| Error::Internal(format!("setting `{key}` is not {}", T::EXPECTED)))
}

/// For a setting of the type `string`.
impl Setting for String {
    const EXPECTED: &'static str = "a text";

    fn read(text: String) -> Option<Self> {
        Some(text)
    }
}

/// For a setting of the type `integer`.
impl Setting for i64 {
    const EXPECTED: &'static str = "an integer";

    fn read(text: String) -> Option<Self> {
        text.parse().ok()
    }
}

/// For a setting of the type `boolean`.
impl Setting for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(text: String) -> Option<Self> {
        text.parse().ok()
    }
}

/// For a setting of the type `string` with parts between commas. Spaces around a part and empty parts do not count.
impl Setting for Vec<String> {
    const EXPECTED: &'static str = "a list";

    fn read(text: String) -> Option<Self> {
        Some(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
    }
}

/// The value of a setting of the type `secret`. It does not get into a log by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Debug for Secret {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(...)")
    }
}

impl Setting for Secret {
    const EXPECTED: &'static str = "a secret";

    fn read(text: String) -> Option<Self> {
        Some(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<T: Setting>(text: &str) -> Result<T> {
        read("key", text.to_owned())
    }

    #[test]
    fn a_setting_is_read_as_its_type() {
        assert_eq!(value::<i64>("-3").unwrap(), -3);
        assert!(value::<bool>("true").unwrap());
        assert_eq!(value::<Vec<String>>(" a, b,,c ").unwrap(), ["a", "b", "c"]);
        assert_eq!(value::<Vec<String>>("").unwrap(), [""; 0]);
        assert_eq!(value::<i64>("three").unwrap_err().to_string(), "setting `key` is not an integer");
        assert_eq!(value::<bool>("yes").unwrap_err().to_string(), "setting `key` is not true or false");
    }

    #[test]
    fn a_secret_is_not_printed() {
        let secret = value::<Secret>("sesame").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(...)");
        assert_eq!(secret.expose(), "sesame");
    }
}
