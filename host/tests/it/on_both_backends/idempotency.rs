//! Requests with an `Idempotency-Key`: a repetition gets the stored answer and
//! makes nothing a second time, whatever happens between the two.

use crate::{
    hostile::hostile,
    support::{Client, Host, PASSWORD, PluginFile, Reply, Setup, Status, edit_database, eventually, guest, unique},
};
use futures::future::join_all;
use http::Method;
use rand::RngExt;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};
use std::time::Duration;

impl Client {
    pub(crate) fn keyed(&self, key: &str) -> Self {
        self.with_header("idempotency-key", key)
    }
}

fn is_repetition(reply: &Reply) -> bool {
    reply.header("idempotent-replayed") == Some("true")
}

#[track_caller]
fn repeats(repetition: &Reply, first: &Reply) {
    assert!(!is_repetition(first) && is_repetition(repetition), "{first:?} {repetition:?}");
    assert_eq!((repetition.status, &repetition.text), (first.status, &first.text));
    for header in ["content-type", "etag", "location", "cache-control"] {
        assert_eq!(repetition.header(header), first.header(header), "{header}");
    }
}

/// The titles of all tickets that are for sale.
pub(crate) async fn titles(host: &Host) -> Vec<String> {
    let reply = host.visitor().get("/api/tickets?limit=100").await;
    reply.json().as_array().unwrap().iter().map(|ticket| ticket["title"].as_str().unwrap().to_owned()).collect()
}

fn ticket(title: &str) -> Value {
    json!({ "title": title, "price": 12.5 })
}

#[tokio::test]
async fn a_repetition_gets_the_stored_answer_on_every_route_that_makes_something() {
    let host = Setup::new().start().await;
    let seller = host.user("seller").await;
    let buyer = host.user("buyer").await;
    let first = seller.keyed("\"t-1\"").post("/api/tickets", ticket("x")).await;
    assert_eq!(first.status, 201, "{first:?}");
    // The bare text is the same key as the string of the draft.
    repeats(&seller.keyed("t-1").post("/api/tickets", ticket("x")).await, &first);
    assert_eq!(titles(&host).await, ["x"]);

    seller.wait_until_known_to_orders(&first.id()).await;
    let order = json!({ "ticketId": first.id() });
    let ordered = buyer.keyed("o-1").post("/api/orders", order.clone()).await;
    assert_eq!(ordered.status, 201, "{ordered:?}");
    repeats(&buyer.keyed("o-1").post("/api/orders", order).await, &ordered);

    let payment = json!({ "orderId": ordered.id(), "token": "tok_visa" });
    let paid = buyer.keyed("p-1").post("/api/payments", payment.clone()).await;
    assert_eq!(paid.status, 201, "{paid:?}");
    repeats(&buyer.keyed("p-1").post("/api/payments", payment).await, &paid);
    host.settles().await;
    host.payment_ledger().await.takes(&ordered.id(), 1_250).await;

    // A refusal is an answer too, and a new key asks anew.
    let refused = seller.keyed("t-2").post("/api/tickets", ticket("")).await;
    repeats(&seller.keyed("t-2").post("/api/tickets", ticket("")).await, &refused);
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn a_repeated_sign_up_says_that_the_account_exists_and_gives_no_session() {
    let host = Setup::new().start().await;
    let visitor = host.visitor().keyed("s-1");
    let account = json!({ "email": unique("anna"), "password": PASSWORD });
    let first = visitor.post("/api/users/signup", account.clone()).await;
    assert_eq!(first.status, 201, "{first:?}");
    assert!(first.header("set-cookie").is_some());
    let again = visitor.post("/api/users/signup", account.clone()).await;
    repeats(&again, &first);
    assert_eq!(again.header("set-cookie"), None);
    // Without the password, the key is worth nothing.
    let guessed = json!({ "email": account["email"], "password": "another password" });
    let refused = visitor.post("/api/users/signup", guessed).await;
    refused.refuses(422, "This Idempotency-Key belongs to another request");
}

#[tokio::test]
async fn a_key_belongs_to_one_request_of_one_visitor_on_one_route() {
    let host = Setup::new().start().await;
    let (anna, ben) = (host.user("anna").await, host.user("ben").await);
    let first = anna.keyed("k").post("/api/tickets", ticket("of anna")).await;
    for body in [ticket("other"), ticket("of anna "), json!({}), json!({ "title": "of anna", "price": 12.6 })] {
        let refused = anna.keyed("k").post("/api/tickets", body).await;
        refused.refuses(422, "This Idempotency-Key belongs to another request");
    }
    let refused = anna.keyed("k").post("/api/tickets?x=1", ticket("of anna")).await;
    refused.refuses(422, "This Idempotency-Key belongs to another request");
    // Another visitor learns nothing of the key.
    let other = ben.keyed("k").post("/api/tickets", ticket("of anna")).await;
    assert!(other.status == 201 && !is_repetition(&other) && other.id() != first.id(), "{other:?}");
    let nobody = host.visitor().keyed("k").post("/api/tickets", ticket("of anna")).await;
    nobody.refuses(401, "Not authorized");
    // Other routes and methods have keys of their own, or none.
    let order = anna.keyed("k").post("/api/orders", json!({ "ticketId": first.id() })).await;
    assert!(!is_repetition(&order) && order.status != 422, "{order:?}");
    let path = format!("/api/tickets/{}", first.id());
    for price in ["13.00", "14.00"] {
        assert_eq!(anna.keyed("k").put(&path, json!({ "title": "x", "price": price })).await.status, 200);
    }
    let signed_in = json!({ "email": anna.email, "password": PASSWORD });
    for _ in 0..2 {
        let reply = host.visitor().keyed("k").post("/api/users/signin", signed_in.clone()).await;
        assert!(reply.status == 200 && !is_repetition(&reply) && reply.header("set-cookie").is_some(), "{reply:?}");
    }
}

#[tokio::test]
async fn a_malformed_key_is_refused_and_makes_nothing() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    let long = "k".repeat(256);
    for key in ["", "\"\"", &long, "a b", "\"open", "a, b", "\"a\"b"] {
        let reply = anna.keyed(key).post("/api/tickets", ticket("x")).await;
        assert_eq!(reply.status, 400, "{key:?}: {reply:?}");
        assert!(reply.errors()[0].0.starts_with("Idempotency-Key must be"), "{reply:?}");
    }
    let twice = anna.keyed("a").keyed("a").post("/api/tickets", ticket("x")).await;
    assert_eq!(twice.status, 400, "{twice:?}");
    assert!(titles(&host).await.is_empty());
    assert_eq!(anna.keyed(&"k".repeat(255)).post("/api/tickets", ticket("x")).await.status, 201);
}

#[tokio::test]
async fn of_fifty_requests_with_one_key_at_once_one_makes_something() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    for round in 0..4 {
        let (key, title) = (format!("k-{round}"), format!("ticket {round}"));
        let client = anna.keyed(&key);
        let replies = join_all((0..50).map(|_| client.post("/api/tickets", ticket(&title)))).await;
        let first: Vec<_> = replies.iter().filter(|reply| reply.status == 201 && !is_repetition(reply)).collect();
        assert_eq!(first.len(), 1, "{replies:?}");
        for reply in &replies {
            match reply.status {
                201 => assert_eq!(reply.id(), first[0].id()),
                _ => {
                    reply.refuses(409, "A request with this Idempotency-Key still runs, try again");
                    assert_eq!(reply.header("retry-after"), Some("1"));
                }
            }
        }
    }
    assert_eq!(titles(&host).await.len(), 4);
}

/// The control: without a key, a client that repeats a request makes two tickets.
#[tokio::test]
async fn without_a_key_a_repetition_makes_a_second_thing() {
    let host = Setup::new().start().await;
    let anna = host.user("anna").await;
    for _ in 0..2 {
        assert_eq!(anna.post("/api/tickets", ticket("x")).await.status, 201);
    }
    assert_eq!(titles(&host).await, ["x", "x"]);
}

/// Of each round, the client repeats the request that a killed host did not
/// answer, until it gets an answer.
#[tokio::test]
async fn a_repetition_after_a_crash_at_any_moment_makes_nothing_twice() {
    let mut host = Setup::new().start().await;
    let sellers = host.users("seller", 3).await;
    let (mut stored, mut anew, mut lost) = (0, 0, 0);
    for round in 0..10 {
        let requests = sellers.iter().enumerate().flat_map(|(number, seller)| {
            let seller = host.again(seller);
            (0..20).map(move |count| (seller.clone(), format!("r{round}s{number}t{count}x")))
        });
        let requests: Vec<_> = requests.collect();
        let sent: Vec<_> = requests
            .iter()
            .map(|(seller, name)| {
                let (client, body) = (seller.keyed(name), ticket(name));
                tokio::spawn(async move { client.attempt(Method::POST, "/api/tickets", Some(body)).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(rand::rng().random_range(2..120))).await;
        host.kill().await;
        let first: Vec<_> = join_all(sent).await.into_iter().map(Result::unwrap).collect();
        host.start_again().await;
        for ((seller, name), first) in requests.iter().zip(first) {
            let reply = host.again(seller).keyed(name).post("/api/tickets", ticket(name)).await;
            let found = count_of(&host, name).await;
            assert_eq!(found, 1, "{name}: {first:?} {reply:?}");
            match (first, reply.status) {
                (Some(first), _) if first.status == 201 => repeats(&reply, &first),
                (_, 201) if is_repetition(&reply) => stored += 1,
                (_, 201) => anew += 1,
                // The host was killed between the commit and the answer.
                (_, 409) => lost += 1,
                _ => panic!("{reply:?}"),
            }
        }
    }
    println!("{stored} answers were stored, {anew} requests ran anew, {lost} answers were lost");
    assert!(anew > 0, "every request was answered before the host was killed");
}

async fn count_of(host: &Host, title: &str) -> usize {
    let found = host.visitor().get(&format!("/api/tickets?q={title}")).await;
    let same = |ticket: &&Value| ticket["title"] == title;
    found.json().as_array().unwrap().iter().filter(same).count()
}

async fn times(host: &Host, id: &str) -> i64 {
    host.visitor().get(&format!("/hostile/applied/{id}")).await.json()["times"].as_i64().unwrap()
}

#[tokio::test]
async fn a_call_that_fails_after_a_change_is_not_repeated() {
    let host = hostile().start().await;
    let lost = "The request with this Idempotency-Key was interrupted after it changed something. \
                Look at the result before you use a new key";
    for (end, status) in [("trap", 500), ("loop", 504), ("error", 500), ("busy", 503), ("invalid", 500), ("large", 200)]
    {
        let (client, path) = (host.visitor().keyed(end), format!("/hostile/half?id={end}&end={end}"));
        assert_eq!(client.post(&path, json!({})).await.status, status, "{end}");
        client.post(&path, json!({})).await.refuses(409, lost);
        assert_eq!(times(&host, end).await, 1, "{end}");
    }
    // The component says that it can apply the request again.
    let client = host.visitor().keyed("repeatable");
    for count in 1..=2 {
        let reply = client.post("/hostile/half?id=r&end=repeatable", json!({})).await;
        assert_eq!((reply.status, reply.header("x-repeatable"), times(&host, "r").await), (503, None, count));
    }
    // A failure before any change leaves no key behind.
    for _ in 0..2 {
        let reply = host.visitor().keyed("before").post("/hostile/half?end=before", json!({})).await;
        assert_eq!((reply.status, is_repetition(&reply)), (500, false));
    }
    let client = host.visitor().keyed("well");
    let first = client.post("/hostile/half?id=well", json!({})).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (204, None));
    repeats(&client.post("/hostile/half?id=well", json!({})).await, &first);
}

/// A payment can always be repeated, because an order has one attempt at a time.
#[tokio::test]
async fn a_payment_with_an_unknown_outcome_is_repeated_with_its_key_and_charged_once() {
    let host = Setup::new().start().await;
    let (seller, buyer) = (host.user("seller").await, host.user("buyer").await);
    let offered = seller.sell("x", 10.0).await;
    let order = buyer.reserve(&offered.id).await;
    let buyer = buyer.keyed("p");
    let pay = async || buyer.try_pay(&order.id, "tok_simulate_timeout_after_charge").await;
    let unknown = pay().await;
    assert_eq!(unknown.status, 503, "{unknown:?}");
    let done = eventually("the repetition is answered", pay, |reply| reply.status != 503).await;
    // The recovery may have been faster. Then the order is paid already.
    assert!([201, 400].contains(&done.status), "{done:?}");
    buyer.order_becomes(&order.id, Status::Complete).await;
    host.payment_ledger().await.takes(&order.id, 1_000).await;
}

/// A client that gives up and repeats its request is the usual case.
#[tokio::test]
async fn a_request_whose_client_went_away_has_its_answer_for_the_repetition() {
    let host = Setup::new().start().await;
    let mut stored = 0;
    for number in 0..12 {
        let client = host.visitor().keyed(&format!("k-{number}"));
        let account = json!({ "email": unique("anna"), "password": PASSWORD });
        let request = client.request(Method::POST, "/api/users/signup").json(&account);
        // The password takes longer to hash.
        drop(tokio::time::timeout(Duration::from_millis(number * 3), request.send()).await);
        let reply = loop {
            let reply = client.post("/api/users/signup", account.clone()).await;
            if reply.status != 409 {
                break reply;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert_eq!(reply.status, 201, "{reply:?}");
        stored += usize::from(is_repetition(&reply));
    }
    assert!(stored > 0, "no request reached the host before its client went away");
}

#[tokio::test]
async fn a_visitor_who_fills_the_table_is_limited_and_nobody_else_is() {
    let host = Setup::new().start().await;
    let (mallory, anna) = (host.user("mallory").await, host.user("anna").await);
    for batch in 0..50 {
        let requests = (0..20).map(|number| {
            let client = mallory.keyed(&format!("k-{batch}-{number}"));
            async move { client.post("/api/tickets", json!({})).await.status }
        });
        assert!(join_all(requests).await.iter().all(|status| *status == 400));
    }
    let refused = mallory.keyed("one-more").post("/api/tickets", ticket("x")).await;
    refused.refuses(429, "Too many requests with an Idempotency-Key in a day");
    assert_eq!(refused.header("retry-after"), Some("3600"));
    assert_eq!(mallory.post("/api/tickets", ticket("without a key")).await.status, 201);
    assert_eq!(mallory.keyed("k-0-0").post("/api/tickets", json!({})).await.status, 400);
    assert_eq!(anna.keyed("one-more").post("/api/tickets", ticket("of anna")).await.status, 201);
}

#[tokio::test]
async fn an_answer_is_kept_for_a_day_and_then_deleted() {
    let mut host = Setup::new().start().await;
    let anna = host.user("anna").await;
    for hours in [23, 25] {
        let (key, title) = (format!("k-{hours}"), format!("after-{hours}"));
        let first = host.again(&anna).keyed(&key).post("/api/tickets", ticket(&title)).await;
        host.stop().await;
        edit_database(&host.setup, "components/tickets.db", async |database| {
            let statement = format!("UPDATE host_requests SET at_ms = at_ms - {hours} * 3600000");
            database.execute(AssertSqlSafe(statement)).await.unwrap();
        })
        .await;
        host.start_again().await;
        let reply = host.again(&anna).keyed(&key).post("/api/tickets", ticket(&title)).await;
        assert_eq!((first.status, reply.status, is_repetition(&reply)), (201, 201, hours == 23), "{reply:?}");
        assert_eq!(count_of(&host, &title).await, if hours == 23 { 1 } else { 2 });
    }
    let database = host.database("components/tickets.db").await;
    let kept = async || database.number("SELECT count(*) FROM host_requests").await;
    eventually("the old answers are deleted", kept, |kept| *kept == 1).await;
}

#[tokio::test]
async fn a_wasi_http_component_has_no_idempotent_routes() {
    let host = Setup::new().start().await;
    let methods = "methods = [\"GET\", \"POST\"]";
    let file = PluginFile::read(&guest("streaming")).with(methods, &format!("{methods}\nidempotent = true"));
    let refused = host.operator().upload(file.bytes()).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.text.contains("idempotent routes"), "{refused:?}");
}
