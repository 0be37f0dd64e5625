//! Email addresses and passwords of accounts.

use email_address::{EmailAddress, Options};

const PASSWORD_CHARACTERS: std::ops::RangeInclusive<usize> = 8..=128;

/// An email address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Email {
    /// The address that the user gave, without the spaces around it.
    pub(crate) address: String,
    /// The address in lower case. Two spellings of one address have the same key.
    pub(crate) key: String,
}

impl Email {
    /// Makes an address of any text. Use it to look an account up.
    pub(crate) fn unchecked(text: &str) -> Self {
        let address = text.trim().to_owned();
        let key = address.to_lowercase();
        Self { address, key }
    }

    /// Parses an address for a new account. It must have the form of an address
    /// that can receive mail.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let email = Self::unchecked(text);
        let options = Options::default().with_required_tld().without_domain_literal().without_display_text();
        match EmailAddress::parse_with_options(&email.address, options) {
            Ok(_) => Ok(email),
            Err(_) => Err("email must be a valid address".to_owned()),
        }
    }
}

/// Checks the password of a new account. Any characters are allowed.
pub(crate) fn new_password(text: &str) -> Result<String, String> {
    if PASSWORD_CHARACTERS.contains(&text.chars().count()) {
        Ok(text.to_owned())
    } else {
        Err("password must be between 8 and 128 characters".to_owned())
    }
}

/// Checks that a field is not empty.
pub(crate) fn required(name: &str, text: &str) -> Result<String, String> {
    if text.is_empty() { Err(format!("{name} is required")) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_an_address_have_one_key() {
        let one = Email::parse(" Ann@Example.COM ").unwrap();
        assert_eq!(one.address, "Ann@Example.COM");
        assert_eq!(one.key, Email::parse("ann@example.com").unwrap().key);
    }

    #[test]
    fn a_text_that_is_not_an_address_is_refused() {
        for text in [
            "",
            " ",
            "ann",
            "ann@",
            "@example.com",
            "ann@localhost",
            "a b@example.com",
            "Ann <ann@example.com>",
            "ann@[127.0.0.1]",
            "ann@example.com\nbcc: bob@example.com",
        ] {
            assert!(Email::parse(text).is_err(), "{text:?}");
        }
        assert!(Email::parse("ann+tickets@mail.example.co.uk").is_ok());
        assert!(Email::parse(&format!("{}@example.com", "a".repeat(300))).is_err());
    }

    #[test]
    fn passwords_are_measured_in_characters() {
        assert!(new_password("short12").is_err());
        assert!(new_password("ünïcödé!").is_ok());
        assert!(new_password(&"é".repeat(128)).is_ok());
        assert!(new_password(&"é".repeat(129)).is_err());
    }
}
