use super::{conformance::dollars, *};
use host_config::{Config, flags::Flags};
use host_database::HostDatabase;
use tempfile::TempDir;

async fn payments() -> (Payments, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::load(&Flags::default(), []).unwrap().payments;
    let host = HostDatabase::open(&folder.path().join("host.db")).await.unwrap();
    (Payments::open(&config, folder.path(), &host).await.unwrap(), folder)
}

async fn authorize(view: &PaymentsView<'_>, key: &str, amount: Money, token: &str) -> Result<String, Error> {
    view.authorize(key, amount, token.to_owned()).await
}

#[tokio::test]
async fn each_component_has_its_own_keys() {
    let (payments, folder) = payments().await;
    let mut ids = Vec::new();
    for component in ["one", "two", "one"] {
        let view = PaymentsView { payments: &payments, component, traceparent: None };
        ids.push(authorize(&view, "k", dollars(500), "tok_visa").await.unwrap());
    }
    assert_eq!(ids[0], ids[2]);
    assert_ne!(ids[0], ids[1]);
    let database = HostDatabase::open(&folder.path().join("payments.db")).await.unwrap();
    let ledger = conformance::ledger(&database, "authorizations").await;
    let keys: Vec<_> = ledger.into_iter().map(|entry| entry.key).collect();
    assert_eq!(keys, ["two/k", "one/k"]);
}

#[tokio::test]
async fn invalid_arguments_do_not_reach_the_provider() {
    let (payments, _folder) = payments().await;
    let view = PaymentsView { payments: &payments, component: "one", traceparent: None };
    let upper = Money { amount: 500, currency: "USD".to_owned() };
    for outcome in [
        authorize(&view, "", dollars(500), "tok_visa").await,
        authorize(&view, &"k".repeat(201), dollars(500), "tok_visa").await,
        authorize(&view, "k", dollars(0), "tok_visa").await,
        authorize(&view, "k", dollars(100_000_000), "tok_visa").await,
        authorize(&view, "k", upper.clone(), "tok_visa").await,
        authorize(&view, "k", dollars(500), &"t".repeat(201)).await,
    ] {
        assert!(matches!(outcome, Err(Error::Invalid(_))), "{outcome:?}");
    }
    // The invalid calls have not used the key.
    authorize(&view, "k", dollars(99_999_999), "tok_visa").await.unwrap();
}

#[tokio::test]
async fn the_wait_for_a_provider_is_limited() {
    let (payments, _folder) = payments().await;
    let impatient = Payments { call_timeout: Duration::from_millis(20), ..payments.clone() };
    let view = PaymentsView { payments: &impatient, component: "one", traceparent: None };
    let outcome = authorize(&view, "k", dollars(500), "tok_simulate_slow").await;
    assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");

    let view = PaymentsView { payments: &payments, component: "one", traceparent: None };
    let id = authorize(&view, "k", dollars(500), "tok_simulate_slow").await.unwrap();
    view.settle(Settlement::Capture, "c", id.clone()).await.unwrap();
    view.settle(Settlement::Refund, "r", id.clone()).await.unwrap();
    assert!(matches!(view.settle(Settlement::Void, "v", id).await, Err(Error::Invalid(_))));
}
