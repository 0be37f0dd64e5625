//! A price as people write it.
//!
//! The form is digits, and a point before the cents: `20` or `19.99`. Blanks
//! around it do not matter, and the wide digits of an East Asian keyboard are
//! digits. Every other form has two meanings somewhere in the world (`1,234`),
//! or none, so it is an error that says what to write.

const EXAMPLE: &str = "price must be a number such as 20 or 19.99";

/// A decimal number as text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) is_negative: bool,
    /// At least one digit.
    pub(crate) whole: String,
    /// The digits after the point.
    pub(crate) cents: String,
}

impl Decimal {
    /// Reads a number.
    ///
    /// # Errors
    /// The error tells a person how to write a price.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text: String = texts::trim(text).chars().map(narrow).collect();
        if text.is_empty() {
            return Err("price is required".to_owned());
        }
        let positive = text.strip_prefix(['-', '\u{2212}']);
        let digits = positive.unwrap_or(&text);
        let (whole, cents) = digits.split_once('.').unwrap_or((digits, ""));
        let is_plain = are_digits(whole) && (are_digits(cents) || !digits.contains('.'));
        if is_plain {
            let (whole, cents) = (whole.to_owned(), cents.to_owned());
            return Ok(Self { is_negative: positive.is_some(), whole, cents });
        }
        Err(explain(&text))
    }
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The usual form of a wide digit, point, comma or sign.
fn narrow(character: char) -> char {
    match character {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(character) - 0xFEE0).unwrap_or(character),
        _ => character,
    }
}

/// Says what is wrong with a text that is not a number.
fn explain(text: &str) -> String {
    if let Some(number) = text.strip_prefix('+')
        && Decimal::parse(number).is_ok()
    {
        return format!("price must have no plus sign: write {number}");
    }
    if is_exponential(text) {
        return "price must have no exponent: write all digits, such as 1000".to_owned();
    }
    if text.chars().any(|character| character.is_numeric() && !character.is_ascii_digit()) {
        return "price must be written with the digits 0 to 9, such as 19.99".to_owned();
    }
    if !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return EXAMPLE.to_owned();
    }
    if !text.chars().all(|character| character.is_ascii_digit() || is_separator(character)) {
        return "price must be the number alone, without a currency, such as 19.99".to_owned();
    }
    match suggestion(text) {
        Some(number) => format!("price must have a point before the cents and no other separator: write {number}"),
        None => "price must have a point before the cents and no other separator, such as 1234.56".to_owned(),
    }
}

fn is_exponential(text: &str) -> bool {
    text.split_once(['e', 'E']).is_some_and(|(number, exponent)| {
        Decimal::parse(number).is_ok() && are_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))
    })
}

/// Whether people somewhere write the character between the digits of a price.
fn is_separator(character: char) -> bool {
    matches!(character, '.' | ',' | '\'' | '_' | '\u{2019}' | '\u{66B}' | '\u{66C}') || character.is_whitespace()
}

/// The number that was probably meant: one or two digits at the end are cents,
/// and three are thousands.
fn suggestion(text: &str) -> Option<String> {
    let (whole, last) = match text.char_indices().rfind(|(_, character)| is_separator(*character)) {
        Some((at, separator)) => (text.get(..at)?, text.get(at + separator.len_utf8()..)?),
        None => (text, ""),
    };
    let whole: String = whole.chars().filter(char::is_ascii_digit).collect();
    let whole = whole.trim_start_matches('0');
    match (whole, last.len()) {
        ("", 1..=2) => Some(format!("0.{last}")),
        ("", _) => None,
        (_, 0) => Some(whole.to_owned()),
        (_, 1..=2) => Some(format!("{whole}.{last}")),
        (_, 3) => Some(format!("{whole}{last}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_a_point_are_read_as_they_are() {
        for (text, whole, cents) in [
            ("19.99", "19", "99"),
            ("20", "20", ""),
            (" 19.99 ", "19", "99"),
            ("\u{a0}19.99\u{200b}", "19", "99"),
            ("１９.９９", "19", "99"),
            ("１９．９９", "19", "99"),
            ("007.1", "007", "1"),
        ] {
            let expected = Decimal { is_negative: false, whole: whole.to_owned(), cents: cents.to_owned() };
            assert_eq!(Decimal::parse(text), Ok(expected), "{text}");
        }
        assert!(Decimal::parse("-1").is_ok_and(|number| number.is_negative));
        assert!(Decimal::parse("\u{2212}1.5").is_ok_and(|number| number.is_negative));
    }

    #[test]
    fn every_other_form_is_an_error_that_says_what_to_write() {
        for (text, hint) in [
            ("19,99", "write 19.99"),
            ("19,9", "write 19.9"),
            ("１９，９９", "write 19.99"),
            ("1.234,56", "write 1234.56"),
            ("1,234.56", "write 1234.56"),
            ("1 234,56", "write 1234.56"),
            ("1\u{202f}234.56", "write 1234.56"),
            ("1'234.50", "write 1234.50"),
            ("1_000", "write 1000"),
            ("1,234", "write 1234"),
            ("1.234.567", "write 1234567"),
            ("19.", "write 19"),
            ("19,", "write 19"),
            (".5", "write 0.5"),
            (",50", "write 0.50"),
            ("1,23456", "such as 1234.56"),
            ("+5", "write 5"),
            ("1e3", "no exponent"),
            ("2.5E+1", "no exponent"),
            ("١٩٫٩٩", "the digits 0 to 9"),
            ("½", "the digits 0 to 9"),
            ("$19.99", "without a currency"),
            ("19.99 €", "without a currency"),
            ("USD 5", "without a currency"),
            ("0x10", "without a currency"),
            ("free", "such as 20 or 19.99"),
            ("NaN", "such as 20 or 19.99"),
            ("-", "such as 20 or 19.99"),
            (".", "such as 20 or 19.99"),
            ("", "is required"),
            (" \u{3000}", "is required"),
        ] {
            let error = Decimal::parse(text).unwrap_err();
            assert!(error.starts_with("price ") && error.contains(hint), "{text}: {error}");
        }
    }
}
