use super::*;
use host_config::{Config, flags::Flags};
use host_database::HostDatabase;
use tempfile::TempDir;

async fn payments() -> (Payments, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Config::load(&Flags::default(), []).unwrap().payments;
    let host = HostDatabase::open(&folder.path().join("host.db")).await.unwrap();
    (Payments::open(&settings, folder.path(), &host).await.unwrap(), folder)
}

fn dollars(amount: u64) -> Money {
    Money { amount, currency: "usd".to_owned() }
}

#[tokio::test]
async fn each_component_has_keys_of_its_own() {
    let (payments, folder) = payments().await;
    let mut ids = Vec::new();
    for component in ["one", "two", "one"] {
        let mut view = PaymentsView { payments: &payments, component, traceparent: None };
        let call = Host::authorize(&mut view, "k".to_owned(), dollars(5), "tok_visa".to_owned());
        ids.push(call.await.unwrap().unwrap());
    }
    assert_eq!(ids[0], ids[2]);
    assert_ne!(ids[0], ids[1]);
    let keys: Vec<_> = payments.provider().ledger(10).await.unwrap().into_iter().map(|entry| entry.key).collect();
    assert_eq!(keys, ["two/k", "one/k"]);
    assert!(folder.path().join("payments.db").exists());
}

#[tokio::test]
async fn arguments_that_make_no_sense_never_reach_the_provider() {
    let (payments, _folder) = payments().await;
    let view = PaymentsView { payments: &payments, component: "one", traceparent: None };
    let upper = Money { amount: 5, currency: "USD".to_owned() };
    for outcome in [
        view.authorize("", &dollars(5), "tok_visa").await,
        view.authorize(&"k".repeat(201), &dollars(5), "tok_visa").await,
        view.authorize("k", &dollars(0), "tok_visa").await,
        view.authorize("k", &dollars(100_000_000), "tok_visa").await,
        view.authorize("k", &upper, "tok_visa").await,
        view.authorize("k", &dollars(5), &"t".repeat(201)).await,
    ] {
        assert!(matches!(outcome, Err(Error::Invalid(_))), "{outcome:?}");
    }
    // None of them has used the key up.
    view.authorize("k", &dollars(99_999_999), "tok_visa").await.unwrap();
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_not_waited_for() {
    let (payments, _folder) = payments().await;
    let hasty = Payments { call_timeout: Duration::from_millis(20), ..payments.clone() };
    let view = PaymentsView { payments: &hasty, component: "one", traceparent: None };
    let outcome = view.authorize("k", &dollars(5), "tok_simulate_slow").await;
    assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");

    let view = PaymentsView { payments: &payments, component: "one", traceparent: None };
    let id = view.authorize("k", &dollars(5), "tok_simulate_slow").await.unwrap();
    view.settle(Settlement::Capture, "c", &id).await.unwrap();
    view.settle(Settlement::Refund, "r", &id).await.unwrap();
    assert!(matches!(view.settle(Settlement::Void, "v", &id).await, Err(Error::Invalid(_))));
}
