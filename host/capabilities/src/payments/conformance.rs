//! The behaviour that every provider must have, as tests over [`TestProvider`]. The
//! tests of each provider run all of them, on both database engines.

use super::{Error, Money, Payments, Provider, operation::Settlement};
use futures::future::join_all;
use host_database::HostDatabase;
use host_test_support::TestDatabase;
use sqlx::AssertSqlSafe;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A provider under test. Each client has its own connection to the same records.
pub(super) trait TestProvider: Sized {
    /// The table of its authorizations.
    const AUTHORIZATIONS: &'static str;

    async fn new(database: TestDatabase) -> Self;

    fn database(&self) -> &TestDatabase;

    /// Starts the provider on the existing records.
    async fn open(&self) -> Client;

    /// A valid card. The response to the next authorization with it is lost.
    fn card_with_lost_response(&self) -> &'static str;

    /// A valid card. The next request for an authorization with it is lost.
    fn card_with_lost_request(&self) -> &'static str;

    /// A valid card. The response to the next authorization with it takes minutes.
    fn slow_card(&self) -> &'static str;

    /// The recorded authorizations, the newest first.
    async fn ledger(&self) -> Vec<LedgerEntry> {
        ledger(&self.database().open().await, Self::AUTHORIZATIONS).await
    }
}

/// A recorded authorization, with amounts in minor units.
#[derive(Debug)]
pub(super) struct LedgerEntry {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) state: String,
    pub(super) amount: i64,
    pub(super) captured: i64,
    pub(super) refunded: i64,
}

/// Reads a table of authorizations, the newest first.
pub(super) async fn ledger(database: &HostDatabase, table: &str) -> Vec<LedgerEntry> {
    let sql = format!("SELECT id, key, state, amount, captured, refunded FROM {table} ORDER BY sequence DESC LIMIT 10");
    let rows: Vec<(String, String, String, i64, i64, i64)> =
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&database.read).await.unwrap();
    let entry =
        |(id, key, state, amount, captured, refunded)| LedgerEntry { id, key, state, amount, captured, refunded };
    rows.into_iter().map(entry).collect()
}

/// The payment service, with a method for each operation.
#[derive(Clone)]
pub(super) struct Client(Payments);

impl Client {
    pub(super) fn new(provider: impl Provider) -> Self {
        Self(Payments { provider: Arc::new(provider), call_timeout: Duration::MAX })
    }

    pub(super) async fn authorize(&self, key: &str, amount: Money, token: &str) -> Result<String, Error> {
        self.0.authorize(key, amount, token.to_owned()).await
    }

    pub(super) async fn capture(&self, key: &str, id: &str) -> Result<(), Error> {
        self.0.settle(key, Settlement::Capture, id.to_owned()).await
    }

    pub(super) async fn void(&self, key: &str, id: &str) -> Result<(), Error> {
        self.0.settle(key, Settlement::Void, id.to_owned()).await
    }

    pub(super) async fn refund(&self, key: &str, id: &str) -> Result<(), Error> {
        self.0.settle(key, Settlement::Refund, id.to_owned()).await
    }
}

/// Defines the tests of a [`TestProvider`].
macro_rules! conforms {
    ($provider:ty: $($case:ident)*) => {
        mod conforms {
            use super::*;
            $(async fn $case(database: host_test_support::TestDatabase) {
                let provider = <$provider as conformance::TestProvider>::new(database).await;
                conformance::$case(provider).await;
            })*
            host_test_support::on_both_engines! { $($case)* }
        }
    };
    ($provider:ty) => {
        conformance::conforms! { $provider:
            fifty_calls_with_one_key_at_once_move_the_money_once
            outcomes_are_final_and_survive_reopening
            a_key_with_other_arguments_is_invalid_and_changes_nothing
            only_allowed_settlements_are_made
            an_unknown_token_is_invalid
            an_amount_below_the_minimum_of_its_currency_is_invalid_and_named
            a_charge_whose_response_was_lost_is_found_again
            a_call_whose_request_was_lost_charges_nothing_until_it_is_repeated
            a_cancelled_caller_does_not_stop_the_charge
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

pub(super) async fn fifty_calls_with_one_key_at_once_move_the_money_once(provider: impl TestProvider) {
    let client = provider.open().await;
    let calls = (0..50).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.authorize("k", dollars(1999), "tok_visa").await.unwrap() })
    });
    let ids: Vec<String> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    assert!(ids.iter().all(|id| *id == ids[0]));

    let captures = join_all((0..50).map(|_| client.capture("c", &ids[0]))).await;
    assert!(captures.iter().all(Result::is_ok));
    let ledger = provider.ledger().await;
    assert_eq!(ledger.len(), 1);
    assert_eq!(ledger[0].state, "captured");
    assert_eq!((ledger[0].amount, ledger[0].captured, ledger[0].refunded), (1999, 1999, 0));
}

pub(super) async fn outcomes_are_final_and_survive_reopening(provider: impl TestProvider) {
    let first = provider.open().await;
    let id = first.authorize("a", dollars(500), "tok_visa").await.unwrap();
    let declined = first.authorize("b", dollars(500), "tok_chargeDeclined").await.unwrap_err();
    assert!(matches!(&declined, Error::Declined(decline) if decline.code == "card_declined"), "{declined:?}");
    drop(first);

    let second = provider.open().await;
    assert_eq!(second.authorize("a", dollars(500), "tok_visa").await.unwrap(), id);
    let again = second.authorize("b", dollars(500), "tok_chargeDeclined").await;
    assert!(matches!(again, Err(Error::Declined(_))));
    assert_eq!(provider.ledger().await.len(), 1);
}

pub(super) async fn a_key_with_other_arguments_is_invalid_and_changes_nothing(provider: impl TestProvider) {
    let client = provider.open().await;
    let id = client.authorize("k", dollars(500), "tok_visa").await.unwrap();
    let euros = Money { amount: 500, currency: "eur".to_owned() };
    for outcome in [
        client.authorize("k", dollars(600), "tok_visa").await.map(drop),
        client.authorize("k", dollars(500), "tok_amex").await.map(drop),
        client.authorize("k", euros.clone(), "tok_visa").await.map(drop),
        client.capture("k", &id).await,
    ] {
        assert!(is_invalid(&outcome), "{outcome:?}");
    }
    assert_eq!(client.authorize("k", dollars(500), "tok_visa").await.unwrap(), id);
    assert_eq!(provider.ledger().await[0].state, "authorized");
}

pub(super) async fn only_allowed_settlements_are_made(provider: impl TestProvider) {
    let client = provider.open().await;
    let captured = client.authorize("1", dollars(500), "tok_visa").await.unwrap();
    assert!(is_invalid(&client.refund("2", &captured).await));
    client.capture("3", &captured).await.unwrap();
    assert!(is_invalid(&client.capture("4", &captured).await));
    assert!(is_invalid(&client.void("5", &captured).await));
    client.refund("6", &captured).await.unwrap();
    assert!(is_invalid(&client.refund("7", &captured).await));
    client.refund("6", &captured).await.unwrap();

    let voided = client.authorize("8", dollars(700), "tok_visa").await.unwrap();
    client.void("9", &voided).await.unwrap();
    assert!(is_invalid(&client.capture("10", &voided).await));
    assert!(is_invalid(&client.capture("11", "auth_unknown").await));

    let states: Vec<_> = provider.ledger().await.into_iter().map(|entry| entry.state).collect();
    assert_eq!(states, ["voided", "refunded"]);
}

pub(super) async fn an_unknown_token_is_invalid(provider: impl TestProvider) {
    let client = provider.open().await;
    for token in ["tok_unknown", "4242424242424242", ""] {
        let outcome = client.authorize(&format!("k{token}"), dollars(500), token).await;
        assert!(is_invalid(&outcome), "{token}: {outcome:?}");
    }
    assert!(provider.ledger().await.is_empty());
}

pub(super) async fn an_amount_below_the_minimum_of_its_currency_is_invalid_and_named(provider: impl TestProvider) {
    let client = provider.open().await;
    let money = |amount, currency: &str| Money { amount, currency: currency.to_owned() };
    for (number, below) in [money(1, "usd"), money(49, "usd"), money(49, "eur"), money(29, "gbp"), money(49, "jpy")]
        .into_iter()
        .enumerate()
    {
        // A good card and a bad one: the amount is to blame.
        for token in ["tok_visa", "tok_chargeDeclined"] {
            let outcome = client.authorize(&format!("{number}{token}"), below.clone(), token).await;
            let blames_amount = |reason: &str| reason.starts_with("amount: ");
            assert!(matches!(&outcome, Err(Error::Invalid(reason)) if blames_amount(reason)), "{below:?}: {outcome:?}");
        }
    }
    let charged = async || provider.ledger().await.len();
    assert_eq!(charged().await, 0);
    for (number, lowest) in [money(50, "usd"), money(30, "gbp"), money(50, "jpy")].into_iter().enumerate() {
        client.authorize(&format!("lowest {number}"), lowest, "tok_visa").await.unwrap();
    }
    assert_eq!(charged().await, 3);
}

pub(super) async fn a_charge_whose_response_was_lost_is_found_again(provider: impl TestProvider) {
    let client = provider.open().await;
    let token = provider.card_with_lost_response();
    let lost = client.authorize("k", dollars(500), token).await;
    assert!(is_unknown(&lost), "{lost:?}");
    drop(client);

    let client = provider.open().await;
    let found = client.authorize("k", dollars(500), token).await.unwrap();
    let ledger = provider.ledger().await;
    assert_eq!(ledger.len(), 1);
    assert_eq!(ledger[0].id, found);
}

pub(super) async fn a_call_whose_request_was_lost_charges_nothing_until_it_is_repeated(provider: impl TestProvider) {
    let client = provider.open().await;
    let token = provider.card_with_lost_request();
    let lost = client.authorize("k", dollars(500), token).await;
    assert!(is_unknown(&lost), "{lost:?}");
    assert!(provider.ledger().await.is_empty());
    drop(client);

    let client = provider.open().await;
    client.authorize("k", dollars(500), token).await.unwrap();
    assert_eq!(provider.ledger().await.len(), 1);
}

pub(super) async fn a_cancelled_caller_does_not_stop_the_charge(provider: impl TestProvider) {
    let client = provider.open().await;
    let token = provider.slow_card();
    let slow = client.authorize("k", dollars(500), token);
    assert!(tokio::time::timeout(Duration::from_millis(20), slow).await.is_err());
    // Another host. It gets an error while the first host is still working.
    let other = provider.open().await;
    let deadline = Instant::now() + Duration::from_secs(20);
    let id = loop {
        match other.authorize("k", dollars(500), token).await {
            Ok(id) => break id,
            Err(Error::Unavailable(_)) => assert!(Instant::now() < deadline),
            Err(error) => panic!("{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let ledger = provider.ledger().await;
    assert_eq!((ledger.len(), &ledger[0].id), (1, &id));
}
