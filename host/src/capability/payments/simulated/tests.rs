use super::{super::LedgerState, *};
use crate::{
    config::payments::Faults as Settings,
    database::tests::{Place, on_both_engines},
};
use futures::future::join_all;
use std::time::Duration;

async fn open(place: &Place, faults: Settings) -> Simulated {
    Simulated::open(place.open().await, faults).await.unwrap()
}

fn dollars(amount: u64) -> Money {
    Money { amount, currency: "usd".to_owned() }
}

on_both_engines! {
    fifty_calls_with_one_key_at_once_move_the_money_once
    outcomes_are_final_and_survive_reopening
    a_key_with_other_arguments_is_invalid_and_changes_nothing
    only_the_allowed_steps_are_taken
    an_unknown_token_is_invalid
    a_charge_that_was_lost_on_the_way_back_is_found_again
    a_call_that_was_lost_on_the_way_there_charges_nothing_until_it_is_repeated
    a_caller_that_gives_up_does_not_stop_the_charge
    calls_that_arrive_twice_count_once
    faults_of_the_settings_strike_every_nth_call
}

async fn fifty_calls_with_one_key_at_once_move_the_money_once(place: Place) {
    let provider = open(&place, Settings::default()).await;
    let calls = (0..50).map(|_| {
        let provider = provider.clone();
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

async fn outcomes_are_final_and_survive_reopening(place: Place) {
    let first = open(&place, Settings::default()).await;
    let id = first.authorize("a", &dollars(5), "tok_visa").await.unwrap();
    let declined = first.authorize("b", &dollars(5), "tok_chargeDeclined").await.unwrap_err();
    assert!(matches!(&declined, Error::Declined(decline) if decline.code == "card_declined"));
    drop(first);

    let second = open(&place, Settings::default()).await;
    assert_eq!(second.authorize("a", &dollars(5), "tok_visa").await.unwrap(), id);
    let again = second.authorize("b", &dollars(5), "tok_chargeDeclined").await;
    assert!(matches!(again, Err(Error::Declined(_))));
    assert_eq!(second.ledger(10).await.unwrap().len(), 1);
}

async fn a_key_with_other_arguments_is_invalid_and_changes_nothing(place: Place) {
    let provider = open(&place, Settings::default()).await;
    let id = provider.authorize("k", &dollars(5), "tok_visa").await.unwrap();
    let euros = Money { amount: 5, currency: "eur".to_owned() };
    for outcome in [
        provider.authorize("k", &dollars(6), "tok_visa").await.map(drop),
        provider.authorize("k", &dollars(5), "tok_amex").await.map(drop),
        provider.authorize("k", &euros, "tok_visa").await.map(drop),
        provider.capture("k", &id).await,
    ] {
        assert!(matches!(outcome, Err(Error::Invalid(_))), "{outcome:?}");
    }
    assert_eq!(provider.authorize("k", &dollars(5), "tok_visa").await.unwrap(), id);
    assert_eq!(provider.ledger(10).await.unwrap()[0].state, LedgerState::Authorized);
}

async fn only_the_allowed_steps_are_taken(place: Place) {
    let provider = open(&place, Settings::default()).await;
    let is_invalid = |outcome: Result<(), Error>| matches!(outcome, Err(Error::Invalid(_)));

    let taken = provider.authorize("1", &dollars(5), "tok_visa").await.unwrap();
    assert!(is_invalid(provider.refund("2", &taken).await));
    provider.capture("3", &taken).await.unwrap();
    assert!(is_invalid(provider.capture("4", &taken).await));
    assert!(is_invalid(provider.void("5", &taken).await));
    provider.refund("6", &taken).await.unwrap();
    assert!(is_invalid(provider.refund("7", &taken).await));
    provider.refund("6", &taken).await.unwrap();

    let dropped = provider.authorize("8", &dollars(7), "tok_visa").await.unwrap();
    provider.void("9", &dropped).await.unwrap();
    assert!(is_invalid(provider.capture("10", &dropped).await));
    assert!(is_invalid(provider.capture("11", "auth_of_nobody").await));

    let states: Vec<_> = provider.ledger(10).await.unwrap().into_iter().map(|entry| entry.state).collect();
    assert_eq!(states, [LedgerState::Voided, LedgerState::Refunded]);
}

async fn an_unknown_token_is_invalid(place: Place) {
    let provider = open(&place, Settings::default()).await;
    let outcome = provider.authorize("k", &dollars(5), "tok_nobody").await;
    assert!(matches!(outcome, Err(Error::Invalid(_))));
    assert!(provider.ledger(10).await.unwrap().is_empty());
}

async fn a_charge_that_was_lost_on_the_way_back_is_found_again(place: Place) {
    let provider = open(&place, Settings::default()).await;
    let token = "tok_simulate_timeout_after_charge";
    let lost = provider.authorize("k", &dollars(5), token).await;
    assert!(matches!(lost, Err(Error::Unavailable(_))), "{lost:?}");
    let charged = provider.ledger(10).await.unwrap();
    assert_eq!(charged.len(), 1);

    let found = provider.authorize("k", &dollars(5), token).await.unwrap();
    assert_eq!(found, charged[0].authorization);
    assert_eq!(provider.ledger(10).await.unwrap().len(), 1);
}

async fn a_call_that_was_lost_on_the_way_there_charges_nothing_until_it_is_repeated(place: Place) {
    let token = "tok_simulate_timeout_before_charge";
    let provider = open(&place, Settings::default()).await;
    let lost = provider.authorize("k", &dollars(5), token).await;
    assert!(matches!(lost, Err(Error::Unavailable(_))), "{lost:?}");
    assert!(provider.ledger(10).await.unwrap().is_empty());
    drop(provider);

    let provider = open(&place, Settings::default()).await;
    provider.authorize("k", &dollars(5), token).await.unwrap();
    assert_eq!(provider.ledger(10).await.unwrap().len(), 1);
}

async fn a_caller_that_gives_up_does_not_stop_the_charge(place: Place) {
    let provider = open(&place, Settings { delay_ms: 60_000, ..Settings::default() }).await;
    let amount = dollars(5);
    let slow = provider.authorize("k", &amount, "tok_simulate_slow");
    assert!(tokio::time::timeout(Duration::from_millis(20), slow).await.is_err());
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while provider.ledger(10).await.unwrap().is_empty() {
        assert!(tokio::time::Instant::now() < deadline);
    }
    // The repeat is not slow.
    provider.authorize("k", &dollars(5), "tok_simulate_slow").await.unwrap();
}

async fn calls_that_arrive_twice_count_once(place: Place) {
    let provider = open(&place, Settings { duplicate_every: 1, ..Settings::default() }).await;
    let id = provider.authorize("k", &dollars(5), "tok_visa").await.unwrap();
    provider.capture("c", &id).await.unwrap();
    provider.refund("r", &id).await.unwrap();
    let ledger = provider.ledger(10).await.unwrap();
    assert_eq!(ledger.len(), 1);
    assert_eq!((ledger[0].captured, ledger[0].refunded), (5, 5));
}

async fn faults_of_the_settings_strike_every_nth_call(place: Place) {
    let faults = Settings { timeout_after_every: 2, ..Settings::default() };
    let provider = open(&place, faults).await;
    let id = provider.authorize("k", &dollars(5), "tok_visa").await.unwrap();
    let lost = provider.capture("c", &id).await;
    assert!(matches!(lost, Err(Error::Unavailable(_))), "{lost:?}");
    assert_eq!(provider.ledger(10).await.unwrap()[0].state, LedgerState::Captured);
    provider.capture("c", &id).await.unwrap();
}
