//! The search for tickets: spellings, the order of the words, and its cost.

use super::lists::titles;
use crate::support::{Client, Host, Setup, edit_database, eventually};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::{AnyConnection, AssertSqlSafe};
use std::time::Instant;

fn path(words: &str) -> String {
    format!("/api/tickets?q={}", utf8_percent_encode(words, NON_ALPHANUMERIC))
}

/// The titles that a search finds on all of its pages.
async fn found(host: &Host, words: &str) -> Vec<String> {
    titles(&host.visitor().all(&path(words)).await).into_iter().map(str::to_owned).collect()
}

async fn sell_all(client: &Client, titles: &[&str]) {
    for title in titles {
        assert_eq!(client.try_sell(title, 1).await.status, 201, "{title}");
    }
}

#[tokio::test]
async fn a_search_finds_every_spelling_of_a_word() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let offered = ["Café Müller", "Straße 12", "ΟΔΟΣ", "İstanbul", "ﬁesta Ｔｏｋｙｏ", "한국", "𝔛 Ⅷ", "Ångström"];
    sell_all(&anna, &offered).await;
    for (words, title) in [
        ("café", "Café Müller"),
        ("cafe\u{301}", "Café Müller"),
        ("CAFÉ", "Café Müller"),
        ("CAFE\u{301}\u{3000}müller", "Café Müller"),
        ("STRASSE", "Straße 12"),
        ("straße", "Straße 12"),
        ("STRAẞE", "Straße 12"),
        ("οδος", "ΟΔΟΣ"),
        ("οδοσ", "ΟΔΟΣ"),
        ("istanbul", "İstanbul"),
        ("İSTANBUL", "İstanbul"),
        ("i\u{307}stanbul", "İstanbul"),
        ("FIESTA", "ﬁesta Ｔｏｋｙｏ"),
        ("tokyo", "ﬁesta Ｔｏｋｙｏ"),
        ("\u{1112}\u{1161}\u{11AB}", "한국"),
        ("x viii", "𝔛 Ⅷ"),
        ("\u{212B}NGSTRO\u{308}M", "Ångström"),
        ("ang\u{AD}str", ""),
    ] {
        let expected: Vec<&str> = [title].into_iter().filter(|title| !title.is_empty()).collect();
        assert_eq!(found(&host, words).await, expected, "{words}");
    }
    assert!(found(&host, "cafe").await.is_empty(), "an accent is a difference");
    assert_eq!(found(&host, "\u{200B} \u{FEFF}").await.len(), offered.len(), "it has no words");
}

#[tokio::test]
async fn a_search_finds_words_in_any_order_and_parts_of_words() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let long = "Donaudampfschifffahrtsgesellschaft";
    sell_all(&anna, &["Kraftwerk live in Berlin", "Berlin live", "Kraftwerk Wien", long, "50% off_peak"]).await;
    for (words, expected) in [
        ("berlin kraftwerk", &["Kraftwerk live in Berlin"][..]),
        ("Kraftwerk Berlin", &["Kraftwerk live in Berlin"]),
        ("live berlin", &["Berlin live", "Kraftwerk live in Berlin"]),
        ("werk lin", &["Kraftwerk live in Berlin"]),
        ("live live LIVE", &["Berlin live", "Kraftwerk live in Berlin"]),
        ("kraftwerk wien berlin", &[]),
        ("kraftwerkberlin", &[]),
        ("schifffahrtsgesell", &[long]),
        ("gesellschaft", &[long]),
        ("dampf donau", &[long]),
        ("t", &[long, "Kraftwerk Wien", "Kraftwerk live in Berlin"]),
        ("%", &["50% off_peak"]),
        ("_p", &["50% off_peak"]),
    ] {
        assert_eq!(found(&host, words).await, expected, "{words}");
    }
    let too_long = host.visitor().get(&path(&"x".repeat(201))).await;
    too_long.blames(&["q"]);
    host.visitor().get(&path("a\0b")).await.blames(&["q"]);
}

#[tokio::test]
async fn an_edited_ticket_is_found_by_its_new_title_alone() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let ticket = anna.sell("Zebra Alpha", 1.0).await;
    assert_eq!(anna.edit(&ticket.id, "Zebra Émile", 2).await.status, 200);
    assert_eq!(found(&host, "ÉMILE").await, ["Zebra Émile"]);
    assert!(found(&host, "alpha").await.is_empty());
    assert_eq!(anna.edit(&ticket.id, "ZEBRA ÉMILE", 2).await.status, 200);
    assert_eq!(found(&host, "émile zebra").await, ["ZEBRA ÉMILE"]);
}

#[tokio::test]
async fn a_seller_searches_among_their_own_tickets_in_every_status() {
    let host = Setup::new().start().await;
    let (anna, berta) = (host.user("anna").await, host.user("berta").await);
    let held = anna.sell("Café Müller", 1.0).await;
    sell_all(&anna, &["Müller im CAFÉ", "another"]).await;
    sell_all(&berta, &["Café Müller of Berta"]).await;
    berta.reserve(&held.id).await;
    let own = anna.all("/api/tickets?seller=me&limit=1&q=m%C3%BCller+CAFE%CC%81").await;
    assert_eq!(titles(&own), ["Müller im CAFÉ", "Café Müller"]);
}

/// Makes the tickets look like those of an older version.
async fn make_old(database: &mut AnyConnection) {
    for statement in
        ["DELETE FROM title_words", "DELETE FROM word_parts", "UPDATE tickets SET title_key = lower(title)"]
    {
        sqlx::query(statement).execute(&mut *database).await.unwrap();
    }
}

#[tokio::test]
async fn tickets_of_older_versions_are_found_at_once_and_indexed_soon() {
    let mut host = Setup::new().start().await;
    let anna = host.user("anna").await;
    sell_all(&anna, &["Café", "Straße", "ΟΔΟΣ"]).await;
    host.stop().await;
    edit_database(&host.setup, "components/tickets.db", make_old).await;
    host.start_again().await;
    for (words, title) in [("CAFE\u{301}", "Café"), ("strasse", "Straße"), ("οδος", "ΟΔΟΣ")] {
        assert_eq!(found(&host, words).await, [title]);
    }
    // The search of more tickets than it looks at without the index starts the work.
    let database = host.database("components/tickets.db").await;
    let anna = host.again(&anna);
    for number in 0..160 {
        assert_eq!(anna.try_sell(&format!("other {number}"), 1).await.status, 201);
    }
    assert_eq!(found(&host, "strasse").await, ["Straße"]);
    let old = "SELECT count(*) FROM tickets WHERE title_key < ' ' OR title_key >= '!'";
    eventually("all tickets are indexed", || database.number(old), |old| *old == 0).await;
    for (words, title) in [("CAFE\u{301}", "Café"), ("strasse", "Straße"), ("οδος", "ΟΔΟΣ")] {
        assert_eq!(found(&host, words).await, [title]);
    }
}

/// Inserts tickets as an older version did, with the number in each title.
async fn fill(database: &mut AnyConnection, count: usize, title: &str) {
    for begin in (0..count).step_by(500) {
        let rows: Vec<String> = (begin..(begin + 500).min(count))
            .map(|number| {
                let id = format!("018bcfe5-6800-7000-8000-{number:012}");
                let title = title.replace("NUMBER", &number.to_string());
                format!("('{id}', 0, '{title}', '{}', 100, 'usd', 'seller')", title.to_lowercase())
            })
            .collect();
        let statement = format!(
            "INSERT INTO tickets (id, version, title, title_key, amount, currency, user_id) VALUES {}",
            rows.join(", ")
        );
        sqlx::query(AssertSqlSafe(statement)).execute(&mut *database).await.unwrap();
    }
}

/// Every title has almost all of the words. The pages are short, and together
/// they are complete.
#[tokio::test]
async fn a_search_with_many_near_matches_is_bounded_and_complete() {
    const TICKETS: usize = 8_000;
    let mut host = Setup::new().start().await;
    host.stop().await;
    let title = format!("{} NUMBER", "a".repeat(180));
    edit_database(&host.setup, "components/tickets.db", async |database| fill(database, TICKETS, &title).await).await;
    host.start_again().await;
    let near = format!("{}b", "a".repeat(150));
    let many: Vec<String> = (1..=18).map(|length| "a".repeat(length)).collect();
    for words in [near, many.join(" "), format!("{} 7x", "a".repeat(150))] {
        let begun = Instant::now();
        let reply = host.visitor().get(&path(&words)).await;
        println!("{:?} for a page", begun.elapsed());
        assert_eq!(reply.status, 200);
        let pages = host.visitor().all(&path(&words)).await.len();
        assert!(pages == 0 || pages == TICKETS, "{pages} for {words}");
    }
    assert_eq!(found(&host, "7999 aaa").await.len(), 1);
    assert_eq!(found(&host, "aaa 12").await.len(), (0..TICKETS).filter(|n| n.to_string().contains("12")).count());
}
