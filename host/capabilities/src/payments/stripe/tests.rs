use super::{
    super::conformance::{self, Client, TestProvider, dollars, is_invalid, is_unknown},
    *,
};
use host_base::secret::Secret;
use host_test_support::{TestDatabase, on_both_engines};
use std::time::Duration;
use stripe_stand_in::{Endpoint, Fault, Payment, StandIn};

const ACCOUNT_KEY: &str = "sk_test_ofNobodyAtAll0123";

/// Hosts that share one record and one account.
struct Hosts {
    database: TestDatabase,
    stripe: StandIn,
}

impl TestProvider for Hosts {
    const AUTHORIZATIONS: &'static str = "stripe_authorizations";

    async fn new(database: TestDatabase) -> Self {
        Self { database, stripe: StandIn::start(ACCOUNT_KEY).await.unwrap() }
    }

    fn database(&self) -> &TestDatabase {
        &self.database
    }

    async fn open(&self) -> Client {
        Client::new(self.open_provider().await)
    }

    fn card_with_lost_response(&self) -> &'static str {
        self.stripe.next(Endpoint::Confirm, Fault::CutAfter);
        "tok_visa"
    }

    fn card_with_lost_request(&self) -> &'static str {
        self.stripe.next(Endpoint::Confirm, Fault::CutBefore);
        "tok_visa"
    }

    fn slow_card(&self) -> &'static str {
        self.stripe.next(Endpoint::Confirm, Fault::Late(Duration::from_secs(120)));
        "tok_visa"
    }
}

conformance::conforms! { Hosts }

impl Hosts {
    async fn open_provider(&self) -> Stripe {
        let config = StripeConfig { api_url: self.stripe.url().parse().unwrap(), key: Secret::new(ACCOUNT_KEY) };
        Stripe::open(self.database.open().await, &config).await.unwrap()
    }

    fn only_payment(&self) -> Payment {
        let payments = self.stripe.payments();
        assert_eq!(payments.len(), 1, "{payments:?}");
        payments.into_iter().next().unwrap()
    }

    /// The number of payments with reserved or captured money.
    fn charges(&self) -> usize {
        let holds = |payment: &&Payment| ["requires_capture", "succeeded"].contains(&payment.status);
        self.stripe.payments().iter().filter(holds).count()
    }
}

on_both_engines! {
    requests_follow_the_documentation_of_stripe
    money_moves_once_with_every_fault_of_every_request
    keys_that_are_forgotten_make_no_difference
    a_step_that_failed_at_stripe_is_tried_again_with_another_key
    a_declined_card_has_a_message_for_the_payer
    a_card_that_needs_an_authentication_is_declined
    a_key_that_is_not_accepted_loses_nothing
    payments_of_other_programs_stay_unchanged
    a_lost_record_is_restored_from_stripe
    changes_by_people_and_by_expiry_are_recognized
    two_hosts_with_one_key_charge_once
}

async fn requests_follow_the_documentation_of_stripe(database: TestDatabase) {
    let hosts = Hosts::new(database).await;
    let client = hosts.open().await;
    let id = client.authorize("cards/a:1", dollars(1999), "tok_visa").await.unwrap();
    client.capture("cards/a:1:capture", &id).await.unwrap();
    client.refund("cards/a:1:refund", &id).await.unwrap();
    let other = client.authorize("cards/b:1", dollars(500), "pm_card_visa").await.unwrap();
    client.void("cards/b:1:void", &other).await.unwrap();

    let requests = hosts.stripe.requests();
    assert!(requests.iter().all(|request| request.version.as_deref() == Some("2026-09-30.endive")));
    let posts: Vec<_> = requests.iter().filter(|request| request.method == "POST").collect();
    let mut keys: Vec<_> = posts.iter().map(|request| request.idempotency_key.clone().unwrap()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), posts.len(), "each request has its own key");
    let said: Vec<(String, Vec<String>)> = posts
        .iter()
        .map(|request| (request.path.replace(&id, "ID").replace(&other, "ID"), request.parameters.clone()))
        .collect();
    let expected: [(&str, &[&str]); 7] = [
        (
            "/v1/payment_intents",
            &[
                "amount=1999",
                "capture_method=manual",
                "currency=usd",
                "metadata[ticketing_key]=cards/a:1",
                "payment_method_types[0]=card",
            ],
        ),
        (
            "/v1/payment_intents/ID/confirm",
            &[
                "error_on_requires_action=true",
                "payment_method_data[card][token]=tok_visa",
                "payment_method_data[type]=card",
            ],
        ),
        ("/v1/payment_intents/ID/capture", &["metadata[ticketing_capture_key]=cards/a:1:capture"]),
        ("/v1/refunds", &["metadata[ticketing_key]=cards/a:1:refund", "payment_intent=ID"]),
        (
            "/v1/payment_intents",
            &[
                "amount=500",
                "capture_method=manual",
                "currency=usd",
                "metadata[ticketing_key]=cards/b:1",
                "payment_method_types[0]=card",
            ],
        ),
        ("/v1/payment_intents/ID/confirm", &["error_on_requires_action=true", "payment_method=pm_card_visa"]),
        ("/v1/payment_intents/ID/cancel", &[]),
    ];
    for ((path, parameters), (expected_path, expected)) in said.iter().zip(expected) {
        let parameters: Vec<String> = parameters.iter().map(|parameter| parameter.replace(&id, "ID")).collect();
        assert_eq!(
            (path.as_str(), parameters),
            (expected_path, expected.iter().map(|text| (*text).to_owned()).collect())
        );
    }
    assert_eq!(said.len(), expected.len());
}

async fn money_moves_once_with_every_fault_of_every_request(database: TestDatabase) {
    let hosts = Hosts::new(database).await;
    let steps = [Endpoint::Create, Endpoint::Confirm, Endpoint::Capture, Endpoint::Refund, Endpoint::Cancel];
    let faults =
        [Fault::CutBefore, Fault::CutAfter, Fault::ErrorBefore, Fault::ErrorAfter, Fault::Busy, Fault::Nonsense];
    for (number, (step, fault)) in steps.into_iter().flat_map(|step| faults.map(|fault| (step, fault))).enumerate() {
        let client = hosts.open().await;
        hosts.stripe.next(step, fault);
        let (pay, take) = (format!("{number}"), format!("{number}:take"));
        let authorize = async || client.authorize(&pay, dollars(500), "tok_visa").await;
        let mut lost = 0;
        let mut again = |outcome: &Result<(), Error>| {
            assert!(outcome.is_ok() || is_unknown(outcome), "{step:?} {fault:?}: {outcome:?}");
            lost += u32::from(outcome.is_err());
            outcome.is_err()
        };
        while again(&authorize().await.map(drop)) {}
        let id = authorize().await.unwrap();
        let end = if step == Endpoint::Cancel {
            while again(&client.void(&take, &id).await) {}
            "voided"
        } else {
            while again(&client.capture(&take, &id).await) {}
            while again(&client.refund(&format!("{number}:back"), &id).await) {}
            "refunded"
        };
        assert_eq!(lost, 1, "{step:?} {fault:?}: one failure and one repetition");
        assert_eq!(hosts.ledger().await[0].state, end);
        let of_the_call = |payment: &Payment| payment.metadata.contains(&format!("ticketing_key={pay}"));
        let made: Vec<Payment> = hosts.stripe.payments().into_iter().filter(of_the_call).collect();
        let charged: Vec<&Payment> = made.iter().filter(|one| one.status != "requires_payment_method").collect();
        assert_eq!(charged.len(), 1, "{step:?} {fault:?}: {made:?}");
        let moved = if end == "voided" { (0, 0) } else { (500, 500) };
        assert_eq!((charged[0].received, charged[0].refunded), moved, "{step:?} {fault:?}");
    }
}

async fn keys_that_are_forgotten_make_no_difference(database: TestDatabase) {
    let hosts = Hosts::new(database).await;
    let client = hosts.open().await;
    for step in [Endpoint::Confirm, Endpoint::Capture, Endpoint::Refund] {
        hosts.stripe.next(step, Fault::CutAfter);
    }
    assert!(is_unknown(&client.authorize("a", dollars(500), "tok_visa").await));
    hosts.stripe.forget_keys();
    let id = client.authorize("a", dollars(500), "tok_visa").await.unwrap();
    assert!(is_unknown(&client.capture("c", &id).await));
    hosts.stripe.forget_keys();
    client.capture("c", &id).await.unwrap();
    assert!(is_unknown(&client.refund("r", &id).await));
    hosts.stripe.forget_keys();
    client.refund("r", &id).await.unwrap();
    let payment = hosts.only_payment();
    assert_eq!((payment.received, payment.refunded), (500, 500));

    // Much later, after a restart of the host.
    hosts.stripe.forget_keys();
    let client = hosts.open().await;
    assert_eq!(client.authorize("a", dollars(500), "tok_visa").await.unwrap(), id);
    client.capture("c", &id).await.unwrap();
    client.refund("r", &id).await.unwrap();
    assert_eq!(hosts.only_payment(), payment);
}

async fn a_step_that_failed_at_stripe_is_tried_again_with_another_key(database: TestDatabase) {
    let hosts = Hosts::new(database).await;
    let client = hosts.open().await;
    hosts.stripe.next(Endpoint::Confirm, Fault::ErrorBefore);
    assert!(is_unknown(&client.authorize("a", dollars(500), "tok_visa").await));
    client.authorize("a", dollars(500), "tok_visa").await.unwrap();
    let confirmed = hosts.stripe.requests().into_iter().filter(|request| request.path.ends_with("/confirm"));
    let keys: Vec<String> = confirmed.map(|request| request.idempotency_key.unwrap()).collect();
    assert_eq!(keys, ["confirm:0:a", "confirm:1:a"]);
}

async fn a_declined_card_has_a_message_for_the_payer(database: TestDatabase) {
    let hosts = Hosts::new(database).await;
    let client = hosts.open().await;
    for (number, (token, code, message)) in [
        ("tok_chargeDeclined", "card_declined", "Your card was declined."),
        ("tok_chargeDeclinedInsufficientFunds", "insufficient_funds", "Your card has insufficient funds."),
        ("pm_card_visa_chargeDeclinedExpiredCard", "expired_card", "Your card has expired."),
    ]
    .into_iter()
    .enumerate()
    {
        // The outcome of the response, and the outcome of the state at Stripe.
        for (way, fault) in [None, Some(Fault::CutAfter)].into_iter().enumerate() {
            let key = format!("{number}:{way}");
            if let Some(fault) = fault {
                hosts.stripe.next(Endpoint::Confirm, fault);
                assert!(is_unknown(&client.authorize(&key, dollars(500), token).await));
            }
            let outcome = client.authorize(&key, dollars(500), token).await;
            let Err(Error::Declined(decline)) = outcome else { panic!("{token}: {outcome:?}") };
            assert_eq!((decline.code.as_str(), decline.message.as_str()), (code, message));
        }
    }
    assert_eq!(hosts.charges(), 0);
    assert!(hosts.ledger().await.is_empty());
}

async fn a_card_that_needs_an_authentication_is_declined(database: TestDatabase) {
    let hosts = Hosts::new(database).await;
    let client = hosts.open().await;
    let outcome = client.authorize("a", dollars(500), "tok_threeDSecure2Required").await;
    assert!(
        matches!(&outcome, Err(Error::Declined(decline)) if decline.code == "authentication_required"),
        "{outcome:?}"
    );
    assert_eq!(hosts.charges(), 0);
}

async fn a_key_that_is_not_accepted_loses_nothing(database: TestDatabase) {
    let hosts = Hosts::new(database).await;
    let client = hosts.open().await;
    let id = client.authorize("a", dollars(500), "tok_visa").await.unwrap();
    hosts.stripe.change_key("sk_test_anotherOne0123456789");
    for outcome in [client.capture("c", &id).await, client.authorize("b", dollars(500), "tok_visa").await.map(drop)] {
        let Err(Error::Unavailable(detail)) = &outcome else { panic!("{outcome:?}") };
        assert!(!detail.contains("sk_test"), "{detail}");
    }
    hosts.stripe.change_key(ACCOUNT_KEY);
    client.capture("c", &id).await.unwrap();
    client.authorize("b", dollars(500), "tok_visa").await.unwrap();
    assert_eq!(hosts.charges(), 2);
    assert!(!format!("{:?}", hosts.open_provider().await).contains("sk_test"));
}

async fn payments_of_other_programs_stay_unchanged(database: TestDatabase) {
    let hosts = Hosts::new(database).await;
    let client = hosts.open().await;
    let form = "amount=500&currency=usd&capture_method=manual&payment_method_types[0]=card&confirm=true&payment_method=pm_card_visa";
    let made = reqwest::Client::new()
        .post(format!("{}/v1/payment_intents", hosts.stripe.url()))
        .bearer_auth(ACCOUNT_KEY)
        .body(form)
        .send();
    assert_eq!(made.await.unwrap().status(), 200);
    let id = hosts.only_payment().id;
    for id in [id.as_str(), "pi_unknown", "pi_x/../../refunds", "pi_x?", ""] {
        assert!(is_invalid(&client.capture(&format!("c{id}"), id).await), "{id}");
        assert!(is_invalid(&client.void(&format!("v{id}"), id).await), "{id}");
        assert!(is_invalid(&client.refund(&format!("r{id}"), id).await), "{id}");
    }
    assert_eq!(hosts.only_payment().status, "requires_capture");
}

async fn a_lost_record_is_restored_from_stripe(database: TestDatabase) {
    let hosts = Hosts::new(database).await;
    let client = hosts.open().await;
    let id = client.authorize("a", dollars(500), "tok_visa").await.unwrap();
    client.capture("c", &id).await.unwrap();

    let emptied: HostDatabase = hosts.database.open().await;
    for table in ["stripe_calls", "stripe_authorizations"] {
        let sql = format!("DELETE FROM {table}");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&emptied.write).await.unwrap();
    }
    hosts.stripe.forget_keys();
    client.capture("c", &id).await.unwrap();
    assert!(is_invalid(&client.capture("another", &id).await));
    client.refund("r", &id).await.unwrap();
    let payment = hosts.only_payment();
    assert_eq!((payment.received, payment.refunded), (500, 500));
    let ledger = hosts.ledger().await;
    assert_eq!((ledger[0].key.as_str(), ledger[0].state.as_str(), ledger[0].refunded), ("a", "refunded", 500));
}

async fn changes_by_people_and_by_expiry_are_recognized(database: TestDatabase) {
    let hosts = Hosts::new(database).await;
    let client = hosts.open().await;
    // Nobody has captured the payment for a week, so Stripe has cancelled it.
    let old = client.authorize("old", dollars(500), "tok_visa").await.unwrap();
    hosts.stripe.lets_expire(&old);
    client.void("old:void", &old).await.unwrap();
    let older = client.authorize("older", dollars(500), "tok_visa").await.unwrap();
    hosts.stripe.lets_expire(&older);
    assert!(is_invalid(&client.capture("older:capture", &older).await));

    // A person has captured the payment while the host could not.
    let taken = client.authorize("taken", dollars(500), "tok_visa").await.unwrap();
    hosts.stripe.next(Endpoint::Capture, Fault::Busy);
    assert!(is_unknown(&client.capture("taken:capture", &taken).await));
    hosts.stripe.captures_by_hand(&taken);
    client.capture("taken:capture", &taken).await.unwrap();
    assert!(is_invalid(&client.void("taken:void", &taken).await));
}

async fn two_hosts_with_one_key_charge_once(database: TestDatabase) {
    let hosts = Hosts::new(database).await;
    let (one, other) = (hosts.open().await, hosts.open().await);
    for round in 0..20 {
        let key = format!("{round}");
        let pay = async |client: &Client| {
            loop {
                match client.authorize(&key, dollars(500), "tok_visa").await {
                    Err(Error::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(2)).await,
                    outcome => return outcome.unwrap(),
                }
            }
        };
        let (first, second) = tokio::join!(pay(&one), pay(&other));
        assert_eq!(first, second);
        assert_eq!(hosts.charges(), round + 1);
    }
}
