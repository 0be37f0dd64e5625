//! Limits on the requests of one address, of one account, and of one address for one
//! endpoint. The hosts of a cluster tell each other what busy visitors use.
//!
//! A limit is a bucket that fills at the rate of the limit (GCRA, see the crate
//! `governor`). The host forgets the buckets that nobody has used for longest, so a
//! flood of addresses takes a bounded memory.

mod bucket;
mod sharing;

use super::Visitor;
use bucket::Bucket;
use host_capabilities::identity::subscriber;
use host_config::{rate::Rate, rate_limits::RateLimitsConfig};
use host_plugin::registry::Target;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use moka::{policy::EvictionPolicy, sync::Cache};
use serde::{Deserialize, Serialize};
use sharing::Busy;
use std::{net::IpAddr, sync::Arc, time::Duration};

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
        // A full cache that weighs entries by their use would not keep a new one.
        let buckets = Cache::builder().max_capacity(MAX_BUCKETS).eviction_policy(EvictionPolicy::lru());
        let buckets = buckets.time_to_idle(FORGET_AFTER).build();
        Self { config, buckets, busy: is_shared.then(Busy::default) }
    }

    /// Counts a request. Returns the state of the limit that is nearest.
    ///
    /// # Errors
    /// The visitor has asked too often.
    pub(super) fn admit(
        &self,
        visitor: &Visitor,
        method: &Method,
        target: Option<&Target<'_>>,
    ) -> Result<Reading, OverLimit> {
        let address = subscriber(visitor.client.address);
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
            if let Some(session) = &visitor.session {
                take(Key::Account(session.principal.id.clone()))?;
            }
        }
        Ok(nearest)
    }

    /// The name and the rate of an endpoint that has one.
    fn of_endpoint(&self, target: &Target<'_>) -> Option<(String, Rate)> {
        let asked = target.endpoint.rate();
        if asked.is_none() && self.config.routes.is_empty() {
            return None;
        }
        let name = format!("{} {}", target.endpoint.method(), target.pattern);
        let rate = self.config.routes.get(&name).copied().or(asked)?;
        Some((name, rate))
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
    use crate::client::Client;
    use std::net::Ipv4Addr;

    pub(super) fn limits(address: &str) -> RateLimits {
        let rate: Rate = "1000/s".parse().unwrap();
        let address = address.parse().unwrap();
        let config = RateLimitsConfig { enabled: true, address, changes: rate, account: rate, routes: [].into() };
        RateLimits::new(config, true)
    }

    pub(super) fn visitor(address: impl Into<IpAddr>) -> Visitor {
        Visitor { client: Client { address: address.into(), secure: false, host: None }, session: None }
    }

    #[test]
    fn a_flood_of_addresses_takes_a_bounded_memory() {
        let limits = limits("10/m");
        for number in 0..u32::try_from(MAX_BUCKETS).unwrap() + 50_000 {
            limits.admit(&visitor(Ipv4Addr::from_bits(number)), &Method::GET, None).unwrap();
        }
        limits.buckets.run_pending_tasks();
        assert!(limits.buckets.entry_count() <= MAX_BUCKETS, "{}", limits.buckets.entry_count());
    }

    #[test]
    fn a_new_address_is_limited_while_the_table_is_full_of_others() {
        let limits = limits("2/h");
        let ask = |number| limits.admit(&visitor(Ipv4Addr::from_bits(number)), &Method::GET, None).is_ok();
        for number in 0..u32::try_from(MAX_BUCKETS).unwrap() {
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
        let ask = || limits.admit(&visitor(Ipv4Addr::LOCALHOST), &Method::GET, None);
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
        limits.admit(&visitor(Ipv4Addr::LOCALHOST), &Method::POST, None).unwrap().write(&mut headers);
        assert_eq!(headers[POLICY], "\"address\";q=4;w=60");
        assert_eq!(headers[LIMIT], "\"address\";r=3;t=15");
    }
}
