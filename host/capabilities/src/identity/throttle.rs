//! Limits the failed sign-in attempts of a client address, on one account and on all
//! accounts.
//!
//! Each pair of account and address, and each address, has a number of slots. An
//! attempt takes one slot of both before the host compares passwords, and returns
//! them if the password was right. Concurrent guesses therefore cannot exceed the
//! limit. When no slot is free, an attempt waits for the running ones. When failures
//! have used all slots, the host refuses every attempt until the end of the window. A
//! window begins with its first attempt and always has the same length.
//!
//! Nobody can lock the owner of an account out: the failures of other addresses use
//! no slot of the owner's address. When many addresses together have failed on one
//! account ([`ATTACKERS`]), an address may fail on it once only.

use moka::{policy::EvictionPolicy, sync::Cache};
use sha2::{Digest, Sha256};
use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The number of windows of each kind. The cache evicts the least recently used
/// window first.
const MAX_WINDOWS: u64 = 100_000;

/// The first 64 bits of an IPv6 address identify the subscriber. A subscriber can
/// choose the other bits.
const SUBSCRIBER_BITS: u32 = 64;

/// An account is under attack after the failures of so many addresses that have each
/// used all of their slots.
const ATTACKERS: u32 = 10;

/// The hash of an account's name. All names have the same size in memory.
type Account = [u8; 32];

/// Counts failed attempts in memory. It lives as long as the host.
pub(super) struct Throttle {
    pairs: Windows<(Account, Option<IpAddr>)>,
    addresses: Windows<IpAddr>,
    /// The failures on each account.
    accounts: Cache<Account, Arc<AtomicU32>>,
    /// The failures after which an account is under attack.
    attacked_after: u32,
}

impl Throttle {
    pub(super) fn new(config: &host_config::identity::IdentityConfig) -> Self {
        Self::with_capacity(config, MAX_WINDOWS)
    }

    fn with_capacity(config: &host_config::identity::IdentityConfig, max_windows: u64) -> Self {
        let window = config.failed_attempts_window;
        Self {
            pairs: Windows::new(config.failed_attempts_per_account, window, max_windows),
            addresses: Windows::new(config.failed_attempts_per_address, window, max_windows),
            accounts: cache(window, max_windows),
            attacked_after: config.failed_attempts_per_account.saturating_mul(ATTACKERS),
        }
    }

    /// Takes the slots of an attempt.
    ///
    /// # Errors
    /// The number of seconds after which the client can try again.
    pub(super) async fn attempt(&self, account: &str, address: Option<IpAddr>) -> Result<SignInAttempt, u32> {
        let account: Account = Sha256::digest(account.to_lowercase()).into();
        let address = address.map(subscriber);
        let failures = self.accounts.get_with(account, Arc::default);
        let is_attacked = failures.load(Ordering::Acquire) >= self.attacked_after;
        // All attempts take the slots in this order, so no two wait for each other.
        let pair = self.pairs.take((account, address)).await?;
        // The failures and the running attempts of the address have taken the other slots.
        if is_attacked && pair.window.slots.available_permits() + 1 < self.pairs.limit as usize {
            let seconds = self.pairs.seconds_left(&pair.window);
            pair.release();
            return Err(seconds);
        }
        let address = match address {
            None => None,
            Some(address) => match self.addresses.take(address).await {
                Ok(slot) => Some(slot),
                Err(seconds) => {
                    pair.release();
                    return Err(seconds);
                }
            },
        };
        Ok(SignInAttempt { pair, address, failure: Failure(Some(failures)) })
    }
}

/// The slots of one attempt. Dropping the attempt leaves the slots used: an attempt
/// whose caller was cancelled counts as a failure.
#[derive(Debug)]
pub(super) struct SignInAttempt {
    pair: Slot,
    address: Option<Slot>,
    failure: Failure,
}

impl SignInAttempt {
    /// Returns the slots: the password was right, or the host compared nothing.
    pub(super) fn release(mut self) {
        self.failure.0 = None;
        self.pair.release();
        if let Some(address) = self.address {
            address.release();
        }
    }
}

/// Counts a failure on an account when it is dropped, unless it is empty.
#[derive(Debug)]
struct Failure(Option<Arc<AtomicU32>>);

impl Drop for Failure {
    fn drop(&mut self) {
        if let Some(failures) = self.0.take() {
            failures.fetch_add(1, Ordering::AcqRel);
        }
    }
}

struct Windows<K> {
    limit: u32,
    window: Duration,
    open: Cache<K, Arc<Window>>,
}

#[derive(Debug)]
struct Window {
    opened: Instant,
    failures: AtomicU32,
    slots: Arc<Semaphore>,
}

impl<K: std::hash::Hash + Eq + Send + Sync + 'static> Windows<K> {
    fn new(limit: u32, window: Duration, max_windows: u64) -> Self {
        Self { limit, window, open: cache(window, max_windows) }
    }

    async fn take(&self, key: K) -> Result<Slot, u32> {
        let window = self.open.get_with(key, || {
            Arc::new(Window {
                opened: Instant::now(),
                failures: AtomicU32::new(0),
                slots: Arc::new(Semaphore::new(self.limit as usize)),
            })
        });
        match window.slots.clone().acquire_owned().await {
            Ok(permit) => Ok(Slot { window, limit: self.limit, permit: Some(permit) }),
            Err(_closed) => Err(self.seconds_left(&window)),
        }
    }

    fn seconds_left(&self, window: &Window) -> u32 {
        let left = self.window.saturating_sub(window.opened.elapsed());
        u32::try_from(left.as_millis().div_ceil(1_000).max(1)).unwrap_or(u32::MAX)
    }
}

/// The cache writes an entry once, so the entry lives as long as its window. A full
/// cache that weighs entries by their use would not keep a new one.
fn cache<K: std::hash::Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static>(
    window: Duration,
    max_windows: u64,
) -> Cache<K, V> {
    let cache = Cache::builder().max_capacity(max_windows).eviction_policy(EvictionPolicy::lru());
    cache.time_to_live(window).build()
}

#[derive(Debug)]
struct Slot {
    window: Arc<Window>,
    limit: u32,
    permit: Option<OwnedSemaphorePermit>,
}

impl Slot {
    fn release(mut self) {
        self.permit = None;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else {
            return;
        };
        permit.forget();
        let failures = self.window.failures.fetch_add(1, Ordering::AcqRel) + 1;
        if failures >= self.limit {
            self.window.slots.close();
        }
    }
}

/// The part of an address that a subscriber cannot choose.
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = address.to_bits() & (u128::MAX << SUBSCRIBER_BITS);
            Ipv6Addr::from_bits(prefix).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::config, *};
    use futures::future::join_all;

    fn throttle(per_account: u32, per_address: u32, window: Duration) -> Throttle {
        let mut config = config();
        config.failed_attempts_per_account = per_account;
        config.failed_attempts_per_address = per_address;
        config.failed_attempts_window = window;
        Throttle::with_capacity(&config, CAPACITY)
    }

    const CAPACITY: u64 = 1_000;
    const QUARTER_HOUR: Duration = Duration::from_secs(900);

    #[tokio::test]
    async fn failures_count_for_an_account_in_any_letter_case() {
        let throttle = throttle(3, 100, QUARTER_HOUR);
        for name in ["ann@x", "ANN@x", "Ann@X"] {
            drop(throttle.attempt(name, None).await.unwrap());
        }
        let seconds = throttle.attempt("ann@x", None).await.unwrap_err();
        assert!((890..=900).contains(&seconds), "{seconds}");
        assert!(throttle.attempt("bob@x", None).await.is_ok());
    }

    #[tokio::test]
    async fn the_failures_of_others_do_not_lock_the_owner_out() {
        let throttle = throttle(3, 100, QUARTER_HOUR);
        let [attacker, owner] = [1, 2].map(|last| Some(IpAddr::from([192, 0, 2, last])));
        for _ in 0..3 {
            drop(throttle.attempt("ann", attacker).await.unwrap());
        }
        assert!(throttle.attempt("ann", attacker).await.is_err());
        for _ in 0..2 {
            drop(throttle.attempt("ann", owner).await.unwrap());
        }
        throttle.attempt("ann", owner).await.unwrap().release();
    }

    #[tokio::test]
    async fn an_address_may_fail_once_on_an_account_that_many_addresses_attack() {
        let throttle = throttle(3, 100, QUARTER_HOUR);
        let address = |last| Some(IpAddr::from([192, 0, 2, last]));
        for attacker in 0..10 {
            for _ in 0..3 {
                drop(throttle.attempt("ann", address(attacker)).await.unwrap());
            }
        }
        drop(throttle.attempt("ann", address(99)).await.unwrap());
        assert!(throttle.attempt("ann", address(99)).await.is_err());
        let at_once = join_all((0..10).map(|_| throttle.attempt("ann", address(98)))).await;
        assert!(at_once.iter().filter(|attempt| attempt.is_ok()).count() <= 1);
        drop(at_once);
        for _ in 0..5 {
            throttle.attempt("ann", address(100)).await.unwrap().release();
        }
        drop(throttle.attempt("bob", address(99)).await.unwrap());
        assert!(throttle.attempt("bob", address(99)).await.is_ok());
    }

    #[tokio::test]
    async fn an_account_is_throttled_while_the_table_is_full_of_others() {
        let throttle = throttle(2, 100, QUARTER_HOUR);
        for number in 0..CAPACITY {
            for _ in 0..2 {
                throttle.attempt(&number.to_string(), None).await.unwrap().release();
            }
        }
        for _ in 0..2 {
            throttle.pairs.open.run_pending_tasks();
            drop(throttle.attempt("ann", None).await.unwrap());
        }
        throttle.pairs.open.run_pending_tasks();
        assert!(throttle.attempt("ann", None).await.is_err());
    }

    #[tokio::test]
    async fn successes_are_not_counted() {
        let throttle = throttle(1, 1, QUARTER_HOUR);
        let address = Some(IpAddr::from([192, 0, 2, 1]));
        for _ in 0..50 {
            throttle.attempt("ann", address).await.unwrap().release();
        }
    }

    #[tokio::test]
    async fn an_address_is_throttled_over_all_accounts_and_holds_none_of_their_slots() {
        let throttle = throttle(2, 3, QUARTER_HOUR);
        let address = Some(IpAddr::from([192, 0, 2, 1]));
        for name in ["a", "b", "c"] {
            drop(throttle.attempt(name, address).await.unwrap());
        }
        for _ in 0..5 {
            assert!(throttle.attempt("d", address).await.is_err());
        }
        drop(throttle.attempt("d", None).await.unwrap());
        assert!(throttle.attempt("d", None).await.is_ok());
    }

    #[tokio::test]
    async fn the_addresses_of_one_subscriber_count_together() {
        let throttle = throttle(100, 1, QUARTER_HOUR);
        let address = |text: &str| Some(text.parse().unwrap());
        drop(throttle.attempt("a", address("2001:db8::1")).await.unwrap());
        assert!(throttle.attempt("a", address("2001:db8::2")).await.is_err());
        assert!(throttle.attempt("a", address("2001:db8:0:1::1")).await.is_ok());
        drop(throttle.attempt("a", address("::ffff:192.0.2.1")).await.unwrap());
        assert!(throttle.attempt("a", address("192.0.2.1")).await.is_err());
    }

    #[tokio::test]
    async fn attempts_wait_for_running_ones_and_never_exceed_the_limit() {
        let throttle = throttle(2, 100, QUARTER_HOUR);
        let one = throttle.attempt("ann", None).await.unwrap();
        let two = throttle.attempt("ann", None).await.unwrap();
        let mut third = Box::pin(throttle.attempt("ann", None));
        assert!(futures::poll!(&mut third).is_pending());
        one.release();
        let third = third.await.unwrap();

        let waiting = join_all((0..20).map(|_| throttle.attempt("ann", None)));
        let (waiting, ()) = tokio::join!(waiting, async {
            drop(two);
            drop(third);
        });
        assert!(waiting.iter().all(Result::is_err));
    }

    #[tokio::test]
    async fn a_window_ends_on_time_while_attempts_continue() {
        let throttle = throttle(1, 100, Duration::from_millis(300));
        drop(throttle.attempt("ann", None).await.unwrap());
        let started = Instant::now();
        while throttle.attempt("ann", None).await.is_err() {
            assert!(started.elapsed() < Duration::from_secs(5));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
