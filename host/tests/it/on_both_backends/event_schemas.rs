//! The events of the marketplace fit the schemas of their publishers, and tell
//! subscribers who buys what from whom at which price.

use crate::support::{Host, Setup, Status};
use events::{PaymentRefunded, PaymentVoided};
use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The schema of each subject that a component publishes. Each is valid itself, and
/// its sample fits it.
async fn schemas(host: &Host) -> BTreeMap<String, Validator> {
    let operator = host.operator();
    let mut validators = BTreeMap::new();
    for row in operator.get("/events").await.json().as_array().unwrap() {
        let subject = row["subject"].as_str().unwrap();
        assert_eq!(row["has_schema"], true, "{row}");
        let details = operator.get(&format!("/events/{subject}")).await.json();
        let [view] = details["schemas"].as_array().unwrap().as_slice() else { panic!("{details}") };
        assert_eq!(view["plugin"], row["publishers"][0], "{details}");
        assert!(jsonschema::meta::is_valid(&view["schema"]), "{subject}");
        let validator = jsonschema::validator_for(&view["schema"]).unwrap();
        assert!(validator.is_valid(&view["sample"]), "{subject}: {}", view["sample"]);
        validators.insert(subject.to_owned(), validator);
    }
    validators
}

/// Makes the host publish events of every kind that people can cause.
async fn trade(host: &Host) -> BTreeMap<&'static str, String> {
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let bought = seller.sell("bought", 19.99).await;
    assert_eq!(seller.edit(&bought.id, "bought soon", 19.99).await.status, 200);
    let order = buyer.reserve(&bought.id).await;
    assert_eq!(buyer.try_pay(&order.id, "tok_chargeDeclined").await.status, 402);
    let payment = buyer.pay(&order.id).await;
    let given_up = seller.sell("given up", 5.0).await;
    let cancelled = buyer.reserve(&given_up.id).await;
    assert_eq!(buyer.cancel(&cancelled.id).await.status, 204);
    seller.ticket_when("the ticket is free again", &given_up.id, |ticket| ticket.version == 2).await;
    assert_eq!(seller.withdraw(&given_up.id).await.status, 204);
    let missed = seller.sell("missed", 7.5).await;
    let expired = buyer.reserve(&missed.id).await;
    buyer.order_becomes(&expired.id, Status::Cancelled).await;
    host.settles().await;
    let ids = [("order", order.id), ("payment", payment), ("cancelled", cancelled.id), ("withdrawn", given_up.id)];
    let parties = [("buyer", order.user_id), ("seller", bought.user_id)];
    ids.into_iter().chain(parties).collect()
}

fn find<'a>(events: &'a [(String, Value)], subject: &str, field: &str, id: &str) -> &'a Value {
    let is_it = |(one, payload): &&(String, Value)| one == subject && payload[field] == id;
    &events.iter().find(is_it).unwrap_or_else(|| panic!("{subject} of {id}")).1
}

#[tokio::test]
async fn every_event_of_the_marketplace_fits_its_schema() {
    let host = Setup::new().expiration_seconds(3).start().await;
    let schemas = schemas(&host).await;
    let ids = trade(&host).await;
    let events = host.look_at_bus().await.events().await;
    for (subject, payload) in &events {
        let schema = &schemas[subject];
        let errors: Vec<String> = schema.iter_errors(payload).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{subject} {payload}: {errors:?}");
    }
    let published: BTreeSet<&str> = events.iter().map(|(subject, _)| subject.as_str()).collect();
    for subject in schemas.keys() {
        // These need a failure, or tickets of an older version.
        let is_rare = ["payment.refunded", "payment.voided", "ticket.held"].contains(&subject.as_str());
        assert!(is_rare || published.contains(subject.as_str()), "no {subject} among {published:?}");
    }

    let (buyer, seller) = (&ids["buyer"], &ids["seller"]);
    let completed = find(&events, "order.completed", "id", &ids["order"]);
    assert_eq!((&completed["userId"], &completed["sellerId"]), (&json!(buyer), &json!(seller)), "{completed}");
    let price = (&completed["ticket"]["amount"], &completed["ticket"]["currency"]);
    assert_eq!(price, (&json!(1_999), &json!("usd")), "{completed}");
    let cancelled = find(&events, "order.cancelled", "id", &ids["cancelled"]);
    assert_eq!((&cancelled["sellerId"], &cancelled["ticket"]["amount"]), (&json!(seller), &json!(500)), "{cancelled}");
    for subject in ["payment.pending", "payment.declined", "payment.created"] {
        let payment = find(&events, subject, "orderId", &ids["order"]);
        let told = (&payment["userId"], &payment["sellerId"], &payment["amount"]);
        assert_eq!(told, (&json!(buyer), &json!(seller), &json!(1_999)), "{subject} {payment}");
    }
    assert_eq!(find(&events, "payment.created", "id", &ids["payment"])["orderId"], ids["order"]);
    let withdrawn = find(&events, "ticket.withdrawn", "id", &ids["withdrawn"]);
    assert_eq!((&withdrawn["userId"], &withdrawn["amount"]), (&json!(seller), &json!(500)), "{withdrawn}");
    assert!(host.dead_letters().await.is_empty());
}

#[tokio::test]
async fn the_rare_events_are_as_their_samples() {
    let host = Setup::new().start().await;
    let sample = async |subject: &str| {
        host.operator().get(&format!("/events/{subject}")).await.json()["schemas"][0]["sample"].clone()
    };
    let voided = sample("payment.voided").await;
    let event: PaymentVoided = serde_json::from_value(voided.clone()).unwrap();
    assert_eq!(serde_json::to_value(event).unwrap(), voided);
    let refunded = sample("payment.refunded").await;
    let event: PaymentRefunded = serde_json::from_value(refunded.clone()).unwrap();
    assert_eq!(serde_json::to_value(event).unwrap(), refunded);
}
