use super::{
    super::{
        LedgerState,
        conformance::{self, AnyProvider, Subject, dollars, is_invalid, is_unknown},
    },
    *,
};
use host_base::secret::Secret;
use host_test_support::{TestDatabase, on_both_engines};
use std::{sync::Arc, time::Duration};
use stripe_stand_in::{Endpoint, Fault, Payment, StandIn};

const KEY_OF_THE_ACCOUNT: &str = "sk_test_ofNobodyAtAll0123";

/// Hosts with one record, and the account that they have.
struct Hosts {
    place: TestDatabase,
    stripe: StandIn,
}

impl Subject for Hosts {
    async fn new(place: TestDatabase) -> Self {
        Self { place, stripe: StandIn::start(KEY_OF_THE_ACCOUNT).await.unwrap() }
    }

    async fn open(&self) -> AnyProvider {
        Arc::new(open(self.place.open().await, &self.stripe).await)
    }

    fn card_whose_answer_is_lost(&self) -> &'static str {
        self.stripe.next(Endpoint::Confirm, Fault::CutAfter);
        "tok_visa"
    }

    fn card_whose_call_is_lost(&self) -> &'static str {
        self.stripe.next(Endpoint::Confirm, Fault::CutBefore);
        "tok_visa"
    }

    fn card_that_is_slow(&self) -> &'static str {
        self.stripe.next(Endpoint::Confirm, Fault::Late(Duration::from_secs(120)));
        "tok_visa"
    }
}

conformance::conforms! { Hosts }

async fn open(database: HostDatabase, stripe: &StandIn) -> Stripe {
    let settings = host_config::payments::StripeConfig {
        api_url: stripe.url().parse().unwrap(),
        key: Secret::new(KEY_OF_THE_ACCOUNT),
    };
    Stripe::open(database, &settings).await.unwrap()
}

impl Hosts {
    fn only_payment(&self) -> Payment {
        let payments = self.stripe.payments();
        assert_eq!(payments.len(), 1, "{payments:?}");
        payments.into_iter().next().unwrap()
    }

    /// Those that hold or have taken money.
    fn charges(&self) -> usize {
        let holds = |payment: &&Payment| ["requires_capture", "succeeded"].contains(&payment.status);
        self.stripe.payments().iter().filter(holds).count()
    }
}

on_both_engines! {
    what_is_asked_for_is_what_the_documentation_wants
    whatever_goes_wrong_with_a_request_money_moves_once
    keys_that_are_forgotten_make_no_difference
    what_stripe_has_failed_at_is_tried_again_with_another_key
    a_card_is_declined_with_what_the_payer_can_read
    a_bank_that_wants_to_ask_the_payer_declines
    a_key_that_is_not_accepted_loses_nothing
    payments_of_other_programs_are_let_alone
    a_record_that_was_lost_is_made_good_from_stripe
    what_people_and_time_do_to_a_payment_is_understood
    two_hosts_with_one_key_charge_once
}

async fn what_is_asked_for_is_what_the_documentation_wants(place: TestDatabase) {
    let hosts = Hosts::new(place).await;
    let provider = hosts.open().await;
    let id = provider.authorize("cards/a:1", &dollars(1999), "tok_visa").await.unwrap();
    provider.capture("cards/a:1:capture", &id).await.unwrap();
    provider.refund("cards/a:1:refund", &id).await.unwrap();
    let other = provider.authorize("cards/b:1", &dollars(5), "pm_card_visa").await.unwrap();
    provider.void("cards/b:1:void", &other).await.unwrap();

    let requests = hosts.stripe.requests();
    assert!(requests.iter().all(|request| request.version.as_deref() == Some("2026-09-30.endive")));
    let posts: Vec<_> = requests.iter().filter(|request| request.method == "POST").collect();
    let mut keys: Vec<_> = posts.iter().map(|request| request.idempotency_key.clone().unwrap()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), posts.len(), "each has a key of its own");
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
                "amount=5",
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

async fn whatever_goes_wrong_with_a_request_money_moves_once(place: TestDatabase) {
    let hosts = Hosts::new(place).await;
    let steps = [Endpoint::Create, Endpoint::Confirm, Endpoint::Capture, Endpoint::Refund, Endpoint::Cancel];
    let faults =
        [Fault::CutBefore, Fault::CutAfter, Fault::ErrorBefore, Fault::ErrorAfter, Fault::Busy, Fault::Nonsense];
    for (number, (step, fault)) in steps.into_iter().flat_map(|step| faults.map(|fault| (step, fault))).enumerate() {
        let provider = hosts.open().await;
        hosts.stripe.next(step, fault);
        let (pay, take) = (format!("{number}"), format!("{number}:take"));
        let authorize = async || provider.authorize(&pay, &dollars(5), "tok_visa").await;
        let mut lost = 0;
        let mut again = |outcome: &Result<(), Error>| {
            assert!(outcome.is_ok() || is_unknown(outcome), "{step:?} {fault:?}: {outcome:?}");
            lost += u32::from(outcome.is_err());
            outcome.is_err()
        };
        while again(&authorize().await.map(drop)) {}
        let id = authorize().await.unwrap();
        let end = if step == Endpoint::Cancel {
            while again(&provider.void(&take, &id).await) {}
            LedgerState::Voided
        } else {
            while again(&provider.capture(&take, &id).await) {}
            while again(&provider.refund(&format!("{number}:back"), &id).await) {}
            LedgerState::Refunded
        };
        assert_eq!(lost, 1, "{step:?} {fault:?}: one failure, and one repetition");
        assert_eq!(provider.ledger(1).await.unwrap()[0].state, end);
        let of_the_call = |payment: &Payment| payment.metadata.contains(&format!("ticketing_key={pay}"));
        let made: Vec<Payment> = hosts.stripe.payments().into_iter().filter(of_the_call).collect();
        let charged: Vec<&Payment> = made.iter().filter(|one| one.status != "requires_payment_method").collect();
        assert_eq!(charged.len(), 1, "{step:?} {fault:?}: {made:?}");
        let moved = if end == LedgerState::Voided { (0, 0) } else { (5, 5) };
        assert_eq!((charged[0].received, charged[0].refunded), moved, "{step:?} {fault:?}");
    }
}

async fn keys_that_are_forgotten_make_no_difference(place: TestDatabase) {
    let hosts = Hosts::new(place).await;
    let provider = hosts.open().await;
    for step in [Endpoint::Confirm, Endpoint::Capture, Endpoint::Refund] {
        hosts.stripe.next(step, Fault::CutAfter);
    }
    assert!(is_unknown(&provider.authorize("a", &dollars(5), "tok_visa").await));
    hosts.stripe.forget_keys();
    let id = provider.authorize("a", &dollars(5), "tok_visa").await.unwrap();
    assert!(is_unknown(&provider.capture("c", &id).await));
    hosts.stripe.forget_keys();
    provider.capture("c", &id).await.unwrap();
    assert!(is_unknown(&provider.refund("r", &id).await));
    hosts.stripe.forget_keys();
    provider.refund("r", &id).await.unwrap();
    let payment = hosts.only_payment();
    assert_eq!((payment.received, payment.refunded), (5, 5));

    // Long after, and in a host that was started anew.
    hosts.stripe.forget_keys();
    let provider = hosts.open().await;
    assert_eq!(provider.authorize("a", &dollars(5), "tok_visa").await.unwrap(), id);
    provider.capture("c", &id).await.unwrap();
    provider.refund("r", &id).await.unwrap();
    assert_eq!(hosts.only_payment(), payment);
}

async fn what_stripe_has_failed_at_is_tried_again_with_another_key(place: TestDatabase) {
    let hosts = Hosts::new(place).await;
    let provider = hosts.open().await;
    hosts.stripe.next(Endpoint::Confirm, Fault::ErrorBefore);
    assert!(is_unknown(&provider.authorize("a", &dollars(5), "tok_visa").await));
    provider.authorize("a", &dollars(5), "tok_visa").await.unwrap();
    let confirmed = hosts.stripe.requests().into_iter().filter(|request| request.path.ends_with("/confirm"));
    let keys: Vec<String> = confirmed.map(|request| request.idempotency_key.unwrap()).collect();
    assert_eq!(keys, ["confirm:0:a", "confirm:1:a"]);
}

async fn a_card_is_declined_with_what_the_payer_can_read(place: TestDatabase) {
    let hosts = Hosts::new(place).await;
    let provider = hosts.open().await;
    for (number, (token, code, message)) in [
        ("tok_chargeDeclined", "card_declined", "Your card was declined."),
        ("tok_chargeDeclinedInsufficientFunds", "insufficient_funds", "Your card has insufficient funds."),
        ("pm_card_visa_chargeDeclinedExpiredCard", "expired_card", "Your card has expired."),
    ]
    .into_iter()
    .enumerate()
    {
        // The answer itself, and then the one that is found at Stripe.
        for (way, fault) in [None, Some(Fault::CutAfter)].into_iter().enumerate() {
            let key = format!("{number}:{way}");
            if let Some(fault) = fault {
                hosts.stripe.next(Endpoint::Confirm, fault);
                assert!(is_unknown(&provider.authorize(&key, &dollars(5), token).await));
            }
            let outcome = provider.authorize(&key, &dollars(5), token).await;
            let Err(Error::Declined(decline)) = outcome else { panic!("{token}: {outcome:?}") };
            assert_eq!((decline.code.as_str(), decline.message.as_str()), (code, message));
        }
    }
    assert_eq!(hosts.charges(), 0);
    assert!(provider.ledger(10).await.unwrap().is_empty());
}

async fn a_bank_that_wants_to_ask_the_payer_declines(place: TestDatabase) {
    let hosts = Hosts::new(place).await;
    let provider = hosts.open().await;
    let outcome = provider.authorize("a", &dollars(5), "tok_threeDSecure2Required").await;
    assert!(
        matches!(&outcome, Err(Error::Declined(decline)) if decline.code == "authentication_required"),
        "{outcome:?}"
    );
    assert_eq!(hosts.charges(), 0);
}

async fn a_key_that_is_not_accepted_loses_nothing(place: TestDatabase) {
    let hosts = Hosts::new(place).await;
    let provider = hosts.open().await;
    let id = provider.authorize("a", &dollars(5), "tok_visa").await.unwrap();
    hosts.stripe.change_key("sk_test_anotherOne0123456789");
    for outcome in [provider.capture("c", &id).await, provider.authorize("b", &dollars(5), "tok_visa").await.map(drop)]
    {
        let Err(Error::Unavailable(detail)) = &outcome else { panic!("{outcome:?}") };
        assert!(!detail.contains("sk_test"), "{detail}");
    }
    hosts.stripe.change_key(KEY_OF_THE_ACCOUNT);
    provider.capture("c", &id).await.unwrap();
    provider.authorize("b", &dollars(5), "tok_visa").await.unwrap();
    assert_eq!(hosts.charges(), 2);
    assert!(!format!("{:?}", open(hosts.place.open().await, &hosts.stripe).await).contains("sk_test"));
}

async fn payments_of_other_programs_are_let_alone(place: TestDatabase) {
    let hosts = Hosts::new(place).await;
    let provider = hosts.open().await;
    let form = "amount=5&currency=usd&capture_method=manual&payment_method_types[0]=card&confirm=true&payment_method=pm_card_visa";
    let made = reqwest::Client::new()
        .post(format!("{}/v1/payment_intents", hosts.stripe.url()))
        .bearer_auth(KEY_OF_THE_ACCOUNT)
        .body(form)
        .send();
    assert_eq!(made.await.unwrap().status(), 200);
    let id = hosts.only_payment().id;
    for id in [id.as_str(), "pi_ofNobody", "pi_x/../../refunds", "pi_x?", ""] {
        assert!(is_invalid(&provider.capture(&format!("c{id}"), id).await), "{id}");
        assert!(is_invalid(&provider.void(&format!("v{id}"), id).await), "{id}");
        assert!(is_invalid(&provider.refund(&format!("r{id}"), id).await), "{id}");
    }
    assert_eq!(hosts.only_payment().status, "requires_capture");
}

async fn a_record_that_was_lost_is_made_good_from_stripe(place: TestDatabase) {
    let hosts = Hosts::new(place).await;
    let provider = hosts.open().await;
    let id = provider.authorize("a", &dollars(5), "tok_visa").await.unwrap();
    provider.capture("c", &id).await.unwrap();

    let emptied: HostDatabase = hosts.place.open().await;
    for table in ["stripe_calls", "stripe_authorizations"] {
        let sql = format!("DELETE FROM {table}");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&emptied.write).await.unwrap();
    }
    hosts.stripe.forget_keys();
    provider.capture("c", &id).await.unwrap();
    assert!(is_invalid(&provider.capture("another", &id).await));
    provider.refund("r", &id).await.unwrap();
    let payment = hosts.only_payment();
    assert_eq!((payment.received, payment.refunded), (5, 5));
    let ledger = provider.ledger(10).await.unwrap();
    assert_eq!((ledger[0].key.as_str(), ledger[0].state, ledger[0].refunded), ("a", LedgerState::Refunded, 5));
}

async fn what_people_and_time_do_to_a_payment_is_understood(place: TestDatabase) {
    let hosts = Hosts::new(place).await;
    let provider = hosts.open().await;
    // Nobody has captured it for a week: it is let go already.
    let old = provider.authorize("old", &dollars(5), "tok_visa").await.unwrap();
    hosts.stripe.lets_expire(&old);
    provider.void("old:void", &old).await.unwrap();
    let older = provider.authorize("older", &dollars(5), "tok_visa").await.unwrap();
    hosts.stripe.lets_expire(&older);
    assert!(is_invalid(&provider.capture("older:capture", &older).await));

    // Somebody has captured it while the host could not.
    let taken = provider.authorize("taken", &dollars(5), "tok_visa").await.unwrap();
    hosts.stripe.next(Endpoint::Capture, Fault::Busy);
    assert!(is_unknown(&provider.capture("taken:capture", &taken).await));
    hosts.stripe.captures_by_hand(&taken);
    provider.capture("taken:capture", &taken).await.unwrap();
    assert!(is_invalid(&provider.void("taken:void", &taken).await));
}

async fn two_hosts_with_one_key_charge_once(place: TestDatabase) {
    let hosts = Hosts::new(place).await;
    let (one, other) = (hosts.open().await, hosts.open().await);
    for round in 0..20 {
        let key = format!("{round}");
        let pay = async |provider: &AnyProvider| {
            loop {
                match provider.authorize(&key, &dollars(5), "tok_visa").await {
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
