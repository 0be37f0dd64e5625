//! Sessions: the cookie, the end of a session, and requests from other sites.

use crate::support::{Client, Host, PASSWORD, Reply, Setup};
use http::Method;
use serde_json::{Value, json};

fn attributes(reply: &Reply) -> Vec<String> {
    let cookie = reply.header("set-cookie").unwrap();
    cookie.split(';').skip(1).map(|part| part.trim().to_ascii_lowercase()).collect()
}

/// The claims of the token in a `session=...` cookie.
fn claims(cookie: &str) -> Value {
    let payload = cookie.split('.').nth(1).unwrap();
    let mut bits = 0_u32;
    let mut count = 0;
    let mut bytes = Vec::new();
    for character in payload.bytes() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            other => panic!("{other} in {payload}"),
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn the_cookie_is_for_http_alone_and_for_this_site() {
    let host = Setup::new().start().await;
    let mut anna = host.visitor();
    let reply = anna.sign_up("anna@example.com").await;
    let attributes = attributes(&reply);
    for expected in ["httponly", "samesite=lax", "path=/"] {
        assert!(attributes.iter().any(|attribute| attribute == expected), "{expected} is not in {attributes:?}");
    }
    assert!(!attributes.iter().any(|attribute| attribute == "secure"), "{attributes:?}");
    let cookie = anna.cookie.unwrap();
    assert!(cookie.starts_with("session="), "{cookie}");
    let claims = claims(&cookie);
    assert!(claims["exp"].is_u64() && claims["jti"].is_string(), "{claims}");
}

#[tokio::test]
async fn the_cookie_is_secure_when_served_over_tls() {
    let host = Setup::new().http("trusted_proxies = [\"127.0.0.1\"]").start().await;
    let mut anna = host.visitor().with_header("x-forwarded-proto", "https");
    let reply = anna.sign_up("anna@example.com").await;
    assert!(attributes(&reply).iter().any(|attribute| attribute == "secure"));
    let cookie = anna.cookie.clone().unwrap();
    assert!(cookie.starts_with("__Host-session="), "{cookie}");
    assert_eq!(anna.current_user().await["email"], "anna@example.com");
    // Another host of the same domain can set a cookie without the prefix.
    anna.cookie = Some(cookie.replace("__Host-", ""));
    assert_eq!(anna.current_user().await, json!(null));

    let host = Setup::new().http("secure_cookies = \"always\"").start().await;
    let reply = host.visitor().sign_up("anna@example.com").await;
    assert!(attributes(&reply).iter().any(|attribute| attribute == "secure"));
}

#[tokio::test]
async fn nobody_is_signed_in_without_a_valid_session() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    assert_eq!(host.visitor().get("/api/users/currentuser").await.json(), json!({ "currentUser": null }));
    let cookie = anna.cookie.clone().unwrap();
    let (head, signature) = cookie.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    let forged = [
        "session=".to_owned(),
        "session=x.y.z".to_owned(),
        format!("{head}."),
        format!("{head}.{other}{}", &signature[1..]),
        // {"alg":"none"}
        format!("session=eyJhbGciOiJub25lIn0.{}.", head.split('.').nth(1).unwrap()),
    ];
    for cookie in forged {
        let mut nobody = host.visitor();
        nobody.cookie = Some(cookie);
        assert_eq!(nobody.current_user().await, Value::Null, "{:?}", nobody.cookie);
        nobody.try_sell("x", 1).await.refuses(401, "Not authorized");
    }
}

#[tokio::test]
async fn a_session_ends_by_itself() {
    let host = Setup::new().more_identity("session_ttl_seconds = 1\n").start().await;
    let anna = host.user("anna").await;
    crate::support::eventually("the session ends", async || anna.current_user().await, Value::is_null).await;
}

#[tokio::test]
async fn a_session_is_invalid_under_another_key() {
    let mut host = Setup::new().variable("JWT_KEY", "the first key, which is long enough").start().await;
    let anna = host.user("anna").await;
    assert!(anna.current_user().await.is_object());
    host.stop().await;
    host.setup = host.setup.clone().variable("JWT_KEY", "another key, which is long enough too");
    host.start_again().await;
    assert_eq!(host.again(&anna).current_user().await, Value::Null);
}

async fn is_signed_out_everywhere(client: &Client) {
    assert_eq!(client.current_user().await, Value::Null);
    client.try_sell("x", 1).await.refuses(401, "Not authorized");
    client.get("/api/orders").await.refuses(401, "Not authorized");
    client.post("/api/payments", json!({})).await.refuses(401, "Not authorized");
}

#[tokio::test]
async fn signing_out_ends_the_session_everywhere_and_for_good() {
    let mut host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let mut elsewhere = host.visitor();
    elsewhere.sign_in(&anna.email).await;

    let reply = anna.post("/api/users/signout", json!({})).await;
    assert_eq!((reply.status, reply.json()), (200, json!({})));
    assert_eq!(reply.session(), "session=");
    let cleared = attributes(&reply);
    assert!(
        cleared.iter().any(|attribute| attribute == "max-age=0" || attribute.contains("1970")),
        "the answer clears the cookie: {cleared:?}"
    );
    is_signed_out_everywhere(&anna).await;
    assert!(elsewhere.current_user().await.is_object(), "another session of the account stays valid");

    host.kill().await;
    host.start_again().await;
    is_signed_out_everywhere(&host.again(&anna)).await;
    assert!(host.again(&elsewhere).current_user().await.is_object());
}

#[tokio::test]
async fn signing_out_without_a_session_is_no_error() {
    let host = Setup::new().start().await;
    let reply = host.visitor().post("/api/users/signout", json!({})).await;
    assert_eq!((reply.status, reply.json()), (200, json!({})));
    let reply = host.visitor().send(Method::POST, "/api/users/signout", None).await;
    assert_eq!(reply.status, 200);
}

async fn sell_from(host: &Host, client: &Client, name: &str, value: &str) -> Reply {
    let value = value.replace("HOST", host.address());
    client.with_header(name, &value).try_sell("x", 1).await
}

#[tokio::test]
async fn other_sites_cannot_use_a_session() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://HOST.evil.example"),
        ("origin", "http://127.0.0.1:1"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let reply = sell_from(&host, &anna, name, value).await;
        assert_eq!(reply.status, 403, "{name}: {value}: {reply:?}");
        assert_eq!(reply.errors().len(), 1);
    }
    for (name, value) in [("origin", "http://HOST"), ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none")] {
        assert_eq!(sell_from(&host, &anna, name, value).await.status, 201, "{name}: {value}");
    }
    let elsewhere = anna.with_header("origin", "https://evil.example");
    assert_eq!(elsewhere.get("/api/tickets").await.status, 200, "reading is not refused");
}

#[tokio::test]
async fn other_sites_cannot_sign_a_visitor_in_or_up() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let account = json!({ "email": anna.email, "password": PASSWORD });
    let new_account = json!({ "email": "eve@example.com", "password": PASSWORD });
    for (name, value) in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        let page = host.visitor().with_header(name, value);
        for (path, body) in
            [("/api/users/signin", &account), ("/api/users/signup", &new_account), ("/api/users/signout", &json!({}))]
        {
            let reply = page.post(path, body.clone()).await;
            assert_eq!((reply.status, reply.header("set-cookie")), (403, None), "{path} {name}: {value}: {reply:?}");
        }
    }
    let own = host.visitor().with_header("sec-fetch-site", "same-origin").with_header("origin", "null");
    assert_eq!(own.post("/api/users/signin", account).await.status, 200);
    assert_eq!(own.post("/api/users/signup", new_account).await.status, 201, "the refused requests made no account");
}

#[tokio::test]
async fn a_form_of_another_site_cannot_imitate_json() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    for media_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json"]
    {
        let request = anna.request(Method::POST, "/api/tickets").header("content-type", media_type);
        let reply = Reply::of(request.body("{\"title\":\"x\",\"price\":1}")).await.unwrap();
        reply.refuses(415, "The body must be application/json");
    }
}

#[tokio::test]
async fn a_cookie_of_another_application_neither_hides_nor_ends_the_session() {
    let host = Setup::new().start().await;
    let mut anna = host.user("anna").await;
    let own = anna.cookie.clone().unwrap();
    for cookies in [
        format!("session=rubbish; {own}"),
        format!("{own}; session=rubbish"),
        format!("session=; session=a.b.c; {own}; theme=dark"),
        format!("theme=\u{e9}; {own}"),
    ] {
        anna.cookie = Some(cookies.clone());
        assert_eq!(anna.current_user().await["email"], anna.email.as_str(), "{cookies}");
    }
}
