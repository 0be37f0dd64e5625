//! Tickets: making, showing and editing them.

use crate::support::{Setup, Ticket, TicketStatus};
use http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_ticket_is_made_and_shown() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let reply = anna.try_sell("  Kraftwerk, Düsseldorf 🎫  ", 19.99).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let ticket = reply.ticket();
    assert_eq!(
        ticket,
        Ticket {
            id: ticket.id.clone(),
            title: "Kraftwerk, Düsseldorf 🎫".to_owned(),
            price: 19.99,
            user_id: anna.id.clone(),
            version: 0,
            status: TicketStatus::Available,
            order_id: None,
        }
    );
    assert_eq!(reply.header("etag"), Some("\"0\""));
    let shown = host.visitor().get(&format!("/api/tickets/{}", ticket.id)).await;
    assert_eq!((shown.status, shown.ticket(), shown.header("etag")), (200, ticket, Some("\"0\"")));
}

#[tokio::test]
async fn all_faults_of_a_ticket_are_reported_at_once() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let ticket = anna.sell("x", 1.0).await;
    let own = format!("/api/tickets/{}", ticket.id);
    for (body, fields) in [
        (json!({}), &["price", "title"][..]),
        (json!({ "title": "", "price": 0 }), &["price", "title"]),
        (json!({ "title": "   ", "price": "x" }), &["price", "title"]),
        (json!({ "title": 1, "price": null }), &["price", "title"]),
        (json!({ "title": "x".repeat(201), "price": 1 }), &["title"]),
        (json!({ "title": "x", "price": [] }), &["price"]),
        (json!({ "title": "x", "price": true }), &["price"]),
    ] {
        anna.post("/api/tickets", body.clone()).await.blames(fields);
        anna.put(&own, body).await.blames(fields);
    }
    assert_eq!(anna.try_sell(&"ä".repeat(200), 1).await.status, 201);
    assert_eq!(anna.try_sell(&format!("  {}  ", "x".repeat(200)), 1).await.status, 201);
    assert_eq!(anna.ticket(&ticket.id).await, ticket);
}

/// Sends a price as JSON and returns the price that the ticket shows.
#[tokio::test]
async fn prices_are_exact() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    for (sent, shown) in [
        ("19.99", "19.99"),
        ("\"19.99\"", "19.99"),
        ("0.50", "0.5"),
        ("0.51", "0.51"),
        ("\"0.70\"", "0.7"),
        ("1.1", "1.1"),
        ("1.15", "1.15"),
        ("2.675e0", "refused"),
        ("4.35", "4.35"),
        ("8.2", "8.2"),
        ("1001.1", "1001.1"),
        ("999999.99", "999999.99"),
        ("\"999999.99\"", "999999.99"),
        ("20", "20"),
        ("0.30000000000000004", "refused"),
        ("19.999", "refused"),
        ("\"19.999\"", "refused"),
        ("1000000", "refused"),
        ("999999.991", "refused"),
        ("1000000.00", "refused"),
        ("0", "refused"),
        ("0.00", "refused"),
        ("0.001", "refused"),
        ("0.01", "refused"),
        ("0.49", "refused"),
        ("\"0.49\"", "refused"),
        ("-1", "refused"),
        ("\"-19.99\"", "refused"),
        ("-0.01", "refused"),
        ("1e400", "refused"),
        ("99999999999999999999999999", "refused"),
        ("\"\"", "refused"),
        ("\"NaN\"", "refused"),
        ("\"Infinity\"", "refused"),
        ("\"1,50\"", "refused"),
        ("\"0x10\"", "refused"),
        ("\"١\"", "refused"),
    ] {
        let reply = anna.raw(Method::POST, "/api/tickets", format!("{{\"title\":\"x\",\"price\":{sent}}}")).await;
        if shown == "refused" {
            assert_eq!(reply.status, 400, "{sent}: {reply:?}");
            continue;
        }
        assert_eq!(reply.status, 201, "{sent}: {reply:?}");
        let digits = |text: &str| {
            let from = text.find("\"price\":").unwrap() + "\"price\":".len();
            text[from..].chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect::<String>()
        };
        assert_eq!(digits(&reply.text), shown, "{sent}");
        let again = anna.get(&format!("/api/tickets/{}", reply.id())).await;
        assert_eq!(digits(&again.text), shown, "{sent}");
    }
}

#[tokio::test]
async fn the_seller_edits_a_ticket_and_each_change_is_one_version() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let ticket = anna.sell("old", 10.0).await;
    let reply = anna.edit(&ticket.id, "new", "12.50").await;
    assert_eq!((reply.status, reply.header("etag")), (200, Some("\"1\"")));
    let edited = Ticket { title: "new".to_owned(), price: 12.5, version: 1, ..ticket };
    assert_eq!(reply.ticket(), edited);
    assert_eq!(host.visitor().ticket(&edited.id).await, edited);
}

#[tokio::test]
async fn nobody_but_the_seller_edits_a_ticket() {
    let host = Setup::new().start().await;
    let (anna, berta) = (host.user("anna").await, host.user("berta").await);
    let ticket = anna.sell("x", 1.0).await;
    berta.edit(&ticket.id, "mine now", 1).await.refuses(401, "Not authorized");
    berta.edit(&ticket.id, "", 0).await.blames(&["price", "title"]);
    host.visitor().edit(&ticket.id, "mine now", 1).await.refuses(401, "Not authorized");
    assert_eq!(anna.ticket(&ticket.id).await, ticket);
}

#[tokio::test]
async fn an_edit_of_a_stale_version_is_refused() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let ticket = anna.sell("x", 1.0).await;
    let matching = |tag: &str| anna.with_header("if-match", tag);
    assert_eq!(matching("\"0\"").edit(&ticket.id, "one", 1).await.status, 200);
    for stale in ["\"0\"", "\"2\"", "W/\"1\"", "1", "\"x\""] {
        let reply = matching(stale).edit(&ticket.id, "two", 2).await;
        assert_eq!(reply.status, 412, "{stale}: {reply:?}");
        assert_eq!(reply.errors().len(), 1);
    }
    assert_eq!(anna.ticket(&ticket.id).await.version, 1);
    assert_eq!(matching("*").edit(&ticket.id, "two", 2).await.status, 200);
    assert_eq!(matching("\"1\", \"2\"").edit(&ticket.id, "three", 3).await.status, 200);
    assert_eq!(anna.edit(&ticket.id, "four", 4).await.ticket().version, 4);
}

#[tokio::test]
async fn of_concurrent_edits_of_one_version_one_wins() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let ticket = anna.sell("x", 1.0).await;
    for version in 0..5_i64 {
        let edits = (0..10).map(|number| {
            let anna = anna.with_header("if-match", &format!("\"{version}\""));
            let id = &ticket.id;
            async move { anna.edit(id, &format!("edit {number}"), 1).await }
        });
        let replies = futures::future::join_all(edits).await;
        let statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 9, "{statuses:?}");
        assert_eq!(anna.ticket(&ticket.id).await.version, version + 1);
    }
}

#[tokio::test]
async fn concurrent_edits_without_a_condition_each_count() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let ticket = anna.sell("x", 1.0).await;
    let edits = (0..20).map(|number| {
        let (anna, id) = (&anna, &ticket.id);
        async move { anna.edit(id, &format!("edit {number}"), 1).await }
    });
    let replies = futures::future::join_all(edits).await;
    let mut versions: Vec<_> =
        replies.iter().filter(|reply| reply.status == 200).map(|reply| reply.ticket().version).collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=versions.len() as i64).collect::<Vec<_>>(), "every version occurs once");
    assert!(!versions.is_empty());
    assert_eq!(anna.ticket(&ticket.id).await.version, versions.len() as i64);
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        assert_eq!(reply.status, 503, "only too many requests at once are refused: {reply:?}");
    }
}

#[tokio::test]
async fn other_fields_than_title_and_price_are_ignored() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let body = json!({ "title": "x", "price": 1, "userId": "someone", "version": 7, "orderId": "x", "id": "y" });
    let ticket = anna.post("/api/tickets", body).await.ticket();
    assert_eq!((ticket.user_id, ticket.version, ticket.order_id), (anna.id.clone(), 0, None));
    let text = json!({ "title": "<script>alert('1')</script>\"; DROP TABLE tickets;--", "price": 1 });
    let ticket = anna.post("/api/tickets", text.clone()).await.ticket();
    assert_eq!(Value::from(ticket.title), text["title"]);
}

#[tokio::test]
async fn a_price_that_no_card_can_be_charged_is_refused_when_a_ticket_is_offered_or_edited() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let ticket = anna.sell("x", 1.0).await;
    for price in [json!(0.01), json!("0.01"), json!(0.49), json!("0.4"), json!(0.3)] {
        for reply in [anna.try_sell("x", price.clone()).await, anna.edit(&ticket.id, "x", price.clone()).await] {
            reply.blames(&["price"]);
            assert!(reply.errors()[0].0.contains("at least 0.50"), "{price}: {reply:?}");
        }
    }
    assert_eq!(anna.edit(&ticket.id, "x", "0.50").await.status, 200);
    assert_eq!(anna.try_sell("x", 0.5).await.status, 201);

    let dearer = Setup::new().flag("--set=tickets.minimum-price-cents=1000").start().await;
    let berta = dearer.user("berta").await;
    berta.try_sell("x", "9.99").await.blames(&["price"]);
    assert_eq!(berta.try_sell("x", 10).await.status, 201);
}
