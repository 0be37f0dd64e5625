//! Tells the hosts of a cluster what busy visitors have used on each of them.
//!
//! A visitor who spreads requests over all hosts gets more than the limit only for the
//! second until the hosts have told each other, and by a small part on each host.

use super::{Key, RateLimits, bucket::Bucket};
use host_database::cluster::Cluster;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{mem, sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

const INTERVAL: Duration = Duration::from_secs(1);
/// The most buckets of which a host tells at a time. Further ones wait.
const MAX_TOLD: usize = 500;
/// The most that [`Cluster::tell`] sends.
const MAX_MESSAGE_BYTES: usize = 7_900;

/// What one host tells the others of one bucket.
#[derive(Debug, Serialize, Deserialize)]
struct Usage {
    key: Key,
    requests: u32,
}

/// The buckets of which the other hosts should hear.
#[derive(Default)]
pub(super) struct Busy(Mutex<Vec<(Key, Arc<Bucket>)>>);

impl Busy {
    /// Counts an admitted request.
    pub(super) fn count(&self, key: Key, bucket: &Arc<Bucket>) {
        if !bucket.count() {
            return;
        }
        let mut busy = self.0.lock();
        match busy.len() < MAX_TOLD {
            true => busy.push((key, bucket.clone())),
            // The bucket comes back when it has been used as much again.
            false => drop(bucket.take_unshared()),
        }
    }
}

impl RateLimits {
    /// Tells the other hosts what visitors have used here, and counts what they have
    /// used there, until the host stops.
    pub async fn share(self: Arc<Self>, cluster: Arc<Cluster>, stop: CancellationToken) {
        let mut messages = cluster.messages();
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(message) = messages.next() => self.hear(&message),
                _ = ticks.tick() => {
                    let news = self.news();
                    if !news.is_empty() {
                        cluster.tell(&news).await;
                    }
                }
            }
        }
    }

    /// The messages for the other hosts.
    fn news(&self) -> Vec<String> {
        let Some(busy) = &self.busy else { return Vec::new() };
        let busy = mem::take(&mut *busy.0.lock());
        let usage = |(key, bucket): (Key, Arc<Bucket>)| Usage { key, requests: bucket.take_unshared() };
        let messages = busy.into_iter().filter_map(|busy| serde_json::to_string(&usage(busy)).ok());
        // One message that is too long would stop all others.
        messages.filter(|message| message.len() <= MAX_MESSAGE_BYTES).collect()
    }

    /// Counts what a visitor has used on another host. A host of another version may
    /// send something else.
    fn hear(&self, message: &str) {
        if let Ok(Usage { key, requests }) = serde_json::from_str(message) {
            let rate = self.rate_of(&key);
            self.buckets.get_with(key, || Arc::new(Bucket::new(rate))).charge(requests);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::*, *};
    use http::Method;
    use std::net::Ipv4Addr;

    /// Sends requests of one address to hosts in turn, which tell each other after
    /// each round. Returns how many they admit.
    fn admitted(hosts: &[RateLimits], requests: usize, shared: bool) -> usize {
        let mut admitted = 0;
        for _ in 0..requests.div_ceil(hosts.len()) {
            let of_round = hosts.iter().map(|host| ask(host, Ipv4Addr::LOCALHOST, &Method::GET));
            admitted += of_round.filter(Result::is_ok).count();
            let news: Vec<_> = hosts.iter().map(RateLimits::news).collect();
            for (teller, message) in
                news.iter().enumerate().flat_map(|(teller, news)| news.iter().map(move |n| (teller, n)))
            {
                let others = hosts.iter().enumerate().filter(|(host, _)| shared && *host != teller);
                others.for_each(|(_, other)| other.hear(message));
            }
        }
        admitted
    }

    #[test]
    fn hosts_that_share_admit_about_as_much_as_one() {
        let three = || [(); 3].map(|()| limits("96/h"));
        let shared = admitted(&three(), 900, true);
        assert!((96..=96 + 3 * 8).contains(&shared), "{shared}");
        assert_eq!(admitted(&three(), 900, false), 3 * 96, "control: hosts that do not tell each other");
    }

    #[test]
    fn a_host_tells_of_a_bounded_number_of_visitors_and_of_the_others_later() {
        let limits = limits("1/h");
        let ask = |number| ask(&limits, Ipv4Addr::from_bits(number), &Method::GET).is_ok();
        assert!((0..2_000).all(ask));
        assert_eq!((limits.news().len(), limits.news().len()), (MAX_TOLD, 0));
        assert!(ask(5_000));
        assert_eq!(limits.news(), ["{\"key\":{\"address\":\"0.0.19.136\"},\"requests\":1}"]);
    }

    #[test]
    fn a_host_ignores_messages_that_it_does_not_understand() {
        let limits = limits("2/h");
        for message in
            ["", "{}", "\0", "{\"key\":{\"planet\":1},\"requests\":1}", "[[[[", "{\"key\":{\"address\":\"::1\"}}"]
        {
            limits.hear(message);
        }
        assert_eq!(limits.buckets.iter().count(), 0);
        limits.hear("{\"key\":{\"address\":\"127.0.0.1\"},\"requests\":4294967295,\"more\":true}");
        assert!(ask(&limits, Ipv4Addr::LOCALHOST, &Method::GET).is_err());
    }
}
