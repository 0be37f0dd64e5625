//! `[payments]`: the provider that moves the money.

use super::problem::{Invalid, within};
use host_base::secret::Secret;
use reqwest::Url;
use serde::Deserialize;
use std::{net::IpAddr, time::Duration};

pub(super) const STRIPE_KEY: &str = "payments.stripe.key";
const STRIPE_URL: &str = "payments.stripe.api_url";
const STRIPE: &str = "https://api.stripe.com";

const KEY_KINDS: [&str; 4] = ["sk_test_", "sk_live_", "rk_test_", "rk_live_"];
const KEY_CHARACTERS: std::ops::RangeInclusive<usize> = 16..=255;

/// Settings of `platform:payments`.
#[derive(Debug, Clone)]
pub struct PaymentsConfig {
    /// Who moves the money.
    pub provider: ProviderConfig,
    /// How long a component waits for the provider; the outcome is unknown
    /// after that.
    pub call_timeout: Duration,
}

/// The providers, each with its settings.
#[derive(Debug, Clone)]
pub enum ProviderConfig {
    /// Play money, with a ledger of its own.
    Simulated(FaultsConfig),
    /// Cards, by Stripe.
    Stripe(StripeConfig),
}

/// Settings of the provider `stripe`.
#[derive(Debug, Clone)]
pub struct StripeConfig {
    /// Where Stripe is asked.
    pub api_url: Url,
    /// The account's secret key, or a restricted one.
    pub key: Secret,
}

impl StripeConfig {
    /// Whether no money moves.
    pub(super) fn is_test(&self) -> bool {
        !is_live(&self.key)
    }
}

/// What the simulated provider does wrong on purpose. A count of 0 is never, 3
/// is every third call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultsConfig {
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
pub(super) struct RawPaymentsConfig {
    provider: ProviderName,
    call_timeout_ms: Option<u64>,
    simulated: RawSimulatedConfig,
    pub(super) stripe: RawStripeConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ProviderName {
    #[default]
    Simulated,
    Stripe,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawSimulatedConfig {
    faults: FaultsConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawStripeConfig {
    pub(super) key: Option<Secret>,
    api_url: Option<String>,
}

impl TryFrom<RawStripeConfig> for StripeConfig {
    type Error = Invalid;

    fn try_from(raw: RawStripeConfig) -> Result<Self, Invalid> {
        // A container has the variable, with nothing in it, where nobody has set it.
        let Some(key) = raw.key.filter(|key| !key.expose().is_empty()) else {
            return Err(Invalid::new(
                STRIPE_KEY,
                "is not set, and the provider is stripe: set STRIPE_KEY to the account's secret key (sk_test_... or sk_live_...)",
            ));
        };
        check_key(&key)?;
        let api_url = api_url(raw.api_url.as_deref().unwrap_or(STRIPE))?;
        if is_live(&key) && raw.api_url.is_some_and(|url| url.trim_end_matches('/') != STRIPE) {
            return Err(Invalid::new(STRIPE_URL, "a live key goes to Stripe alone: leave this setting out"));
        }
        Ok(Self { api_url, key })
    }
}

fn is_live(key: &Secret) -> bool {
    key.expose().contains("_live_")
}

/// What is wrong is said without the key.
fn check_key(key: &Secret) -> Result<(), Invalid> {
    let text = key.expose();
    let wrong = |reason| Err(Invalid::new(STRIPE_KEY, reason));
    if text.starts_with("pk_") {
        return wrong("is the publishable key: set STRIPE_KEY to the secret one (sk_test_... or sk_live_...)");
    }
    let is_key = KEY_KINDS.iter().any(|kind| text.starts_with(kind))
        && KEY_CHARACTERS.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match is_key {
        true => Ok(()),
        false => wrong(
            "is not a secret key of Stripe: set STRIPE_KEY to one (sk_test_... or sk_live_...), and nothing around it",
        ),
    }
}

fn api_url(text: &str) -> Result<Url, Invalid> {
    let wrong = |reason: &str| Invalid::new(STRIPE_URL, reason);
    let url = Url::parse(text).map_err(|_| wrong("is not an address, such as https://api.stripe.com"))?;
    let is_loopback = url.host_str().is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    });
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback) {
        return Err(wrong("must begin with https://, as the key is sent there"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("is a scheme, a host and a port, and no more"));
    }
    if url.path() != "/" {
        return Err(wrong("has a path, and can have none"));
    }
    Ok(url)
}

impl TryFrom<RawPaymentsConfig> for PaymentsConfig {
    type Error = Invalid;

    fn try_from(raw: RawPaymentsConfig) -> Result<Self, Invalid> {
        let faults = raw.simulated.faults;
        within("payments.simulated.faults.delay_ms", Some(faults.delay_ms), 0, 0..=60_000)?;
        Ok(Self {
            provider: match raw.provider {
                ProviderName::Simulated => ProviderConfig::Simulated(faults),
                ProviderName::Stripe => ProviderConfig::Stripe(raw.stripe.try_into()?),
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
