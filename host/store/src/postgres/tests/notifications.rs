//! Tests of the notifications between hosts.

use super::{add, two_hosts::TwoHosts};
use crate::{
    Databases, LeaseRole, Timer,
    conformance::{self, Store},
    postgres::notify_channel::{CHANNEL, POLL_INTERVAL},
};
use futures::future::try_join_all;
use host_base::clock::now_ms;
use sqlx::postgres::PgListener;
use std::time::Duration;
use tokio::time::timeout;

async fn set_timer(store: &Store, due_ms: u64) {
    let mut transaction = store.begin().await.unwrap();
    transaction.schedule(&Timer { key: "t".into(), due_ms, payload: vec![] }, None).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn listener(url: &str) -> PgListener {
    let mut listener = PgListener::connect(url).await.unwrap();
    listener.listen(CHANNEL).await.unwrap();
    listener
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_commit_wakes_the_host_that_holds_the_lease() {
    let hosts = TwoHosts::start().await;
    let TwoHosts { here, there, .. } = &hosts;
    conformance::tables(here).await;
    let _leases =
        try_join_all([there.acquire_lease(LeaseRole::Outbox), there.acquire_lease(LeaseRole::Timers)]).await.unwrap();
    hosts.there_has_polled().await;
    add(here, "a").await.unwrap();
    let before_next_poll = POLL_INTERVAL - Duration::from_millis(500);
    timeout(before_next_poll, there.outbox_signal().changed()).await.expect("only the poll wakes the relay");
    // A timer that is set after the last read is read when it is due.
    let timers = there.timers_signal();
    for due_ms in [|| now_ms() + 1_000, || 1] {
        hosts.there_has_polled().await;
        timers.begin_read();
        let due_ms = due_ms();
        set_timer(here, due_ms).await;
        timeout(before_next_poll, timers.earlier()).await.expect("only the poll wakes the timer worker");
        assert_eq!(timers.next_read_ms(), due_ms);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_timer_that_is_due_after_the_next_poll_needs_no_notification() {
    let hosts = TwoHosts::start().await;
    let TwoHosts { url, here, there, .. } = &hosts;
    let _leases =
        try_join_all([there.acquire_lease(LeaseRole::Outbox), there.acquire_lease(LeaseRole::Timers)]).await.unwrap();
    let mut listener = listener(url).await;
    hosts.there_has_polled().await;
    there.timers_signal().begin_read();
    set_timer(here, now_ms() + 60_000).await;
    let soon = now_ms() + 2_000;
    set_timer(here, soon).await;
    let notification = listener.recv().await.unwrap();
    assert!(notification.payload().contains(&soon.to_string()), "{}", notification.payload());
    // It polls long before the other timer is due.
    timeout(POLL_INTERVAL * 2, there.outbox_signal().changed()).await.expect("it does not poll");
    assert!(there.timers_signal().next_read_ms() <= now_ms());
}

/// Otherwise two hosts that hold other leases would notify each other without
/// end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_commit_wakes_no_host_that_holds_another_lease() {
    let hosts = TwoHosts::start().await;
    let TwoHosts { url, here, there, there_databases, .. } = &hosts;
    conformance::tables(here).await;
    let others = there_databases.open("others").await.unwrap();
    let _leases =
        [others.acquire_lease(LeaseRole::Outbox).await.unwrap(), there.acquire_lease(LeaseRole::Timers).await.unwrap()];
    let is_woken = async |store: &Store| timeout(Duration::from_secs(1), store.outbox_signal().changed()).await.is_ok();
    // The host listens, because it holds a lease, and has polled.
    assert!(is_woken(&others).await);
    let mut listener = listener(url).await;
    add(here, "a").await.unwrap();
    assert!(listener.recv().await.unwrap().payload().ends_with(" outbox things"));
    assert!(!is_woken(there).await);
    timeout(Duration::from_secs(20), others.outbox_signal().changed()).await.expect("it does not poll");
    assert!(!is_woken(there).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn forwarded_events_need_no_notification() {
    let hosts = TwoHosts::start().await;
    let TwoHosts { url, here, there, .. } = &hosts;
    conformance::tables(here).await;
    let _lease = there.acquire_lease(LeaseRole::Outbox).await.unwrap();
    let mut listener = listener(url).await;
    let mut is_notified = async || timeout(Duration::from_millis(500), listener.recv()).await.is_ok();
    add(here, "a").await.unwrap();
    assert!(is_notified().await);
    here.outbox_signal().set_buffering(true);
    here.outbox_signal().drain();
    add(here, "b").await.unwrap();
    assert!(!is_notified().await);
    let batches = here.outbox_signal().drain().unwrap();
    let events = there.read_outbox(0, 10).await.unwrap();
    let [batch] = batches.as_slice() else { panic!("{batches:?}") };
    assert_eq!(batch.after, events.first().map(|event| event.sequence));
    assert_eq!(batch.events.last().map(|event| event.sequence), events.last().map(|event| event.sequence));
    here.notify_lease_holder(LeaseRole::Outbox);
    assert!(is_notified().await);
}
