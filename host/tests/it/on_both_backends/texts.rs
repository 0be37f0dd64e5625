//! Texts of people: titles, email addresses, prices, and names in URLs.

use crate::support::{Client, Host, PASSWORD, Setup, edit_database};
use http::Method;
use serde_json::json;

const SIGN_UP: &str = "/api/users/signup";

#[tokio::test]
async fn a_title_is_trimmed_of_every_blank_and_shown_as_it_is_read() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    for (title, shown) in [
        ("\u{A0}\u{200B}\u{3000}Concert\u{FEFF}\u{2003}\t", "Concert"),
        ("Cafe\u{301}", "Café"),
        ("a\tb\nc", "a b c"),
        ("❤\u{FE0F} 👩\u{200D}🚀", "❤\u{FE0F} 👩\u{200D}🚀"),
        ("مرحبا", "مرحبا"),
        ("e\u{301}\u{302}\u{303}", "é\u{302}\u{303}"),
    ] {
        let reply = anna.try_sell(title, 1).await;
        assert_eq!(reply.status, 201, "{title:?}: {reply:?}");
        assert_eq!(reply.json()["title"], shown);
        let id = reply.id();
        assert_eq!(anna.get(&format!("/api/tickets/{id}")).await.json()["title"], shown);
    }
    assert_eq!(anna.try_sell(&"e\u{301}".repeat(200), 1).await.status, 201, "the composed form counts");
}

#[tokio::test]
async fn a_title_that_nobody_can_read_or_that_harms_others_is_refused() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let ticket = anna.sell("x", 1.0).await;
    for title in [
        "",
        "\u{A0}",
        "\u{200B}\u{200D}",
        "\u{3000} \u{2003}",
        "\u{3164}",
        "\u{2800}",
        "\u{FE0F}",
        "\u{301}",
        "a\u{0}b",
        "a\u{8}b",
        "a\u{1B}[31mb",
        "a\u{202E}b",
        "a\u{2067}b",
        "a\u{FFFF}b",
        "e\u{301}\u{301}\u{301}\u{301}",
        "é\u{301}\u{301}\u{301}",
    ] {
        anna.try_sell(title, 1).await.blames(&["title"]);
        anna.edit(&ticket.id, title, 1).await.blames(&["title"]);
    }
    assert_eq!(anna.ticket(&ticket.id).await, ticket);
}

#[tokio::test]
async fn a_price_is_understood_or_its_error_says_what_to_write() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    for sent in [" 19.99 ", "１９.９９", "１９．９９", "\u{A0}19.99\u{3000}"] {
        let reply = anna.try_sell("x", sent).await;
        assert_eq!((reply.status, reply.json()["price"].to_string()), (201, "19.99".to_owned()), "{sent}");
    }
    for (sent, hint) in [
        ("19,99", "write 19.99"),
        ("1.234,56", "write 1234.56"),
        ("1 234.56", "write 1234.56"),
        ("1e3", "exponent"),
        ("+5", "write 5"),
        ("19.", "write 19"),
        (".5", "write 0.5"),
        ("€ 5", "without a currency"),
        ("", "is required"),
        ("١٩", "the digits 0 to 9"),
        ("ten", "such as 20 or 19.99"),
    ] {
        let reply = anna.try_sell("x", sent).await;
        reply.blames(&["price"]);
        let message = &reply.errors()[0].0;
        assert!(message.contains(hint), "{sent}: {message}");
    }
}

async fn sign_up(host: &Host, email: &str) -> crate::support::Reply {
    host.visitor().post(SIGN_UP, json!({ "email": email, "password": PASSWORD })).await
}

async fn signed_in(host: &Host, email: &str) -> Client {
    let mut client = host.visitor();
    client.sign_in(email).await;
    client
}

#[tokio::test]
async fn an_international_address_is_one_account_in_every_spelling() {
    let host = Setup::new().start().await;
    for (first, spellings) in [
        (
            "José@Bücher.example",
            &["JOSE\u{301}@bücher.example", "josé@xn--bcher-kva.example", "josé@BU\u{308}CHER.EXAMPLE"][..],
        ),
        ("οδος@example.com", &["ΟΔΟΣ@EXAMPLE.com", "\u{3000}οδοσ@example.com\u{200B}"]),
        ("用户@例子.广告", &["用户@xn--fsqu00a.xn--4rr70v", "用户@例子。广告"]),
    ] {
        let reply = sign_up(&host, first).await;
        assert_eq!(reply.status, 201, "{first}: {reply:?}");
        for spelling in spellings {
            let again = sign_up(&host, spelling).await;
            assert_eq!((again.status, again.errors()[0].0.as_str()), (400, "Email in use"), "{spelling}");
            assert_eq!(signed_in(&host, spelling).await.id, reply.id(), "{spelling}");
        }
    }
    for refused in ["an\u{200B}n@example.com", "ann\u{202E}@example.com", "ann\u{0}@example.com", "\"ann\"@example.com"]
    {
        sign_up(&host, refused).await.blames(&["email"]);
    }
}

#[tokio::test]
async fn of_many_sign_ups_at_once_in_different_spellings_one_wins() {
    let host = Setup::new().start().await;
    let spellings = ["josé@bücher.example", "JOSE\u{301}@bücher.example", "José@xn--bcher-kva.example"];
    let attempts = spellings.iter().cycle().take(18).map(|email| sign_up(&host, email));
    let replies = futures::future::join_all(attempts).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1);
    assert!(replies.iter().filter(|reply| reply.status != 201).all(|reply| reply.errors()[0].0 == "Email in use"));
}

/// An older version compared addresses by their small letters alone.
#[tokio::test]
async fn an_account_of_an_older_version_is_found_by_every_spelling() {
    let mut host = Setup::new().start().await;
    let jose = sign_up(&host, "josé@bücher.example").await.id();
    let second = sign_up(&host, "second@example.com").await.id();
    let ascii = sign_up(&host, "Ascii@example.com").await.id();
    host.stop().await;
    edit_database(&host.setup, "components/auth.db", async |database| {
        for (from, email) in [
            ("josé@xn--bcher-kva.example", "Jose\u{301}@BÜCHER.example"),
            ("second@example.com", "JOSÉ@bücher.example"),
            ("ascii@example.com", "Ascii@example.com"),
        ] {
            let statement = "UPDATE users SET email = $1, email_key = $2, key_form = 0 WHERE email_key = $3";
            let changed = sqlx::query(statement)
                .bind(email.to_owned())
                .bind(email.to_lowercase())
                .bind(from.to_owned())
                .execute(&mut *database)
                .await
                .unwrap();
            assert_eq!(changed.rows_affected(), 1, "{from}");
        }
    })
    .await;
    host.start_again().await;
    // Two accounts have one address. Each is found by its own spelling, and the
    // older one by the others.
    assert_eq!(signed_in(&host, "josé@XN--BCHER-KVA.example").await.id, jose);
    assert_eq!(signed_in(&host, "JOSÉ@bücher.example").await.id, second);
    assert_eq!(signed_in(&host, "ascii@EXAMPLE.com").await.id, ascii);
    for spelling in ["josé@bücher.example", "JOSE\u{301}@xn--bcher-kva.example", "ASCII@example.com"] {
        assert_eq!(sign_up(&host, spelling).await.errors()[0].0, "Email in use", "{spelling}");
    }
}

/// A name that no database stores names nothing, and is never an error of the
/// server.
#[tokio::test]
async fn names_in_urls_mean_the_same_on_every_engine() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    for id in ["%00", "a%00b", "018bcfe5-6800-7000-8000-000000000000%00", "%2F", "a%2Fb", "..%2F..", "%FF", "%25%30%30"]
    {
        for path in [format!("/api/tickets/{id}"), format!("/api/orders/{id}")] {
            assert_eq!(anna.get(&path).await.status, 404, "{path}");
            assert_eq!(anna.put(&path, json!({ "title": "x", "price": 1 })).await.status / 100, 4, "{path}");
        }
    }
    anna.get("/api/tickets?q=%00").await.blames(&["q"]);
    anna.get("/api/tickets?cursor=%00").await.blames(&["cursor"]);
    anna.post("/api/tickets", json!({ "title": "a\0", "price": "1\0" })).await.blames(&["price", "title"]);
    assert_eq!(anna.post("/api/orders", json!({ "ticketId": "\0" })).await.status, 400);
    assert_eq!(anna.post("/api/payments", json!({ "orderId": "\0", "token": "\0" })).await.status, 400);
}

#[tokio::test]
async fn the_operator_api_answers_names_alike_on_every_engine() {
    let host = Setup::new().start().await;
    let operator = host.operator();
    let viewer = host.bearer(&operator.make_token(json!({ "name": "viewer", "role": "view" })).await.text);
    for name in ["%00", "tickets%00", "%2F", "tickets%2F..", "a%20b", "%FF", "TICKETS", "%E2%80%AE", "*", "tickets.%3E"]
    {
        for (method, path) in [
            (Method::GET, format!("/plugins/{name}")),
            (Method::GET, format!("/plugins/{name}/revisions")),
            (Method::GET, format!("/plugins/{name}/policy")),
            (Method::GET, format!("/plugins/{name}/logs")),
            (Method::POST, format!("/plugins/{name}/pause")),
            (Method::DELETE, format!("/plugins/{name}")),
            (Method::GET, format!("/dead-letters/{name}")),
            (Method::DELETE, format!("/dead-letters/{name}")),
            (Method::POST, format!("/dead-letters/{name}/redeliver")),
            (Method::DELETE, format!("/tokens/{name}")),
        ] {
            for caller in [&operator, &viewer] {
                let body = (method == Method::POST).then(|| json!({}));
                let reply = caller.send(method.clone(), &path, body).await;
                assert!((400..500).contains(&reply.status), "{method} {path}: {reply:?}");
            }
        }
    }
    for path in ["/dead-letters?after=1.%00", "/tokens?after=%00", "/plugins?after=%00", "/audit?before=%00"] {
        assert_eq!(operator.get(path).await.status, 400, "{path}");
    }
    for (method, path, body) in [
        (Method::POST, "/tokens", json!({ "name": "a\0", "role": "view" })),
        (Method::PUT, "/plugins/tickets/config", json!({ "a\0": "b" })),
        (Method::PUT, "/plugins/orders/config", json!({ "expiration-seconds": "\0" })),
        (Method::PUT, "/plugins/tickets/policy", json!({ "subjects": ["\0"] })),
    ] {
        let reply = operator.send(method, path, Some(body)).await;
        assert_eq!(reply.status, 400, "{path}: {reply:?}");
    }
    assert_eq!(operator.get("/plugins/tickets").await.status, 200);
}
