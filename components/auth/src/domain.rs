//! What an account may look like.

use email_address::{EmailAddress, Options};

const PASSWORD_CHARACTERS: std::ops::RangeInclusive<usize> = 8..=128;

/// An address, as it was given and as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Email {
    /// Without the space around it.
    pub(crate) address: String,
    /// In lower case: the same for all spellings of an address.
    pub(crate) key: String,
}

impl Email {
    /// Any text, for looking it up.
    pub(crate) fn lenient(text: &str) -> Self {
        let address = text.trim().to_owned();
        let key = address.to_lowercase();
        Self { address, key }
    }

    /// An address that mail can be sent to, as far as its form shows.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let email = Self::lenient(text);
        let options = Options::default().with_required_tld().without_domain_literal().without_display_text();
        match EmailAddress::parse_with_options(&email.address, options) {
            Ok(_) => Ok(email),
            Err(_) => Err("email must be a valid address".to_owned()),
        }
    }
}

/// A password for a new account: any characters, within the length.
pub(crate) fn new_password(text: &str) -> Result<String, String> {
    if PASSWORD_CHARACTERS.contains(&text.chars().count()) {
        Ok(text.to_owned())
    } else {
        Err("password must be between 8 and 128 characters".to_owned())
    }
}

/// Anything but nothing.
pub(crate) fn present(name: &str, text: &str) -> Result<String, String> {
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
    fn what_is_no_address_is_refused() {
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
