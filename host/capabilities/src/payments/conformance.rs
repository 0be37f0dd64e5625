//! What every provider has to do, as tests over [`Provider`]. The tests of
//! each call all of them, on both engines.

use super::{Error, LedgerState, Money, Provider};
use futures::future::join_all;
use host_test_support::TestDatabase;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub(super) type AnyProvider = Arc<dyn Provider>;

/// A provider that can be opened more than once on the same record, and loses
/// calls when it is told to.
pub(super) trait Subject: Sized {
    async fn new(place: TestDatabase) -> Self;

    /// A provider on the record as it is.
    async fn open(&self) -> AnyProvider;

    /// A good card, for which the next attempt to reserve money is made and
    /// its answer is lost.
    fn card_whose_answer_is_lost(&self) -> &'static str;

    /// A good card, for which the next attempt never arrives.
    fn card_whose_call_is_lost(&self) -> &'static str;

    /// A good card, for which the next answer takes minutes.
    fn card_that_is_slow(&self) -> &'static str;
}

/// Makes the tests of a [`Subject`].
macro_rules! conforms {
    ($subject:ty: $($case:ident)*) => {
        mod conforms {
            use super::*;
            $(async fn $case(place: host_test_support::TestDatabase) {
                let subject = <$subject as conformance::Subject>::new(place).await;
                conformance::$case(subject).await;
            })*
            host_test_support::on_both_engines! { $($case)* }
        }
    };
    ($subject:ty) => {
        conformance::conforms! { $subject:
            fifty_calls_with_one_key_at_once_move_the_money_once
            outcomes_are_final_and_survive_reopening
            a_key_with_other_arguments_is_invalid_and_changes_nothing
            only_the_allowed_steps_are_taken
            an_unknown_token_is_invalid
            a_charge_that_was_lost_on_the_way_back_is_found_again
            a_call_that_was_lost_on_the_way_there_charges_nothing_until_it_is_repeated
            a_caller_that_gives_up_does_not_stop_the_charge
        }
    };
}
pub(super) use conforms;

pub(super) fn dollars(amount: u64) -> Money {
    Money { amount, currency: "usd".to_owned() }
}

pub(super) fn is_invalid<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Invalid(_)))
}

pub(super) fn is_unknown<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Unavailable(_)))
}

pub(super) async fn fifty_calls_with_one_key_at_once_move_the_money_once(subject: impl Subject) {
    let provider = subject.open().await;
    let calls = (0..50).map(|_| {
        let provider = Arc::clone(&provider);
        tokio::spawn(async move { provider.authorize("k", &dollars(1999), "tok_visa").await.unwrap() })
    });
    let ids: Vec<String> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    assert!(ids.iter().all(|id| *id == ids[0]));

    let captures = join_all((0..50).map(|_| provider.capture("c", &ids[0]))).await;
    assert!(captures.iter().all(Result::is_ok));
    let ledger = provider.ledger(10).await.unwrap();
    assert_eq!(ledger.len(), 1);
    assert_eq!(ledger[0].state, LedgerState::Captured);
    assert_eq!((ledger[0].amount, ledger[0].captured, ledger[0].refunded), (1999, 1999, 0));
}

pub(super) async fn outcomes_are_final_and_survive_reopening(subject: impl Subject) {
    let first = subject.open().await;
    let id = first.authorize("a", &dollars(5), "tok_visa").await.unwrap();
    let declined = first.authorize("b", &dollars(5), "tok_chargeDeclined").await.unwrap_err();
    assert!(matches!(&declined, Error::Declined(decline) if decline.code == "card_declined"), "{declined:?}");
    drop(first);

    let second = subject.open().await;
    assert_eq!(second.authorize("a", &dollars(5), "tok_visa").await.unwrap(), id);
    let again = second.authorize("b", &dollars(5), "tok_chargeDeclined").await;
    assert!(matches!(again, Err(Error::Declined(_))));
    assert_eq!(second.ledger(10).await.unwrap().len(), 1);
}

pub(super) async fn a_key_with_other_arguments_is_invalid_and_changes_nothing(subject: impl Subject) {
    let provider = subject.open().await;
    let id = provider.authorize("k", &dollars(5), "tok_visa").await.unwrap();
    let euros = Money { amount: 5, currency: "eur".to_owned() };
    for outcome in [
        provider.authorize("k", &dollars(6), "tok_visa").await.map(drop),
        provider.authorize("k", &dollars(5), "tok_amex").await.map(drop),
        provider.authorize("k", &euros, "tok_visa").await.map(drop),
        provider.capture("k", &id).await,
    ] {
        assert!(is_invalid(&outcome), "{outcome:?}");
    }
    assert_eq!(provider.authorize("k", &dollars(5), "tok_visa").await.unwrap(), id);
    assert_eq!(provider.ledger(10).await.unwrap()[0].state, LedgerState::Authorized);
}

pub(super) async fn only_the_allowed_steps_are_taken(subject: impl Subject) {
    let provider = subject.open().await;
    let taken = provider.authorize("1", &dollars(5), "tok_visa").await.unwrap();
    assert!(is_invalid(&provider.refund("2", &taken).await));
    provider.capture("3", &taken).await.unwrap();
    assert!(is_invalid(&provider.capture("4", &taken).await));
    assert!(is_invalid(&provider.void("5", &taken).await));
    provider.refund("6", &taken).await.unwrap();
    assert!(is_invalid(&provider.refund("7", &taken).await));
    provider.refund("6", &taken).await.unwrap();

    let dropped = provider.authorize("8", &dollars(7), "tok_visa").await.unwrap();
    provider.void("9", &dropped).await.unwrap();
    assert!(is_invalid(&provider.capture("10", &dropped).await));
    assert!(is_invalid(&provider.capture("11", "auth_of_nobody").await));

    let states: Vec<_> = provider.ledger(10).await.unwrap().into_iter().map(|entry| entry.state).collect();
    assert_eq!(states, [LedgerState::Voided, LedgerState::Refunded]);
}

pub(super) async fn an_unknown_token_is_invalid(subject: impl Subject) {
    let provider = subject.open().await;
    for token in ["tok_nobody", "4242424242424242", ""] {
        let outcome = provider.authorize(&format!("k{token}"), &dollars(5), token).await;
        assert!(is_invalid(&outcome), "{token}: {outcome:?}");
    }
    assert!(provider.ledger(10).await.unwrap().is_empty());
}

pub(super) async fn a_charge_that_was_lost_on_the_way_back_is_found_again(subject: impl Subject) {
    let provider = subject.open().await;
    let token = subject.card_whose_answer_is_lost();
    let lost = provider.authorize("k", &dollars(5), token).await;
    assert!(is_unknown(&lost), "{lost:?}");
    drop(provider);

    let provider = subject.open().await;
    let found = provider.authorize("k", &dollars(5), token).await.unwrap();
    let ledger = provider.ledger(10).await.unwrap();
    assert_eq!(ledger.len(), 1);
    assert_eq!(ledger[0].authorization, found);
}

pub(super) async fn a_call_that_was_lost_on_the_way_there_charges_nothing_until_it_is_repeated(subject: impl Subject) {
    let provider = subject.open().await;
    let token = subject.card_whose_call_is_lost();
    let lost = provider.authorize("k", &dollars(5), token).await;
    assert!(is_unknown(&lost), "{lost:?}");
    assert!(provider.ledger(10).await.unwrap().is_empty());
    drop(provider);

    let provider = subject.open().await;
    provider.authorize("k", &dollars(5), token).await.unwrap();
    assert_eq!(provider.ledger(10).await.unwrap().len(), 1);
}

pub(super) async fn a_caller_that_gives_up_does_not_stop_the_charge(subject: impl Subject) {
    let provider = subject.open().await;
    let (amount, token) = (dollars(5), subject.card_that_is_slow());
    let slow = provider.authorize("k", &amount, token);
    assert!(tokio::time::timeout(Duration::from_millis(20), slow).await.is_err());
    // Another host, which has to be told to ask again while the first is at work.
    let other = subject.open().await;
    let deadline = Instant::now() + Duration::from_secs(20);
    let id = loop {
        match other.authorize("k", &amount, token).await {
            Ok(id) => break id,
            Err(Error::Unavailable(_)) => assert!(Instant::now() < deadline),
            Err(error) => panic!("{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let ledger = other.ledger(10).await.unwrap();
    assert_eq!((ledger.len(), &ledger[0].authorization), (1, &id));
}
