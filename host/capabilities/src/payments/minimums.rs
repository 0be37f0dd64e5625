//! The smallest amounts that a card can be charged.
//!
//! The amounts are those that Stripe publishes:
//! <https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts>. The
//! simulated provider has the same ones, so that a charge which it takes can also
//! be made for real.

/// The currencies with their minimums, in minor units.
const MINIMUMS: [(&str, u64); 24] = [
    ("aed", 200),
    ("aud", 50),
    ("bgn", 100),
    ("brl", 50),
    ("cad", 50),
    ("chf", 50),
    ("czk", 1_500),
    ("dkk", 250),
    ("eur", 50),
    ("gbp", 30),
    ("hkd", 400),
    ("huf", 17_500),
    ("inr", 50),
    ("jpy", 50),
    ("mxn", 1_000),
    ("myr", 200),
    ("nok", 300),
    ("nzd", 50),
    ("pln", 200),
    ("ron", 200),
    ("sek", 300),
    ("sgd", 50),
    ("thb", 1_000),
    ("usd", 50),
];

/// The smallest amount in this currency. A currency without a published minimum
/// has none.
pub(super) fn minimum(currency: &str) -> u64 {
    MINIMUMS.iter().find(|(of, _)| *of == currency).map_or(1, |(_, minimum)| *minimum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_currency_is_listed_once_and_in_lower_case() {
        assert!(MINIMUMS.is_sorted_by(|one, next| one.0 < next.0));
        assert!(MINIMUMS.iter().all(|(currency, minimum)| {
            currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_lowercase()) && *minimum > 1
        }));
    }

    #[test]
    fn a_currency_without_a_minimum_takes_the_smallest_unit() {
        assert_eq!((minimum("usd"), minimum("jpy"), minimum("gbp"), minimum("isk")), (50, 50, 30, 1));
    }
}
