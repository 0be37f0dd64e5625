//! Limits on the requests of one address, of one account, and of one address for one
//! endpoint. The hosts of a cluster tell each other what busy visitors use.
//!
//! A limit is a bucket that fills at the rate of the limit (GCRA, see the crate
//! `governor`). The host forgets the buckets that nobody has used for longest, so a
//! flood of addresses takes a bounded memory.

mod bucket;
mod sharing;

use crate::client::Client;
use bucket::Bucket;
use host_capabilities::identity::subscriber;
use host_config::{rate::Rate, rate_limits::RateLimitsConfig};
use host_plugin::registry::{Lookup, Snapshot, Target};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use moka::{policy::EvictionPolicy, sync::Cache};
use serde::{Deserialize, Serialize};
use sharing::Busy;
use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

/// The buckets that the host remembers. They take about 550 bytes each.
const MAX_BUCKETS: u64 = 100_000;
/// A bucket is full again after the longest time of a rate.
const FORGET_AFTER: Duration = Duration::from_secs(86_400);
/// See draft-ietf-httpapi-ratelimit-headers-10.
pub(super) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(super) const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Counts the requests of all visitors.
pub struct RateLimits {
    config: RateLimitsConfig,
    /// The rates of the operator, by path and method.
    routes: HashMap<String, HashMap<String, Rate>>,
    buckets: Cache<Key, Arc<Bucket>>,
    /// None for a host that is alone.
    busy: Option<Busy>,
}

/// Hosts send it to each other as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Key {
    Address(IpAddr),
    Changes(IpAddr),
    Account(String),
    /// A new rate begins with a new bucket.
    Endpoint(String, IpAddr, Rate),
}

impl Key {
    /// The name of the limit for clients and metrics.
    fn name(&self) -> &'static str {
        match self {
            Self::Address(_) => "address",
            Self::Changes(_) => "changes",
            Self::Account(_) => "account",
            Self::Endpoint(..) => "endpoint",
        }
    }
}

/// The state of one limit after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    name: &'static str,
    rate: Rate,
    remaining: u32,
}

/// A request over a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OverLimit {
    pub(super) reading: Reading,
    /// The seconds after which a request is possible again.
    pub(super) seconds: u32,
}

impl RateLimits {
    /// No visitor has asked before. `is_shared` tells whether there may be other hosts,
    /// which [`share`](Self::share) tells of visitors.
    pub fn new(config: RateLimitsConfig, is_shared: bool) -> Self {
        Self::with_capacity(config, is_shared, MAX_BUCKETS)
    }

    fn with_capacity(config: RateLimitsConfig, is_shared: bool, max_buckets: u64) -> Self {
        // A full cache that weighs entries by their use would not keep a new one.
        let buckets = Cache::builder().max_capacity(max_buckets).eviction_policy(EvictionPolicy::lru());
        let buckets = buckets.time_to_idle(FORGET_AFTER).build();
        let mut routes: HashMap<String, HashMap<String, Rate>> = HashMap::new();
        for (endpoint, rate) in &config.routes {
            if let Some((method, path)) = endpoint.split_once(' ') {
                routes.entry(path.to_owned()).or_default().insert(method.to_owned(), *rate);
            }
        }
        Self { config, routes, buckets, busy: is_shared.then(Busy::default) }
    }

    /// Warns of each endpoint that has a rate in the settings and that no plugin has.
    pub fn warn_of_unknown_endpoints(&self, plugins: &Snapshot) {
        for endpoint in self.config.routes.keys() {
            let Some((method, path)) = endpoint.split_once(' ') else { continue };
            let is_known = match plugins.find(method, path) {
                Lookup::Target(target) => target.pattern == path && target.endpoint.method() == method,
                _ => false,
            };
            if !is_known {
                tracing::warn!(endpoint, "rate_limits.routes has a rate for an endpoint that no plugin has");
            }
        }
    }

    /// Counts a request. Returns the state of the limit that is nearest. Asks for the
    /// account only where its limit counts.
    ///
    /// # Errors
    /// The visitor has asked too often.
    pub(super) fn admit(
        &self,
        client: &Client,
        account: impl FnOnce() -> Option<String>,
        method: &Method,
        target: Option<&Target<'_>>,
    ) -> Result<Reading, OverLimit> {
        let address = subscriber(client.address);
        let mut nearest = self.take(Key::Address(address))?;
        let mut take = |key| {
            let reading = self.take(key)?;
            if reading.part_left() < nearest.part_left() {
                nearest = reading;
            }
            Ok(())
        };
        if let Some((endpoint, rate)) = target.and_then(|target| self.of_endpoint(target)) {
            take(Key::Endpoint(endpoint, address, rate))?;
        }
        if !method.is_safe() {
            take(Key::Changes(address))?;
            if let Some(account) = account() {
                take(Key::Account(account))?;
            }
        }
        Ok(nearest)
    }

    /// The name and the rate of an endpoint that has one.
    fn of_endpoint(&self, target: &Target<'_>) -> Option<(String, Rate)> {
        let method = target.endpoint.method();
        let set = self.routes.get(target.pattern).and_then(|methods| methods.get(method));
        let rate = set.copied().or(target.endpoint.rate())?;
        Some((format!("{method} {}", target.pattern), rate))
    }

    fn rate_of(&self, key: &Key) -> Rate {
        match key {
            Key::Address(_) => self.config.address,
            Key::Changes(_) => self.config.changes,
            Key::Account(_) => self.config.account,
            Key::Endpoint(_, _, rate) => *rate,
        }
    }

    fn take(&self, key: Key) -> Result<Reading, OverLimit> {
        let (name, rate) = (key.name(), self.rate_of(&key));
        let bucket = self.buckets.get_with_by_ref(&key, || Arc::new(Bucket::new(rate)));
        let reading = |remaining| Reading { name, rate, remaining };
        match bucket.take() {
            Ok(remaining) => {
                if let Some(busy) = &self.busy {
                    busy.count(key, &bucket);
                }
                Ok(reading(remaining))
            }
            Err(wait) => {
                metrics::counter!("http_rate_limited_total", "limit" => name).increment(1);
                let wait = wait.as_millis().div_ceil(1_000).max(1);
                Err(OverLimit { reading: reading(0), seconds: u32::try_from(wait).unwrap_or(u32::MAX) })
            }
        }
    }
}

impl Reading {
    /// The part of the limit that is left, in millionths.
    fn part_left(&self) -> u64 {
        u64::from(self.remaining) * 1_000_000 / u64::from(self.rate.requests.get())
    }

    /// Tells the client about the limit.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        let Self { name, rate, remaining } = self;
        let used = rate.requests.get().saturating_sub(*remaining);
        let full_in = (rate.period() * used).as_millis().div_ceil(1_000);
        let policy = format!("\"{name}\";q={};w={}", rate.requests, rate.seconds());
        let limit = format!("\"{name}\";r={remaining};t={full_in}");
        for (header, text) in [(POLICY, policy), (LIMIT, limit)] {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(header, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const CAPACITY: u32 = 1_000;

    pub(super) fn limits(address: &str) -> RateLimits {
        let rate: Rate = "1000/s".parse().unwrap();
        let address = address.parse().unwrap();
        let config = RateLimitsConfig { enabled: true, address, changes: rate, account: rate, routes: [].into() };
        RateLimits::with_capacity(config, true, CAPACITY.into())
    }

    /// A request of somebody without an account.
    pub(super) fn ask(limits: &RateLimits, address: Ipv4Addr, method: &Method) -> Result<Reading, OverLimit> {
        let client = Client { address: address.into(), secure: false, host: None };
        limits.admit(&client, || None, method, None)
    }

    #[test]
    fn a_flood_of_addresses_takes_a_bounded_memory() {
        let limits = limits("10/m");
        for number in 0..2 * CAPACITY {
            ask(&limits, Ipv4Addr::from_bits(number), &Method::GET).unwrap();
        }
        limits.buckets.run_pending_tasks();
        assert!(limits.buckets.entry_count() <= CAPACITY.into(), "{}", limits.buckets.entry_count());
    }

    #[test]
    fn a_new_address_is_limited_while_the_table_is_full_of_others() {
        let limits = limits("2/h");
        let ask = |number| ask(&limits, Ipv4Addr::from_bits(number), &Method::GET).is_ok();
        for number in 0..CAPACITY {
            assert!(ask(number) && ask(number));
        }
        let of_new = [(); 3].map(|()| {
            limits.buckets.run_pending_tasks();
            ask(u32::MAX)
        });
        assert_eq!(of_new, [true, true, false]);
    }

    #[test]
    fn a_visitor_who_waits_as_told_is_admitted() {
        let limits = limits("2/s");
        let ask = || ask(&limits, Ipv4Addr::LOCALHOST, &Method::GET);
        assert!(ask().is_ok() && ask().is_ok());
        let over = ask().unwrap_err();
        assert_eq!((over.seconds, over.reading.remaining), (1, 0));
        std::thread::sleep(Duration::from_secs(over.seconds.into()));
        assert!(ask().is_ok());
    }

    #[test]
    fn the_headers_tell_the_limit_that_is_nearest() {
        let limits = limits("4/m");
        let mut headers = HeaderMap::new();
        ask(&limits, Ipv4Addr::LOCALHOST, &Method::POST).unwrap().write(&mut headers);
        assert_eq!(headers[POLICY], "\"address\";q=4;w=60");
        assert_eq!(headers[LIMIT], "\"address\";r=3;t=15");
    }
}
