//! Events that arrive twice, late, in the wrong order, or make no sense. The
//! tests put them into the outbox of their publisher while the host is down.

use crate::support::{Client, Host, Setup, Status, Ticket, edit_database, eventually, on_postgres, unique};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// An event to publish in the name of a component.
pub(super) struct Forged {
    id: String,
    subject: &'static str,
    payload: Vec<u8>,
}

pub(super) fn forged(subject: &'static str, payload: &Value) -> Forged {
    Forged { id: unique("event"), subject, payload: payload.to_string().into_bytes() }
}

/// Stops the host, puts the events into the component's outbox, and starts the
/// host again.
pub(super) async fn publish(host: &mut Host, component: &str, events: &[Forged]) {
    host.stop().await;
    let insert = if on_postgres() {
        "INSERT INTO ticketing_host.store_outbox (id, subject, source, component, time_ms, payload) VALUES ($1, $2, $3, $3, $4, $5)"
    } else {
        "INSERT INTO host_outbox (id, subject, source, time_ms, payload) VALUES ($1, $2, $3, $4, $5)"
    };
    edit_database(&host.setup, &format!("components/{component}.db"), async |database| {
        for event in events {
            let insert = sqlx::query(insert).bind(&event.id).bind(event.subject).bind(component);
            insert.bind(1_700_000_000_000_i64).bind(&event.payload).execute(&mut *database).await.unwrap();
        }
    })
    .await;
    host.start_again().await;
}

fn ticket_event(ticket: &Ticket, version: i64, title: &str) -> Forged {
    let subject = if version == 0 { "ticket.created" } else { "ticket.updated" };
    let payload = json!({
        "id": ticket.id, "version": version, "title": title, "amount": 1_000, "currency": "usd", "userId": ticket.user_id,
    });
    forged(subject, &payload)
}

async fn reserved_title(buyer: &Client, ticket: &str) -> String {
    let order = buyer.reserve(ticket).await;
    assert_eq!(buyer.cancel(&order.id).await.status, 204);
    order.ticket.title
}

#[tokio::test]
async fn an_event_that_comes_again_changes_nothing() {
    let mut host = Setup::new().start().await;
    let (seller, one, other) = (host.user("seller").await, host.user("one").await, host.user("other").await);
    let ticket = seller.sell("x", 10.0).await;
    let given_up = one.reserve(&ticket.id).await;
    assert_eq!(one.cancel(&given_up.id).await.status, 204);
    let sold = other.reserve(&ticket.id).await;
    other.pay(&sold.id).await;
    let sold = other.order_becomes(&sold.id, Status::Complete).await;
    host.settles().await;
    let held = seller.ticket(&ticket.id).await;

    let created = json!({
        "id": given_up.id, "version": 0, "status": "created", "userId": one.id, "expiresAt": given_up.expires_at,
        "ticket": { "id": ticket.id, "amount": 1_000, "currency": "usd" },
    });
    let cancelled = json!({ "id": given_up.id, "version": 1, "ticket": { "id": ticket.id }, "reason": "user" });
    let again = [
        forged("order.cancelled", &cancelled),
        forged("order.created", &created),
        forged("order.cancelled", &cancelled),
    ];
    publish(&mut host, "orders", &again).await;
    host.settles().await;
    let late = [
        forged("expiration.complete", &json!({ "orderId": sold.id })),
        forged("expiration.complete", &json!({ "orderId": given_up.id })),
        forged("expiration.complete", &json!({ "orderId": sold.id })),
    ];
    publish(&mut host, "expiration", &late).await;
    host.settles().await;

    let (seller, one, other) = (host.again(&seller), host.again(&one), host.again(&other));
    assert_eq!(other.order(&sold.id).await, sold);
    assert_eq!(one.order(&given_up.id).await.status, Status::Cancelled);
    assert_eq!(
        seller.ticket(&ticket.id).await,
        held,
        "a release that comes again does not touch the next buyer's hold"
    );
    host.payment_ledger().await.takes(&sold.id, 1_000).await;
    assert!(host.dead_letters().await.is_empty());
}

#[tokio::test]
async fn an_event_with_a_known_id_is_applied_once() {
    let mut host = Setup::new().start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("x", 10.0).await;
    host.settles().await;
    let first = ticket_event(&ticket, 1, "first");
    let second = Forged { id: first.id.clone(), ..ticket_event(&ticket, 2, "never") };
    publish(&mut host, "tickets", &[first, second]).await;
    host.settles().await;
    assert_eq!(reserved_title(&host.again(&buyer), &ticket.id).await, "first");
}

#[tokio::test]
async fn events_in_the_wrong_order_are_applied_in_the_right_one() {
    let mut host = Setup::new().start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("x", 10.0).await;
    host.settles().await;
    let events = [4, 3, 1, 2, 1].map(|version| ticket_event(&ticket, version, &format!("version {version}")));
    publish(&mut host, "tickets", &events).await;
    host.settles().await;
    assert_eq!(reserved_title(&host.again(&buyer), &ticket.id).await, "version 4");
    assert!(host.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_missing_version_is_skipped_after_a_while_and_blocks_nobody() {
    let mut host = Setup::new().start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let ticket = seller.sell("x", 10.0).await;
    host.settles().await;
    publish(&mut host, "tickets", &[ticket_event(&ticket, 9, "after the gap")]).await;
    let (seller, buyer) = (host.again(&seller), host.again(&buyer));
    let begun = Instant::now();
    let other = seller.sell("another", 10.0).await;
    buyer.reserve(&other.id).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "other tickets go on meanwhile: {:?}", begun.elapsed());
    let orders = host.database("components/orders.db").await;
    let at_version_9 = async || orders.number("SELECT count(*) FROM tickets WHERE version = 9").await;
    eventually("the handler skips the missing version", at_version_9, |count| *count == 1).await;
    assert_eq!(reserved_title(&buyer, &ticket.id).await, "after the gap");
}

#[tokio::test]
async fn a_poisonous_event_is_set_aside_and_blocks_nobody() {
    let mut host = Setup::new().start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let poison = [&b"not json"[..], b"{}", b"\xff\xfe", b"[[[[", b"{\"id\":7}"].map(|payload| Forged {
        id: unique("poison"),
        subject: "ticket.created",
        payload: payload.to_vec(),
    });
    publish(&mut host, "tickets", &poison).await;
    let (seller, buyer) = (host.again(&seller), host.again(&buyer));
    let ticket = seller.sell("good", 10.0).await;
    buyer.reserve(&ticket.id).await;

    let letters = eventually(
        "the event becomes a dead letter",
        async || host.dead_letters().await,
        |letters| letters.len() == poison.len(),
    )
    .await;
    for letter in &letters {
        assert_eq!((&letter["component"], &letter["subject"]), (&json!("orders"), &json!("ticket.created")));
        assert_eq!((&letter["kind"], &letter["source"]), (&json!("event"), &json!("tickets")));
        assert!(!letter["reason"].as_str().unwrap().is_empty(), "{letter}");
    }
    assert!(host.outsider().get("/readyz").await.status == 200);
    host.kill().await;
    host.start_again().await;
    assert_eq!(host.dead_letters().await.len(), poison.len(), "the alarm survives");
}

#[tokio::test]
async fn a_dead_letter_can_be_sent_again() {
    let mut host = Setup::new().start().await;
    let seller = host.user("seller").await;
    // `tickets` cannot know the ticket of this order yet.
    let ticket = "018bcfe5-6800-7000-8000-000000000000";
    let order = json!({
        "id": "018bcfe5-6800-7000-8000-00000000000a", "version": 0, "status": "created", "userId": seller.id,
        "expiresAt": "2099-01-01T00:00:00.000Z", "ticket": { "id": ticket, "amount": 1_000, "currency": "usd" },
    });
    publish(&mut host, "orders", &[forged("order.created", &order)]).await;
    let of_tickets = async || {
        let mut letters = host.dead_letters().await;
        letters.retain(|letter| letter["component"] == "tickets");
        letters
    };
    let letters = eventually("the event becomes a dead letter", of_tickets, |letters| letters.len() == 1).await;
    let id = letters[0]["id"].as_str().unwrap().to_owned();
    host.stop().await;
    edit_database(&host.setup, "components/tickets.db", async |database| {
        let insert = "INSERT INTO tickets (id, version, title, title_key, amount, currency, user_id)
             VALUES ($1, 0, 'late', 'late', 1000, 'usd', $2)";
        sqlx::query(insert).bind(ticket).bind(&seller.id).execute(database).await.unwrap();
    })
    .await;
    host.start_again().await;
    let reply = host.operator().post(&format!("/dead-letters/{id}/redeliver"), json!({})).await;
    assert!((200..300).contains(&reply.status), "{reply:?}");
    let held = host.again(&seller).ticket_when("the ticket is held", ticket, |ticket| ticket.order_id.is_some()).await;
    assert_eq!(held.order_id.as_deref(), order["id"].as_str());
    let gone = async || host.dead_letters().await.iter().all(|letter| letter["component"] != "tickets");
    eventually("the dead letter is gone", gone, |gone| *gone).await;
}
