use super::{
    super::{
        LedgerState,
        conformance::{self, AnyProvider, Subject, dollars, is_unknown},
    },
    *,
};
use crate::payments::Provider;
use host_config::payments::FaultsConfig;
use host_test_support::{TestDatabase, on_both_engines};

struct Simulator(TestDatabase);

impl Subject for Simulator {
    async fn new(place: TestDatabase) -> Self {
        Self(place)
    }

    async fn open(&self) -> AnyProvider {
        Arc::new(open(&self.0, FaultsConfig { delay_ms: 60_000, ..FaultsConfig::default() }).await)
    }

    fn card_whose_answer_is_lost(&self) -> &'static str {
        "tok_simulate_timeout_after_charge"
    }

    fn card_whose_call_is_lost(&self) -> &'static str {
        "tok_simulate_timeout_before_charge"
    }

    fn card_that_is_slow(&self) -> &'static str {
        "tok_simulate_slow"
    }
}

conformance::conforms! { Simulator }

async fn open(place: &TestDatabase, faults: FaultsConfig) -> Simulated {
    Simulated::open(place.open().await, faults).await.unwrap()
}

on_both_engines! {
    a_charge_is_in_the_ledger_although_its_answer_was_lost
    calls_that_arrive_twice_count_once
    faults_of_the_settings_strike_every_nth_call
}

async fn a_charge_is_in_the_ledger_although_its_answer_was_lost(place: TestDatabase) {
    let provider = open(&place, FaultsConfig::default()).await;
    let lost = provider.authorize("k", &dollars(5), "tok_simulate_timeout_after_charge").await;
    assert!(is_unknown(&lost), "{lost:?}");
    assert_eq!(provider.ledger(10).await.unwrap().len(), 1);
}

async fn calls_that_arrive_twice_count_once(place: TestDatabase) {
    let provider = open(&place, FaultsConfig { duplicate_every: 1, ..FaultsConfig::default() }).await;
    let id = provider.authorize("k", &dollars(5), "tok_visa").await.unwrap();
    provider.capture("c", &id).await.unwrap();
    provider.refund("r", &id).await.unwrap();
    let ledger = provider.ledger(10).await.unwrap();
    assert_eq!(ledger.len(), 1);
    assert_eq!((ledger[0].captured, ledger[0].refunded), (5, 5));
}

async fn faults_of_the_settings_strike_every_nth_call(place: TestDatabase) {
    let faults = FaultsConfig { timeout_after_every: 2, ..FaultsConfig::default() };
    let provider = open(&place, faults).await;
    let id = provider.authorize("k", &dollars(5), "tok_visa").await.unwrap();
    let lost = provider.capture("c", &id).await;
    assert!(is_unknown(&lost), "{lost:?}");
    assert_eq!(provider.ledger(10).await.unwrap()[0].state, LedgerState::Captured);
    provider.capture("c", &id).await.unwrap();
}
