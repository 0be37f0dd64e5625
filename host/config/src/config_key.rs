//! A setting that a plugin declares in its manifest.

use crate::plugins::secret_file;
use serde::{Deserialize, Serialize};

/// What an operator may give a plugin under one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigKey {
    /// What its values are.
    #[serde(rename = "type")]
    pub kind: ConfigType,
    /// Its value if nobody sets it; the plugin finds nothing if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<toml::Value>,
    /// The least that an integer may be, or the fewest bytes of a string or secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// The most that an integer may be, or the most bytes of a string or secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
    /// For operators to read.
    #[serde(default)]
    pub description: String,
}

/// The types that a declared setting may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConfigType {
    /// 64 bits, signed.
    Integer,
    /// Any text.
    String,
    /// `true` or `false`.
    Boolean,
    /// A text that the host shows to nobody but the plugin.
    Secret,
}

impl ConfigKey {
    /// Whether the declaration makes sense.
    ///
    /// # Errors
    /// Says what does not.
    pub fn check(&self) -> Result<(), String> {
        if self.kind == ConfigType::Boolean && (self.min.is_some() || self.max.is_some()) {
            return Err("a boolean has neither min nor max".to_owned());
        }
        if let (Some(min), Some(max)) = (self.min, self.max)
            && min > max
        {
            return Err(format!("min {min} is above max {max}"));
        }
        match &self.default {
            Some(_) if self.is_secret() => {
                Err("a secret has no default, because everybody can read a manifest".to_owned())
            }
            Some(default) => {
                self.toml_value(default).map(drop).map_err(|reason| format!("the default is wrong: {reason}"))
            }
            None => Ok(()),
        }
    }

    /// Whether its values must not be shown.
    pub fn is_secret(&self) -> bool {
        self.kind == ConfigType::Secret
    }

    /// The value as the plugin reads it, from a TOML value. The refusal of a secret
    /// does not show it.
    pub(super) fn toml_value(&self, value: &toml::Value) -> Result<String, String> {
        match (self.kind, value) {
            (ConfigType::Integer, toml::Value::Integer(number)) => self.integer(*number),
            (ConfigType::String | ConfigType::Secret, toml::Value::String(text)) => self.string(text),
            (ConfigType::Boolean, toml::Value::Boolean(flag)) => Ok(flag.to_string()),
            (ConfigType::Secret, toml::Value::Table(table)) => self.string(&secret_file::named_in(table)?),
            (ConfigType::Secret, _) => Err(format!("it is not {}", self.kind.article())),
            (kind, other) => Err(format!("`{other}` is not {}", kind.article())),
        }
    }

    /// The value as the plugin reads it, from a flag or the environment.
    pub(super) fn text_value(&self, text: &str) -> Result<String, String> {
        let wrong = || format!("`{text}` is not {}", self.kind.article());
        match self.kind {
            ConfigType::Integer => self.integer(text.trim().parse().map_err(|_| wrong())?),
            ConfigType::String | ConfigType::Secret => self.string(text),
            ConfigType::Boolean => match text.trim() {
                value @ ("true" | "false") => Ok(value.to_owned()),
                _ => Err(wrong()),
            },
        }
    }

    /// The default as the plugin reads it.
    pub(super) fn default_text(&self) -> Option<Result<String, String>> {
        self.default.as_ref().map(|value| self.toml_value(value))
    }

    fn integer(&self, number: i64) -> Result<String, String> {
        self.within(number, "")?;
        Ok(number.to_string())
    }

    fn string(&self, text: &str) -> Result<String, String> {
        self.within(i64::try_from(text.len()).unwrap_or(i64::MAX), " bytes")?;
        Ok(text.to_owned())
    }

    fn within(&self, number: i64, unit: &str) -> Result<(), String> {
        if let Some(min) = self.min
            && number < min
        {
            return Err(format!("{number}{unit} is below the least, {min}"));
        }
        if let Some(max) = self.max
            && number > max
        {
            return Err(format!("{number}{unit} is above the most, {max}"));
        }
        Ok(())
    }
}

impl ConfigType {
    fn article(self) -> &'static str {
        match self {
            Self::Integer => "an integer",
            Self::String => "a string",
            Self::Boolean => "true or false",
            Self::Secret => "a secret: a text or { file = \"PATH\" }",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> ConfigKey {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_declaration_that_contradicts_itself_is_refused() {
        assert!(key("type = 'integer'\nmin = 1\nmax = 10\ndefault = 5").check().is_ok());
        assert!(key("type = 'integer'\nmin = 2\nmax = 1").check().is_err());
        assert!(key("type = 'integer'\ndefault = 'x'").check().is_err());
        assert!(key("type = 'integer'\nmin = 1\ndefault = 0").check().is_err());
        assert!(key("type = 'boolean'\nmin = 1").check().is_err());
        assert!(key("type = 'secret'\nmin = 16").check().is_ok());
        assert!(key("type = 'secret'\ndefault = 'x'").check().unwrap_err().contains("no default"));
    }

    #[test]
    fn the_refusal_of_a_secret_does_not_show_it() {
        let secret = key("type = 'secret'\nmin = 8\nmax = 10");
        assert_eq!(secret.text_value("12345678").unwrap(), "12345678");
        assert_eq!(secret.text_value("7654321").unwrap_err(), "7 bytes is below the least, 8");
        assert_eq!(secret.text_value("76543217654321").unwrap_err(), "14 bytes is above the most, 10");
        for value in ["7654321", "true", "[ '7654321' ]", "{ path = '7654321' }", "{ file = 7654321 }"] {
            let value: toml::Table = toml::from_str(&format!("value = {value}")).unwrap();
            let refusal = secret.toml_value(&value["value"]).unwrap_err();
            assert!(refusal.contains("is not a secret: a text or { file") && !refusal.contains("7654321"), "{refusal}");
        }
    }

    #[test]
    fn values_are_checked_by_type_and_range() {
        let number = key("type = 'integer'\nmin = 1\nmax = 10");
        assert_eq!(number.text_value("7").unwrap(), "7");
        assert!(number.text_value("7s").unwrap_err().contains("`7s`"));
        assert!(number.text_value("11").unwrap_err().contains("10"));
        assert!(number.toml_value(&toml::Value::Boolean(true)).is_err());
        let text = key("type = 'string'\nmax = 3");
        assert_eq!(text.text_value("abc").unwrap(), "abc");
        assert!(text.text_value("abcd").is_err());
        let flag = key("type = 'boolean'");
        assert_eq!(flag.text_value("true").unwrap(), "true");
        assert!(flag.text_value("yes").is_err());
    }
}
