//! Accounts: signing up and signing in, with their refusals.

use crate::support::{PASSWORD, Setup, unique};
use http::Method;
use serde_json::json;
use std::time::{Duration, Instant};

const SIGN_UP: &str = "/api/users/signup";
const SIGN_IN: &str = "/api/users/signin";

#[tokio::test]
async fn signing_up_makes_an_account_and_a_session() {
    let host = Setup::new().start().await;
    let mut visitor = host.visitor();
    let reply = visitor.sign_up("Anna@Example.com").await;
    let mut keys: Vec<_> = reply.json().as_object().unwrap().keys().cloned().collect();
    keys.sort();
    assert_eq!(keys, ["email", "id"]);
    let user = visitor.current_user().await;
    assert_eq!(user, reply.json());
}

#[tokio::test]
async fn signing_in_gives_a_new_session_of_the_same_account() {
    let host = Setup::new().start().await;
    let first = host.user("anna").await;
    let mut second = host.visitor();
    let reply = second.sign_in(&first.email).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.id(), first.id);
    assert_ne!(first.cookie, second.cookie);
    assert_eq!(second.current_user().await, first.current_user().await);
}

#[tokio::test]
async fn all_faults_of_a_sign_up_are_reported_at_once() {
    let host = Setup::new().start().await;
    let visitor = host.visitor();
    visitor.post(SIGN_UP, json!({})).await.blames(&["email", "password"]);
    visitor.post(SIGN_UP, json!({ "email": "anna", "password": "short" })).await.blames(&["email", "password"]);
    visitor.post(SIGN_UP, json!({ "email": 1, "password": ["x"] })).await.blames(&["email", "password"]);
    visitor.post(SIGN_UP, json!({ "email": "anna@example.com", "password": null })).await.blames(&["password"]);
    visitor.post(SIGN_UP, json!({ "email": "", "password": PASSWORD })).await.blames(&["email"]);
}

#[tokio::test]
async fn a_password_has_8_to_128_characters_of_any_kind() {
    let host = Setup::new().start().await;
    let visitor = host.visitor();
    for refused in ["1234567".to_owned(), "x".repeat(129), "äöüßéàè".to_owned()] {
        let body = json!({ "email": unique("p"), "password": refused });
        visitor.post(SIGN_UP, body).await.blames(&["password"]);
    }
    for accepted in ["12345678".to_owned(), "x".repeat(128), "ä".repeat(128), "        ".to_owned(), "🎫".repeat(8)]
    {
        let body = json!({ "email": unique("p"), "password": accepted });
        assert_eq!(visitor.post(SIGN_UP, body.clone()).await.status, 201, "{accepted}");
        assert_eq!(visitor.post(SIGN_IN, body).await.status, 200, "{accepted}");
    }
}

#[tokio::test]
async fn an_email_is_taken_whatever_its_case() {
    let host = Setup::new().start().await;
    let mut visitor = host.visitor();
    visitor.sign_up("anna@example.com").await;
    for email in ["anna@example.com", "ANNA@example.com", "Anna@Example.COM"] {
        let reply = host.visitor().post(SIGN_UP, json!({ "email": email, "password": PASSWORD })).await;
        assert_eq!(reply.status, 400, "{reply:?}");
        assert_eq!(reply.errors()[0].0, "Email in use");
        assert_eq!(reply.header("set-cookie"), None);
    }
    let mut again = host.visitor();
    again.sign_in("aNNa@example.com").await;
    assert_eq!(again.id, visitor.id);
}

#[tokio::test]
async fn of_many_sign_ups_at_once_with_one_email_one_wins() {
    let host = Setup::new().start().await;
    let attempts = (0..20).map(|number| {
        let visitor = host.visitor();
        let email = if number % 2 == 0 { "race@example.com" } else { "RACE@example.com" };
        async move { visitor.post(SIGN_UP, json!({ "email": email, "password": PASSWORD })).await }
    });
    let replies = futures::future::join_all(attempts).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1);
    for reply in replies.iter().filter(|reply| reply.status != 201) {
        assert_eq!(reply.status, 400, "{reply:?}");
        assert_eq!(reply.errors()[0].0, "Email in use");
    }
}

#[tokio::test]
async fn an_unknown_user_and_a_wrong_password_get_the_same_answer() {
    let host = Setup::new().start().await;
    let user = host.user("anna").await;
    let wrong = json!({ "email": user.email, "password": "not her password" });
    let unknown = json!({ "email": "nobody@example.com", "password": "not her password" });
    let (wrong, unknown) = (host.visitor().post(SIGN_IN, wrong).await, host.visitor().post(SIGN_IN, unknown).await);
    wrong.refuses(400, "Invalid credentials");
    unknown.refuses(400, "Invalid credentials");
    assert_eq!(wrong.text, unknown.text);
    assert_eq!((wrong.header("set-cookie"), unknown.header("set-cookie")), (None, None));
}

/// The test uses real hashing, takes turns, and compares the shortest times: a
/// busy machine makes some requests slow, and none fast.
#[tokio::test]
async fn an_unknown_user_and_a_wrong_password_take_the_same_time() {
    let host = Setup::new().identity("argon2_memory_kib = 19456\nargon2_iterations = 2\n").start().await;
    let user = host.user("anna").await;
    let visitor = host.visitor();
    let mut best = [Duration::MAX; 2];
    for _ in 0..9 {
        for (best, email) in best.iter_mut().zip([user.email.as_str(), "nobody@example.com"]) {
            let body = json!({ "email": email, "password": "not her password" });
            let begun = Instant::now();
            assert_eq!(visitor.post(SIGN_IN, body).await.status, 400);
            *best = begun.elapsed().min(*best);
        }
    }
    let [known, unknown] = best;
    assert!(unknown * 2 > known && known * 2 > unknown, "known {known:?}, unknown {unknown:?}");
}

#[tokio::test]
async fn a_sign_in_that_lacks_something_is_refused() {
    let host = Setup::new().start().await;
    let visitor = host.visitor();
    visitor.post(SIGN_IN, json!({})).await.blames(&["email", "password"]);
    visitor.post(SIGN_IN, json!({ "email": "anna@example.com" })).await.blames(&["password"]);
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused() {
    let host = Setup::new().start().await;
    for body in ["{", "[]", "\"x\"", "{\"email\":}", "nonsense", "\u{0}"] {
        for path in [SIGN_UP, SIGN_IN] {
            let reply = host.visitor().raw(Method::POST, path, body).await;
            assert_eq!(reply.status, 400, "{body}: {reply:?}");
            assert_eq!(reply.errors().len(), 1);
        }
    }
    let reply = host.visitor().raw(Method::POST, SIGN_UP, vec![0xff, 0xfe, b'{', b'}']).await;
    assert_eq!(reply.status, 400);
}
