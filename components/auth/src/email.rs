//! Email addresses, also international ones (RFC 6531).

use std::borrow::Cow;

use email_address::{EmailAddress, Options};

const NOT_AN_ADDRESS: &str = "email must be a valid address, such as name@example.com";

/// The longest local part (RFC 5321, section 4.5.3.1.1).
const LOCAL_BYTES: usize = 64;

/// An email address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Email {
    /// The address that the user gave, without the blanks around it, and in the
    /// composed form of Unicode.
    pub(crate) address: String,
    /// The canonical form. All spellings of one address have the same key.
    pub(crate) key: String,
    /// The key that older versions made of this spelling.
    pub(crate) old_key: String,
}

impl Email {
    /// Makes an address of any text. Use it to look an account up.
    pub(crate) fn unchecked(text: &str) -> Self {
        let address = texts::compose(texts::trim(text));
        let key = match address.rsplit_once('@') {
            Some((local, domain)) => format!("{}@{}", texts::fold_case(local), ascii(domain)),
            None => texts::fold_case(&address),
        };
        Self { address, key, old_key: text.trim().to_lowercase() }
    }

    /// Parses an address for a new account. It must have the form of an address
    /// that can receive mail, without quotes, which make a second spelling.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let email = Self::unchecked(text);
        let (local, domain) = email.address.rsplit_once('@').ok_or(NOT_AN_ADDRESS)?;
        if local.chars().any(is_hidden) || domain.chars().any(is_hidden) || texts::flaw(local).is_some() {
            return Err("email must not contain blanks or characters that cannot be seen".to_owned());
        }
        let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| NOT_AN_ADDRESS)?;
        let options = Options::default().with_required_tld().without_domain_literal().without_display_text();
        // The parser knows only some characters beyond ASCII. They are checked above.
        let shape: String = local.chars().map(|letter| if letter.is_ascii() { letter } else { 'a' }).collect();
        let is_valid = EmailAddress::parse_with_options(&format!("{shape}@{ascii}"), options).is_ok();
        if is_valid && local.len() <= LOCAL_BYTES && !local.contains(['"', '(', ')', '\\']) {
            Ok(email)
        } else {
            Err(NOT_AN_ADDRESS.to_owned())
        }
    }
}

/// The domain as the DNS has it. A text that is no domain keeps its letters.
fn ascii(domain: &str) -> Cow<'_, str> {
    match idna::domain_to_ascii(domain) {
        Ok(ascii) => Cow::Owned(ascii),
        Err(_) => Cow::Owned(texts::fold_case(domain)),
    }
}

fn is_hidden(character: char) -> bool {
    character.is_whitespace() || character.is_control() || texts::is_invisible(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_an_address_have_one_key() {
        let one = Email::parse(" Ann@Example.COM\u{3000}").unwrap();
        assert_eq!(one.address, "Ann@Example.COM");
        for (one, other) in [
            ("Ann@Example.COM", "ann@example.com"),
            ("JOSÉ@example.com", "jose\u{301}@example.com"),
            ("ann@bücher.example", "ANN@xn--bcher-kva.example"),
            ("ann@bu\u{308}cher.example", "ann@BÜCHER.EXAMPLE"),
            ("ΟΔΟΣ@example.com", "οδος@example.com"),
            ("straße@example.com", "STRASSE@example.com"),
            ("ann@例え.テスト", "ann@例え。テスト"),
            ("ann@ｅｘａｍｐｌｅ.com", "ann@example.com"),
            ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"),
            ("\u{212B}@example.com", "å@example.com"),
        ] {
            assert_eq!(Email::parse(one).unwrap().key, Email::parse(other).unwrap().key, "{one} {other}");
        }
        for (one, other) in [
            ("ann@straße.example", "ann@strasse.example"),
            ("jose@example.com", "josé@example.com"),
            ("an.n@example.com", "ann@example.com"),
        ] {
            assert_ne!(Email::parse(one).unwrap().key, Email::parse(other).unwrap().key, "{one} {other}");
        }
    }

    /// The migration relies on it.
    #[test]
    fn the_old_key_of_an_address_in_ascii_is_canonical() {
        for text in [
            "Ann@Example.com",
            "a!#$%&*/=?^{|}~+_-.b@sub.example",
            "ann@XN--BCHER-KVA.example",
            "no address",
            "x@xn--a",
        ] {
            let email = Email::unchecked(text);
            assert_eq!(email.key, email.old_key, "{text}");
        }
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
            "ann@example.com.",
            "ann@-example.com",
            "ann@exa_mple.com",
            "ann@xn--a.com",
            "\"ann\"@example.com",
            "ann(a comment)@example.com",
            "an\u{200B}n@example.com",
            "an\u{A0}n@example.com",
            "an\u{202E}n@example.com",
            "an\u{0}n@example.com",
            "ann@exam\u{AD}ple.com",
            "e\u{301}\u{301}\u{301}\u{301}@example.com",
            "ann@bob@example.com",
        ] {
            assert!(Email::parse(text).is_err(), "{text:?}");
        }
        for text in [
            "ann+tickets@mail.example.co.uk",
            "अक्षय@डाटा.भारत",
            "o'brien@example.com",
            "ที่นี่@example.com",
            "🎫@example.com",
        ] {
            assert!(Email::parse(text).is_ok(), "{text}");
        }
        assert!(Email::parse(&format!("{}@example.com", "ü".repeat(33))).is_err());
        assert!(Email::parse(&format!("{}@example.com", "a".repeat(300))).is_err());
        assert!(Email::parse(&format!("ann@{}.com", "ü".repeat(70))).is_err());
    }
}
