//! Money: an integer number of minor units and a currency. No code uses floats
//! for money.

use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::price_text::Decimal;

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// The amount in the minor unit of the currency (cents).
    pub amount: i64,
    /// The ISO 4217 code of the currency, in lower case.
    pub currency: String,
}

impl Money {
    /// An amount in cents of the US dollar, the currency of the marketplace.
    pub fn usd(amount: i64) -> Self {
        Self { amount, currency: "usd".to_owned() }
    }

    /// The amount in the form of the HTTP API.
    pub fn price(&self) -> Price {
        Price(self.amount)
    }
}

/// A price in cents. In JSON it is an exact decimal number without needless
/// digits, such as `19.99` or `20`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price(pub i64);

impl Price {
    /// The lowest price, in cents.
    pub const MIN: i64 = 1;
    /// The highest price, in cents.
    pub const MAX: i64 = 99_999_999;

    /// Parses a decimal number with at most two decimal places, in the form
    /// that `price_text.rs` describes. The result is exact.
    ///
    /// # Errors
    /// The error tells a person how to write a price.
    pub fn parse(text: &str) -> Result<Self, String> {
        const OUT_OF_RANGE: &str = "price must be above 0 and at most 999999.99";

        let Decimal { is_negative, whole, cents } = Decimal::parse(text)?;
        if cents.len() > 2 {
            return Err("price must have at most 2 decimal places".to_owned());
        }
        // Only a number with more digits than the highest price does not fit.
        let amount: i64 = format!("{whole}{cents:0<2}").parse().map_err(|_| OUT_OF_RANGE)?;
        let is_in_range = !is_negative && (Self::MIN..=Self::MAX).contains(&amount);
        if is_in_range { Ok(Self(amount)) } else { Err(OUT_OF_RANGE.to_owned()) }
    }

    /// The price with both digits of the cents, such as `20.00`, for people.
    pub fn with_cents(self) -> String {
        format!("{}.{:02}", self.0 / 100, self.0.rem_euclid(100))
    }

    fn to_decimal(self) -> String {
        let (whole, cents) = (self.0 / 100, self.0.rem_euclid(100));
        match (cents / 10, cents % 10) {
            (0, 0) => whole.to_string(),
            (tens, 0) => format!("{whole}.{tens}"),
            (tens, ones) => format!("{whole}.{tens}{ones}"),
        }
    }
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_decimal()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_parsed_exactly() {
        for (text, cents) in [
            ("19.99", 1_999),
            ("0.01", 1),
            ("20", 2_000),
            ("19.5", 1_950),
            ("007.10", 710),
            ("999999.99", 99_999_999),
            ("1.15", 115),
            (" 19.99\u{a0}", 1_999),
            ("１９．９９", 1_999),
            ("１９.９９", 1_999),
        ] {
            assert_eq!(Price::parse(text), Ok(Price(cents)), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_not_a_price_is_refused() {
        for text in [
            "",
            ".",
            ".5",
            "1.",
            "-1",
            "-0.001",
            "0",
            "0.00",
            "1.999",
            "1e2",
            "1,5",
            "+1",
            "NaN",
            "1 1",
            "- 1",
            "0x10",
            "1000000",
            "99999999999999999999",
            "1.2.3",
            "--1",
            "١",
        ] {
            assert!(Price::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn people_read_both_digits_of_the_cents() {
        for (cents, text) in [(1, "0.01"), (50, "0.50"), (2_000, "20.00"), (99_999_999, "999999.99")] {
            assert_eq!(Price(cents).with_cents(), text);
        }
    }

    #[test]
    fn prices_are_written_exactly() {
        for (cents, text) in [
            (1, "0.01"),
            (10, "0.1"),
            (105, "1.05"),
            (1_950, "19.5"),
            (1_999, "19.99"),
            (2_000, "20"),
            (99_999_999, "999999.99"),
        ] {
            assert_eq!(serde_json::to_string(&Price(cents)).unwrap(), text);
            assert_eq!(Price::parse(text), Ok(Price(cents)));
        }
    }
}
