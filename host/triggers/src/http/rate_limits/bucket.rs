//! The requests that one limit still admits.

use governor::{
    Quota, RateLimiter,
    clock::Clock,
    middleware::StateInformationMiddleware,
    nanos::Nanos,
    state::{NotKeyed, StateStore},
};
use host_config::rate::Rate;
use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The other hosts hear of the requests of a bucket when they are this part of it.
const SHARED_PART: u32 = 16;

/// Fills at the rate of a limit. Each request takes a part out.
pub(super) struct Bucket {
    limiter: RateLimiter<NotKeyed, FullAt, Age, StateInformationMiddleware>,
    full_at: FullAt,
    age: Age,
    rate: Rate,
    /// The requests that this host has admitted and the others do not know of.
    unshared: AtomicU32,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(rate: Rate) -> Self {
        let quota = Quota::with_period(rate.period()).unwrap_or(Quota::per_second(NonZeroU32::MIN));
        let (full_at, age) = (FullAt::default(), Age(Instant::now()));
        let limiter = RateLimiter::new(quota.allow_burst(rate.requests), full_at.clone(), age);
        Self { limiter, full_at, age, rate, unshared: AtomicU32::new(0) }
    }

    /// Takes one request out. Returns how many are left.
    ///
    /// # Errors
    /// The bucket is empty for this time.
    pub(super) fn take(&self) -> Result<u32, Duration> {
        match self.limiter.check() {
            Ok(state) => Ok(state.remaining_burst_capacity()),
            Err(until) => Err(until.wait_time_from(self.age.now())),
        }
    }

    /// Takes requests out that another host has admitted. The bucket may then lack as
    /// many requests as it can hold, and is empty until it has them again.
    pub(super) fn charge(&self, requests: u32) {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let now = nanoseconds(self.age.now());
        let taken = nanoseconds(self.rate.period().saturating_mul(requests));
        let latest = now.saturating_add(nanoseconds(self.rate.period().saturating_mul(self.rate.requests.get() * 2)));
        let charge = |full_at: u64| Some(full_at.max(now).saturating_add(taken).min(latest));
        // The closure always returns a value.
        let _ = self.full_at.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, charge);
    }

    /// Counts a request for the other hosts. Returns whether they should now hear of
    /// the bucket.
    pub(super) fn count(&self) -> bool {
        self.unshared.fetch_add(1, Ordering::Relaxed) + 1 == (self.rate.requests.get() / SHARED_PART).max(1)
    }

    /// The requests since the last call.
    pub(super) fn take_unshared(&self) -> u32 {
        self.unshared.swap(0, Ordering::Relaxed)
    }
}

/// The time at which a bucket is full again, in nanoseconds of its age.
#[derive(Debug, Clone, Default)]
struct FullAt(Arc<AtomicU64>);

impl StateStore for FullAt {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut before = self.0.load(Ordering::Acquire);
        loop {
            let (decision, after) = decide((before > 0).then(|| before.into()))?;
            match self.0.compare_exchange_weak(before, after.into(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(decision),
                Err(changed) => before = changed,
            }
        }
    }
}

/// The clock of a bucket begins with it.
#[derive(Debug, Clone, Copy)]
struct Age(Instant);

impl Clock for Age {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(rate: &str) -> Bucket {
        Bucket::new(rate.parse().unwrap())
    }

    #[test]
    fn requests_of_other_hosts_are_charged_beyond_an_empty_bucket() {
        let bucket = bucket("4/h");
        assert_eq!(bucket.take(), Ok(3));
        bucket.charge(2);
        assert_eq!(bucket.take(), Ok(0));
        let quarter_hours = |bucket: &Bucket| bucket.take().unwrap_err().as_secs().div_ceil(900);
        assert_eq!(quarter_hours(&bucket), 1);
        bucket.charge(2);
        assert_eq!(quarter_hours(&bucket), 3);
        bucket.charge(u32::MAX);
        assert_eq!(quarter_hours(&bucket), 5, "no visitor waits for longer than for a bucket and one request");
    }

    #[test]
    fn a_bucket_forgets_what_it_lacks_while_it_fills() {
        let bucket = bucket("20/s");
        bucket.charge(40);
        let wait = bucket.take().unwrap_err();
        assert!((Duration::from_millis(500)..=Duration::from_millis(1_050)).contains(&wait), "{wait:?}");
        std::thread::sleep(wait + Duration::from_secs(1));
        assert_eq!(bucket.take(), Ok(19));
    }

    #[test]
    fn the_other_hosts_hear_of_a_bucket_once_for_each_part_of_it() {
        let large = bucket("64/h");
        assert_eq!((0..8).map(|_| large.count()).filter(|hear| *hear).count(), 1);
        assert_eq!(large.take_unshared(), 8);
        assert_eq!((0..4).map(|_| large.count()).collect::<Vec<_>>(), [false, false, false, true]);
        assert!(bucket("1/h").count());
    }
}
