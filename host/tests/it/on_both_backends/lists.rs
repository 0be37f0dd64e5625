//! Lists with pages, and the search.

use crate::support::{Client, Setup, TicketStatus};
use serde_json::Value;
use std::collections::HashSet;

fn ids(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

pub(super) fn titles(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["title"].as_str().unwrap()).collect()
}

async fn sell_many(client: &Client, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        let reply = client.try_sell(&format!("ticket {number}"), 1).await;
        assert_eq!(reply.status, 201);
        ids.push(reply.id());
    }
    ids
}

#[tokio::test]
async fn tickets_come_in_pages_newest_first_without_loss_or_repetition() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let mut made = sell_many(&anna, 23).await;
    made.reverse();
    let visitor = host.visitor();
    for limit in [1, 7, 22, 23, 24] {
        let path = format!("/api/tickets?limit={limit}");
        let first = visitor.get(&path).await;
        assert_eq!(first.json().as_array().unwrap().len(), limit.min(23));
        assert_eq!(first.next_page().is_some(), limit < 23, "{limit}");
        assert_eq!(ids(&visitor.all(&path).await), made, "{limit}");
    }
}

#[tokio::test]
async fn a_page_has_50_items_unless_asked_otherwise() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    sell_many(&anna, 53).await;
    let reply = anna.get("/api/tickets").await;
    assert_eq!(reply.json().as_array().unwrap().len(), 50);
    let rest = anna.get(&reply.next_page().unwrap()).await;
    assert_eq!((rest.json().as_array().unwrap().len(), rest.next_page()), (3, None));
    assert_eq!(anna.get("/api/tickets?limit=100").await.json().as_array().unwrap().len(), 53);
}

#[tokio::test]
async fn a_ticket_that_is_made_between_two_pages_is_neither_lost_nor_repeated() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let made: HashSet<_> = sell_many(&anna, 9).await.into_iter().collect();
    let mut seen = Vec::new();
    let mut next = Some("/api/tickets?limit=2".to_owned());
    while let Some(page) = next {
        let reply = anna.get(&page).await;
        seen.extend(ids(reply.json().as_array().unwrap()));
        next = reply.next_page();
        sell_many(&anna, 1).await;
    }
    assert_eq!(seen.len(), 9);
    assert_eq!(seen.into_iter().collect::<HashSet<_>>(), made);
}

#[tokio::test]
async fn an_invalid_page_is_refused() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    for list in ["/api/tickets", "/api/orders"] {
        for query in
            ["limit=0", "limit=101", "limit=-1", "limit=x", "limit=", "limit=1.5", "limit=99999999999999999999"]
        {
            anna.get(&format!("{list}?{query}")).await.blames(&["limit"]);
        }
        anna.get(&format!("{list}?cursor=x")).await.blames(&["cursor"]);
        anna.get(&format!("{list}?cursor=%27%3B--")).await.blames(&["cursor"]);
        anna.get(&format!("{list}?limit=0&cursor=x")).await.blames(&["cursor", "limit"]);
        assert_eq!(anna.get(&format!("{list}?limit=1")).await.status, 200);
        assert_eq!(anna.get(&format!("{list}?limit=100")).await.status, 200);
    }
}

#[tokio::test]
async fn a_search_finds_parts_of_titles_and_takes_wildcards_as_they_are() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    for title in ["Kraftwerk Berlin", "kraftwerk Wien", "50% off_peak", "500 Miles", "a\\b", "It's here"] {
        assert_eq!(anna.try_sell(title, 1).await.status, 201);
    }
    for (query, found) in [
        ("q=kraftwerk", &["kraftwerk Wien", "Kraftwerk Berlin"][..]),
        ("q=KRAFTWERK", &["kraftwerk Wien", "Kraftwerk Berlin"]),
        ("q=werk%20B", &["Kraftwerk Berlin"]),
        ("q=50", &["500 Miles", "50% off_peak"]),
        ("q=50%25", &["50% off_peak"]),
        ("q=%25", &["50% off_peak"]),
        ("q=_", &["50% off_peak"]),
        ("q=f_p", &["50% off_peak"]),
        ("q=%5C", &["a\\b"]),
        ("q=t%27s", &["It's here"]),
        ("q=nothing", &[]),
    ] {
        let items = host.visitor().all(&format!("/api/tickets?{query}")).await;
        assert_eq!(titles(&items), found, "{query}");
    }
    assert_eq!(host.visitor().all("/api/tickets?q=").await.len(), 6);
    assert_eq!(
        titles(&host.visitor().all("/api/tickets?q=kraftwerk&limit=1").await).len(),
        2,
        "the next page has the same search"
    );
}

#[tokio::test]
async fn a_reserved_ticket_is_not_in_the_list_but_can_be_shown() {
    let host = Setup::new().start().await;
    let (anna, berta) = (host.user("anna").await, host.user("berta").await);
    let ticket = anna.sell("x", 1.0).await;
    let order = berta.reserve(&ticket.id).await;
    let held = anna.ticket_when("tickets knows", &ticket.id, |ticket| ticket.order_id.is_some()).await;
    assert_eq!(held.order_id, Some(order.id));
    assert!(host.visitor().all("/api/tickets").await.is_empty());
    assert!(host.visitor().all("/api/tickets?q=x").await.is_empty());
}

#[tokio::test]
async fn my_orders_come_in_pages_newest_first_with_their_tickets() {
    let host = Setup::new().start().await;
    let (anna, berta, carla) = (host.user("anna").await, host.user("berta").await, host.user("carla").await);
    let mut made = Vec::new();
    for number in 0..7 {
        let ticket = anna.sell(&format!("ticket {number}"), 1.0).await;
        made.push(berta.reserve(&ticket.id).await.id);
    }
    let other = anna.sell("another's", 1.0).await;
    carla.reserve(&other.id).await;
    made.reverse();
    for limit in [1, 3, 7, 100] {
        assert_eq!(ids(&berta.all(&format!("/api/orders?limit={limit}")).await), made);
    }
    let newest = &berta.all("/api/orders").await[0];
    assert_eq!(newest["ticket"]["title"], "ticket 6");
    assert_eq!(newest, &berta.get(&format!("/api/orders/{}", made[0])).await.json());
    assert!(anna.all("/api/orders").await.is_empty());
}

#[tokio::test]
async fn sellers_list_their_own_tickets_in_every_status() {
    let host = Setup::new().start().await;
    let (anna, berta) = (host.user("anna").await, host.user("berta").await);
    let mut own = Vec::new();
    for title in ["free", "held", "Sold out"] {
        own.push(anna.sell(title, 1.0).await.id);
    }
    berta.sell("of another", 1.0).await;
    berta.reserve(&own[1]).await;
    let order = berta.reserve(&own[2]).await;
    berta.pay(&order.id).await;
    anna.ticket_becomes(&own[1], TicketStatus::Reserved).await;
    anna.ticket_becomes(&own[2], TicketStatus::Sold).await;

    let listed = anna.all("/api/tickets?seller=me").await;
    let statuses: Vec<_> = listed.iter().map(|ticket| ticket["status"].as_str().unwrap()).collect();
    assert_eq!((titles(&listed), statuses), (vec!["Sold out", "held", "free"], vec!["sold", "reserved", "available"]));
    assert_eq!(listed[2], anna.get(&format!("/api/tickets/{}", own[0])).await.json());
    assert_eq!(titles(&berta.all("/api/tickets?seller=me").await), ["of another"]);
    assert_eq!(titles(&anna.all("/api/tickets?seller=me&q=SOLD").await), ["Sold out"]);
    for limit in [1, 2, 3] {
        let pages = anna.all(&format!("/api/tickets?seller=me&limit={limit}")).await;
        assert_eq!(pages, listed, "each page has {limit}, and the next one is of the same seller");
    }
}

#[tokio::test]
async fn only_the_signed_in_user_can_be_the_seller_of_a_list() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    host.visitor().get("/api/tickets?seller=me").await.refuses(401, "Not authorized");
    host.visitor().get("/api/tickets?seller=me&limit=x").await.refuses(401, "Not authorized");
    for seller in ["", "ME", "you", &anna.id] {
        anna.get(&format!("/api/tickets?seller={seller}")).await.blames(&["seller"]);
    }
    anna.get("/api/tickets?seller=me&limit=0&cursor=x").await.blames(&["cursor", "limit"]);
    assert!(anna.all("/api/tickets?seller=me").await.is_empty());
}
