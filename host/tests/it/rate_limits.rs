//! Limits on the requests of one address, of one account, and of one address for one
//! endpoint.

use crate::support::{Client, Host, Reply, Setup, eventually};
use http::Method;
use serde_json::json;

async fn host(limits: &str) -> Host {
    let setup = Setup::new().http("trusted_proxies = [\"127.0.0.1\"]").variable("TICKETING_RATE_LIMITS", "on");
    setup.toml(&format!("[rate_limits]\n{limits}\n")).start().await
}

fn from(client: &Client, address: &str) -> Client {
    client.with_header("x-forwarded-for", address)
}

fn is_limited(reply: &Reply, policy: &str, most_seconds: u64) {
    reply.refuses(429, "Too many requests, try again later");
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=most_seconds).contains(&seconds), "{seconds}");
    assert_eq!(reply.header("ratelimit-policy"), Some(policy));
    assert!(reply.header("ratelimit").unwrap().contains(";r=0;"), "{reply:?}");
}

#[tokio::test]
async fn an_address_has_a_limit_and_sees_how_much_of_it_is_left() {
    let host = host("address = \"3/h\"").await;
    let one = from(&host.visitor(), "203.0.113.1");
    for (path, status, left) in [("/api/tickets", 200, 2), ("/nothing", 404, 1), ("/api/orders", 401, 0)] {
        let reply = one.get(path).await;
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(reply.header("ratelimit-policy"), Some("\"address\";q=3;w=3600"));
        let limit = reply.header("ratelimit").unwrap();
        assert!(limit.starts_with(&format!("\"address\";r={left};t=")), "{limit}");
    }
    is_limited(&one.get("/api/tickets").await, "\"address\";q=3;w=3600", 1_200);
    is_limited(&one.get("/nothing").await, "\"address\";q=3;w=3600", 1_200);
    assert_eq!(from(&host.visitor(), "203.0.113.2").get("/api/tickets").await.status, 200);
}

#[tokio::test]
async fn the_addresses_of_one_subscriber_share_a_limit() {
    let host = host("address = \"2/h\"").await;
    let get = async |address: &str| from(&host.visitor(), address).get("/api/tickets").await.status;
    for (address, status) in [
        ("2001:db8::1", 200),
        ("2001:db8::2", 200),
        ("2001:db8::3", 429),
        ("2001:db8:0:1::1", 200),
        ("::ffff:192.0.2.1", 200),
        ("192.0.2.1", 200),
        ("::ffff:192.0.2.1", 429),
    ] {
        assert_eq!(get(address).await, status, "{address}");
    }
}

#[tokio::test]
async fn sign_ups_of_one_address_are_limited_and_others_are_not() {
    let host = host("routes = { \"POST /api/users/signup\" = \"2/h\" }").await;
    let sign_up = async |address: &str, name: &str| {
        let body = json!({ "email": format!("{name}@example.com"), "password": "correct horse" });
        from(&host.visitor(), address).post("/api/users/signup", body).await
    };
    assert_eq!(sign_up("203.0.113.1", "a").await.status, 201);
    assert_eq!(sign_up("203.0.113.1", "b").await.status, 201);
    is_limited(&sign_up("203.0.113.1", "c").await, "\"endpoint\";q=2;w=3600", 1_800);
    assert_eq!(sign_up("203.0.113.2", "c").await.status, 201);
    let elsewhere = from(&host.visitor(), "203.0.113.1");
    assert_eq!(elsewhere.get("/api/tickets").await.status, 200);
}

#[tokio::test]
async fn the_manifest_of_a_plugin_limits_its_endpoints() {
    let host = host("").await;
    let one = from(&host.visitor(), "203.0.113.1");
    let reply = one.post("/api/users/signup", json!({})).await;
    assert_eq!((reply.status, reply.header("ratelimit-policy")), (400, Some("\"endpoint\";q=30;w=3600")));
    let limit = reply.header("ratelimit").unwrap();
    assert!(limit.starts_with("\"endpoint\";r=29;t="), "{limit}");
}

#[tokio::test]
async fn an_account_has_one_limit_for_its_changes_from_all_addresses() {
    let host = host("account = \"2/h\"").await;
    let anna = host.user("anna").await;
    let sell = async |address: &str| from(&anna, address).try_sell("Row 1", 10.0).await;
    assert_eq!(sell("203.0.113.1").await.status, 201);
    assert_eq!(sell("203.0.113.2").await.status, 201);
    is_limited(&sell("203.0.113.3").await, "\"account\";q=2;w=3600", 1_800);
    assert_eq!(from(&anna, "203.0.113.3").get("/api/tickets?seller=me").await.status, 200);
    let berta = host.user("berta").await;
    assert_eq!(from(&berta, "203.0.113.3").try_sell("Row 2", 10.0).await.status, 201);
}

#[tokio::test]
async fn changes_have_a_lower_limit_than_other_requests() {
    let host = host("changes = \"2/h\"").await;
    let one = from(&host.visitor(), "203.0.113.1");
    for _ in 0..2 {
        assert_eq!(one.send(Method::DELETE, "/api/orders/1", None).await.status, 401);
    }
    is_limited(&one.send(Method::PUT, "/api/tickets/1", None).await, "\"changes\";q=2;w=3600", 1_800);
    assert_eq!(one.get("/api/tickets").await.status, 200);
}

#[tokio::test]
async fn an_answer_that_caches_share_tells_nobodys_limit() {
    let host = host("").await;
    let reply = host.visitor().get("/robots.txt").await;
    assert!(reply.header("cache-control").unwrap().contains("public"), "{reply:?}");
    assert_eq!(reply.header("ratelimit"), None);
}

#[tokio::test]
async fn limits_can_be_switched_off() {
    let setup = Setup::new().toml("[rate_limits]\naddress = \"1/h\"\n").variable("TICKETING_RATE_LIMITS", "off");
    let host = setup.start().await;
    for _ in 0..3 {
        let reply = host.visitor().get("/api/tickets").await;
        assert_eq!((reply.status, reply.header("ratelimit")), (200, None));
    }
}

#[tokio::test]
async fn the_host_warns_of_a_rate_for_an_endpoint_that_no_plugin_has() {
    let known = ["POST /api/users/signup", "GET /api/tickets/{id}"];
    let unknown = ["GET /api/tickets/{name}", "HEAD /api/tickets", "PATCH /api/tickets", "GET /no/such/path"];
    let rates: Vec<String> = known.iter().chain(&unknown).map(|name| format!("\"{name}\" = \"2/h\"")).collect();
    let host = host(&format!("routes = {{ {} }}", rates.join(", "))).await;
    let warnings = async || {
        let log = host.log();
        log.lines().filter(|line| line.contains("that no plugin has")).map(str::to_owned).collect::<Vec<_>>()
    };
    // The log is written beside the start.
    let all = |warnings: &Vec<String>| warnings.len() >= unknown.len();
    let warnings = eventually("all warnings are in the log", warnings, all).await;
    let named = |name: &&str| warnings.iter().filter(|line| line.contains(*name)).count();
    assert!(known.iter().all(|name| named(name) == 0), "{warnings:?}");
    assert!(unknown.iter().all(|name| named(name) == 1), "{warnings:?}");
}
