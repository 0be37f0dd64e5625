use super::{
    super::conformance::{self, Client, TestProvider, dollars, is_unknown},
    *,
};
use host_test_support::{TestDatabase, on_both_engines};

struct TestSimulated(TestDatabase);

impl TestProvider for TestSimulated {
    const AUTHORIZATIONS: &'static str = "authorizations";

    async fn new(database: TestDatabase) -> Self {
        Self(database)
    }

    fn database(&self) -> &TestDatabase {
        &self.0
    }

    async fn open(&self) -> Client {
        self.open_with(FaultsConfig { delay_ms: 60_000, ..FaultsConfig::default() }).await
    }

    fn card_with_lost_response(&self) -> &'static str {
        test_cards::TIMEOUT_AFTER_CHARGE
    }

    fn card_with_lost_request(&self) -> &'static str {
        test_cards::TIMEOUT_BEFORE_CHARGE
    }

    fn slow_card(&self) -> &'static str {
        test_cards::SLOW
    }
}

impl TestSimulated {
    async fn open_with(&self, faults: FaultsConfig) -> Client {
        Client::new(Simulated::open(self.0.open().await, faults).await.unwrap())
    }
}

conformance::conforms! { TestSimulated }

on_both_engines! {
    a_charge_is_in_the_ledger_although_its_response_was_lost
    duplicate_calls_count_once
    configured_faults_affect_every_nth_call
}

async fn a_charge_is_in_the_ledger_although_its_response_was_lost(database: TestDatabase) {
    let provider = TestSimulated(database);
    let client = provider.open_with(FaultsConfig::default()).await;
    let lost = client.authorize("k", dollars(500), test_cards::TIMEOUT_AFTER_CHARGE).await;
    assert!(is_unknown(&lost), "{lost:?}");
    assert_eq!(provider.ledger().await.len(), 1);
}

async fn duplicate_calls_count_once(database: TestDatabase) {
    let provider = TestSimulated(database);
    let client = provider.open_with(FaultsConfig { duplicate_every: 1, ..FaultsConfig::default() }).await;
    let id = client.authorize("k", dollars(500), "tok_visa").await.unwrap();
    client.capture("c", &id).await.unwrap();
    client.refund("r", &id).await.unwrap();
    let ledger = provider.ledger().await;
    assert_eq!(ledger.len(), 1);
    assert_eq!((ledger[0].captured, ledger[0].refunded), (500, 500));
}

async fn configured_faults_affect_every_nth_call(database: TestDatabase) {
    let provider = TestSimulated(database);
    let client = provider.open_with(FaultsConfig { timeout_after_every: 2, ..FaultsConfig::default() }).await;
    let id = client.authorize("k", dollars(500), "tok_visa").await.unwrap();
    let lost = client.capture("c", &id).await;
    assert!(is_unknown(&lost), "{lost:?}");
    assert_eq!(provider.ledger().await[0].state, "captured");
    client.capture("c", &id).await.unwrap();
}
