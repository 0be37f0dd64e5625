//! What one of several hosts does for all, and how the others tell it.

use super::*;
use futures::FutureExt;
use host_base::clock::now_ms;

/// Two hosts on one database, as they see the same component.
struct Two {
    url: String,
    here: Store,
    there: Store,
    others: PostgresDatabases,
    _one: PostgresDatabases,
}

impl Two {
    /// Waits until the other host has looked by itself, and will not for a
    /// while.
    async fn has_looked(&self) {
        let Signals { outbox, timers } = &**self.there.signals();
        // It may have been woken before.
        for _ in 0..2 {
            timers.reading();
            timeout(pg_notify::SAFETY_NET * 2, timers.earlier()).await.expect("it does not look");
        }
        // That comes before the timers.
        outbox.grown().now_or_never();
    }
}

async fn set_timer(store: &Store, due_ms: u64) {
    let mut transaction = store.begin().await.unwrap();
    transaction.schedule(&Timer { key: "t".into(), due_ms, payload: vec![] }, None).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn two() -> Two {
    let (one, url) = databases(patient()).await;
    let others = host(&url, patient()).await;
    let (here, there) = (one.open("things").await.unwrap(), others.open("things").await.unwrap());
    Two { url, here, there, others, _one: one }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_commit_wakes_the_host_that_leads() {
    let two = two().await;
    let Two { here, there, .. } = &two;
    conformance::tables(here).await;
    let leads = [LeaderRole::Outbox, LeaderRole::Timers].map(|duty| there.lead(duty));
    let _leads = futures::future::try_join_all(leads).await.unwrap();
    two.has_looked().await;
    add(here, "a").await.unwrap();
    let soon = pg_notify::SAFETY_NET - Duration::from_millis(500);
    timeout(soon, there.signals().outbox.grown()).await.expect("only the safety net wakes it");
    // They were read, and then one is set: it is read when it is due.
    let timers = &there.signals().timers;
    for due_ms in [|| now_ms() + 1_000, || 1] {
        two.has_looked().await;
        timers.reading();
        let due_ms = due_ms();
        set_timer(here, due_ms).await;
        timeout(soon, timers.earlier()).await.expect("only the safety net wakes it");
        assert_eq!(timers.look_ms(), due_ms);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_timer_that_is_due_after_the_next_look_needs_no_word() {
    let two = two().await;
    let Two { url, here, there, .. } = &two;
    let leads = [LeaderRole::Outbox, LeaderRole::Timers].map(|duty| there.lead(duty));
    let _leads = futures::future::try_join_all(leads).await.unwrap();
    let mut listener = sqlx::postgres::PgListener::connect(url).await.unwrap();
    listener.listen(pg_notify::CHANNEL).await.unwrap();
    two.has_looked().await;
    there.signals().timers.reading();
    set_timer(here, now_ms() + 60_000).await;
    let soon = now_ms() + 2_000;
    set_timer(here, soon).await;
    let word = listener.recv().await.unwrap();
    assert!(word.payload().contains(&soon.to_string()), "{}", word.payload());
    // It looks long before that one is due.
    timeout(pg_notify::SAFETY_NET * 2, there.signals().outbox.grown()).await.expect("it does not look");
    assert!(there.signals().timers.look_ms() <= now_ms());
}

/// Otherwise two hosts that each do something for all, and not this, would tell
/// each other of it without end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_commit_wakes_no_host_that_leads_something_else() {
    let two = two().await;
    let Two { url, here, there, others, .. } = &two;
    conformance::tables(here).await;
    let elsewhere = others.open("others").await.unwrap();
    let _leads = [elsewhere.lead(LeaderRole::Outbox).await.unwrap(), there.lead(LeaderRole::Timers).await.unwrap()];
    let woken = async |store: &Store| timeout(Duration::from_secs(1), store.signals().outbox.grown()).await.is_ok();
    // The one that it has is what it listens for.
    assert!(woken(&elsewhere).await);
    // Once it has looked by itself, by the safety net.
    let mut listener = sqlx::postgres::PgListener::connect(url).await.unwrap();
    listener.listen(pg_notify::CHANNEL).await.unwrap();
    add(here, "a").await.unwrap();
    assert!(listener.recv().await.unwrap().payload().ends_with(" outbox things"));
    assert!(!woken(there).await);
    timeout(Duration::from_secs(20), elsewhere.signals().outbox.grown()).await.expect("it does not look");
    assert!(!woken(there).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn what_a_relay_passes_on_is_not_told_as_well() {
    let two = two().await;
    let Two { url, here, there, .. } = &two;
    conformance::tables(here).await;
    let _lead = there.lead(LeaderRole::Outbox).await.unwrap();
    let mut listener = sqlx::postgres::PgListener::connect(url).await.unwrap();
    listener.listen(pg_notify::CHANNEL).await.unwrap();
    let mut told = async || timeout(Duration::from_millis(500), listener.recv()).await.is_ok();
    add(here, "a").await.unwrap();
    assert!(told().await);
    here.signals().outbox.keep(true);
    here.signals().outbox.take_all();
    add(here, "b").await.unwrap();
    assert!(!told().await);
    let passed_on = here.signals().outbox.take_all().unwrap();
    let events = there.outbox(0, 10).await.unwrap();
    let [published] = passed_on.as_slice() else { panic!("{passed_on:?}") };
    assert_eq!(published.after, events.first().map(|event| event.sequence));
    assert_eq!(published.events.last().map(|event| event.sequence), events.last().map(|event| event.sequence));
    here.tell(LeaderRole::Outbox);
    assert!(told().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn one_host_leads_until_it_is_gone() {
    let two = two().await;
    let Two { url, here, there, others, .. } = &two;
    let mut first = here.lead(LeaderRole::Outbox).await.unwrap();
    let _another_duty = there.lead(LeaderRole::Timers).await.unwrap();
    let _of_another_component = others.open("others").await.unwrap().lead(LeaderRole::Outbox).await.unwrap();
    assert!(timeout(Duration::from_secs(2), there.lead(LeaderRole::Outbox)).await.is_err(), "two lead");
    drop(first);
    first = timeout(Duration::from_secs(20), there.lead(LeaderRole::Outbox)).await.expect("nobody leads").unwrap();
    // The server cuts all connections of that host's: it has lost the lead.
    let mut owner = postgres::connect(url).await.unwrap();
    sqlx::raw_sql(
        "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
         WHERE locktype = 'advisory' AND datname = current_database()",
    )
    .execute(&mut owner)
    .await
    .unwrap();
    timeout(Duration::from_secs(20), first.lost()).await.expect("it does not know");
    timeout(Duration::from_secs(20), here.lead(LeaderRole::Outbox)).await.expect("nobody leads").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_wait_that_was_given_up_keeps_nobody_from_leading() {
    let two = two().await;
    let Two { here, there, .. } = &two;
    let first = here.lead(LeaderRole::Outbox).await.unwrap();
    // It goes on looking for what it waits for, because of this one.
    let _another_duty = there.lead(LeaderRole::Timers).await.unwrap();
    assert!(timeout(Duration::from_millis(100), there.lead(LeaderRole::Outbox)).await.is_err(), "two lead");
    drop(first);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    timeout(Duration::from_secs(20), here.lead(LeaderRole::Outbox)).await.expect("nobody leads").unwrap();
}
