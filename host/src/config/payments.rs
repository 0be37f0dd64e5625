//! `[payments]`: the provider that moves the money.

use super::problem::{Invalid, within};
use serde::Deserialize;
use std::time::Duration;

/// Settings of `platform:payments`.
#[derive(Debug, Clone)]
pub struct Payments {
    /// Who moves the money.
    pub provider: Provider,
    /// How long a component waits for the provider; the outcome is unknown
    /// after that.
    pub call_timeout: Duration,
}

/// The providers, each with its settings.
#[derive(Debug, Clone)]
pub enum Provider {
    /// Play money, with a ledger of its own.
    Simulated(Faults),
}

/// What the simulated provider does wrong on purpose. A count of 0 is never, 3
/// is every third call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Fails before anything was done.
    pub timeout_before_every: u32,
    /// Fails although everything was done.
    pub timeout_after_every: u32,
    /// Receives the call twice.
    pub duplicate_every: u32,
    /// Answers late, by `delay_ms`.
    pub delay_every: u32,
    /// How late.
    pub delay_ms: u64,
}

/// As in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    provider: ProviderName,
    call_timeout_ms: Option<u64>,
    simulated: RawSimulated,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ProviderName {
    #[default]
    Simulated,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawSimulated {
    faults: Faults,
}

impl TryFrom<Raw> for Payments {
    type Error = Invalid;

    fn try_from(raw: Raw) -> Result<Self, Invalid> {
        let faults = raw.simulated.faults;
        within("payments.simulated.faults.delay_ms", Some(faults.delay_ms), 0, 0..=60_000)?;
        Ok(Self {
            provider: match raw.provider {
                ProviderName::Simulated => Provider::Simulated(faults),
            },
            call_timeout: Duration::from_millis(within(
                "payments.call_timeout_ms",
                raw.call_timeout_ms,
                10_000,
                1..=120_000,
            )?),
        })
    }
}
