//! Tests of requests with an `Idempotency-Key`.

use super::{Store, count, tables, text};
use crate::{Error, KEPT_MS, KeyState, KeyedCall, KeyedStep, RequestClaim, Transaction, Value, limits::Limits};
use futures::future::join_all;
use host_base::{clock::now_ms, id};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

fn call(key: &str) -> KeyedCall {
    KeyedCall {
        request: key.into(),
        fingerprint: "print".into(),
        holder: "visitor".into(),
        attempt: id::new().to_string(),
        at_ms: now_ms(),
        ends_ms: now_ms() + 60_000,
    }
}

async fn insert(mut transaction: Box<dyn Transaction>, id: &str) -> Box<dyn Transaction> {
    let values = vec![text(id), Value::Integer(1)];
    transaction.execute("INSERT INTO things (id, n) VALUES ($1, $2)", values).await.unwrap();
    transaction
}

async fn record(store: &Store, call: &KeyedCall, step: KeyedStep) -> bool {
    match store.begin_step(call, &step).await.unwrap() {
        Some(transaction) => transaction.commit().await.map(|()| true).unwrap(),
        None => false,
    }
}

async fn state(store: &Store, call: &KeyedCall) -> KeyState {
    store.find_request(call).await.unwrap()
}

pub(crate) async fn a_key_belongs_to_the_first_call_that_commits(store: Store) {
    tables(&store).await;
    let (first, second) = (call("k"), call("k"));
    assert_eq!(state(&store, &first).await, KeyState::Unused);
    // Each transaction of a call claims the key again.
    for id in ["a", "b"] {
        let transaction = store.begin_step(&first, &KeyedStep::Claim).await.unwrap().unwrap();
        insert(transaction, id).await.commit().await.unwrap();
    }
    assert!(store.begin_step(&second, &KeyedStep::Claim).await.unwrap().is_none());
    assert!(!record(&store, &second, KeyedStep::Answer(vec![2])).await);
    assert!(!record(&store, &second, KeyedStep::End).await);
    assert_eq!(state(&store, &second).await, KeyState::Running);
    assert!(record(&store, &first, KeyedStep::Answer(vec![0, 39, 92, 255])).await);
    assert_eq!(state(&store, &second).await, KeyState::Answered(vec![0, 39, 92, 255]));
    assert_eq!(count(&store).await, 2);
}

pub(crate) async fn a_call_that_changed_nothing_leaves_no_claim(store: Store) {
    tables(&store).await;
    let first = call("k");
    let transaction = store.begin_step(&first, &KeyedStep::Claim).await.unwrap().unwrap();
    insert(transaction, "a").await.rollback().await;
    drop(store.begin_step(&first, &KeyedStep::Claim).await.unwrap());
    assert!(!record(&store, &first, KeyedStep::End).await, "there is no claim");
    assert_eq!(state(&store, &call("k")).await, KeyState::Unused);
    // A host that dies leaves a claim that ends at its time.
    let late = KeyedCall { ends_ms: now_ms() - 1, ..call("k") };
    assert!(record(&store, &late, KeyedStep::Claim).await);
    assert_eq!(state(&store, &call("k")).await, KeyState::NoAnswer);
    assert!(store.begin_step(&call("k"), &KeyedStep::Claim).await.unwrap().is_none(), "it made something");
    let ended = call("ended");
    assert!(record(&store, &ended, KeyedStep::Claim).await && record(&store, &ended, KeyedStep::End).await);
    assert_eq!(state(&store, &call("ended")).await, KeyState::NoAnswer);
    assert!(!record(&store, &call("ended"), KeyedStep::Forget).await, "it is not its claim");
    assert!(record(&store, &ended, KeyedStep::Forget).await);
    assert_eq!(state(&store, &call("ended")).await, KeyState::Unused);
}

pub(crate) async fn the_answer_belongs_to_one_request_for_a_day(store: Store) {
    let first = KeyedCall { at_ms: now_ms() - KEPT_MS + 60_000, ..call("k") };
    assert!(record(&store, &first, KeyedStep::Answer(b"one".to_vec())).await);
    assert_eq!(state(&store, &call("k")).await, KeyState::Answered(b"one".to_vec()));
    assert_eq!(state(&store, &call("l")).await, KeyState::Unused);
    let other = KeyedCall { fingerprint: "other".into(), ..call("k") };
    assert_eq!(state(&store, &other).await, KeyState::OtherRequest);
    let day_later = KeyedCall { at_ms: first.at_ms + KEPT_MS + 1, ..other };
    assert_eq!(state(&store, &day_later).await, KeyState::Unused);
    assert!(record(&store, &day_later, KeyedStep::Claim).await);
    assert_eq!(state(&store, &day_later).await, KeyState::Running);
}

/// Lets calls run at once, each with its own row, and returns how many committed.
async fn rush(store: &Store, claims: bool) -> usize {
    let calls = (0..50).map(|number| async move {
        let begun = match claims {
            true => store.begin_step(&call("k"), &KeyedStep::Claim).await,
            false => store.begin().await.map(Some),
        };
        let Some(transaction) = begun.unwrap() else { return 0 };
        insert(transaction, &format!("{number}")).await.commit().await.unwrap();
        1
    });
    join_all(calls).await.into_iter().sum()
}

pub(crate) async fn of_fifty_calls_with_one_key_one_changes_something(store: Store) {
    tables(&store).await;
    assert_eq!((rush(&store, true).await, count(&store).await), (1, 1));
    let claim = Arc::new(RequestClaim::new(store.clone(), call("k")));
    let waiting = timeout(Duration::from_secs(2), claim.begin()).await;
    assert!(waiting.is_err(), "a call without the key goes on");
    timeout(Duration::from_secs(5), claim.taken()).await.unwrap();
}

pub(crate) async fn without_a_claim_each_of_two_calls_changes_something(store: Store) {
    tables(&store).await;
    assert_eq!(rush(&store, false).await, 50);
}

pub(crate) async fn a_visitor_and_a_component_have_a_limited_number_of_keys(store: Store) {
    let most = Limits::default().keyed_requests_of_visitor;
    for number in 0..most {
        assert!(record(&store, &call(&number.to_string()), KeyedStep::Answer(vec![1])).await);
    }
    assert_eq!(state(&store, &call("one more")).await, KeyState::TooMany);
    assert_eq!(state(&store, &call("0")).await, KeyState::Answered(vec![1]), "a repetition needs no new key");
    let other = KeyedCall { holder: "other".into(), ..call("one more") };
    assert_eq!(state(&store, &other).await, KeyState::Unused);
    let day_later = KeyedCall { at_ms: now_ms() + KEPT_MS + 1, ..call("one more") };
    assert_eq!(state(&store, &day_later).await, KeyState::Unused);
}

pub(crate) async fn old_requests_are_deleted(store: Store) {
    for number in 0..1_003 {
        let old = KeyedCall { at_ms: 5, ..call(&number.to_string()) };
        assert!(record(&store, &old, KeyedStep::Claim).await);
    }
    assert!(record(&store, &call("new"), KeyedStep::Answer(vec![1])).await);
    assert_eq!(store.prune_requests(5).await.unwrap(), 0);
    assert_eq!(store.prune_requests(6).await.unwrap(), 1_003);
    assert_eq!(state(&store, &call("new")).await, KeyState::Answered(vec![1]));
}

pub(crate) async fn stored_answers_count_as_part_of_the_database(store: Store) {
    let before = store.measure().await.unwrap().database_bytes;
    for number in 0..40 {
        assert!(record(&store, &call(&number.to_string()), KeyedStep::Answer(vec![7; 50_000])).await);
    }
    let after = store.measure().await.unwrap().database_bytes;
    assert!(after - before >= 2_000_000, "{before} {after}");
    store.set_quota(crate::DiskAmount { database_bytes: after, ..crate::DiskAmount::UNLIMITED });
    let mut refused = None;
    for number in 0..20 {
        let answer = KeyedStep::Answer(vec![7; 50_000]);
        match store.begin_step(&call(&format!("more {number}")), &answer).await {
            Ok(Some(transaction)) => transaction.commit().await.unwrap(),
            Ok(None) => panic!("the key is new"),
            Err(error) => refused = Some(error),
        }
        store.measure().await.unwrap();
    }
    assert!(matches!(refused, Some(Error::Limit(_))), "{refused:?}");
    assert_eq!(state(&store, &call("0")).await, KeyState::Answered(vec![7; 50_000]));
}
