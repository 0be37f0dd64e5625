//! Limits of failed sign-ins, per account and address.

use crate::support::{Client, PASSWORD, Reply, Setup};
use serde_json::json;

async fn sign_in(client: &Client, email: &str, password: &str) -> Reply {
    client.post("/api/users/signin", json!({ "email": email, "password": password })).await
}

fn is_throttled(reply: &Reply) {
    assert_eq!(reply.status, 429, "{reply:?}");
    assert_eq!(reply.errors().len(), 1);
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=900).contains(&seconds), "{seconds}");
    assert_eq!(reply.header("set-cookie"), None);
}

#[tokio::test]
async fn an_account_is_throttled_after_failed_sign_ins_and_others_are_not() {
    let host = Setup::new().more_identity("failed_attempts_per_account = 3\n").start().await;
    let (anna, berta) = (host.user("anna").await, host.user("berta").await);
    let visitor = host.visitor();
    for _ in 0..3 {
        sign_in(&visitor, &anna.email, "wrong password").await.refuses(400, "Invalid credentials");
    }
    is_throttled(&sign_in(&visitor, &anna.email, "wrong password").await);
    is_throttled(&sign_in(&visitor, &anna.email.to_uppercase(), PASSWORD).await);
    assert_eq!(sign_in(&visitor, &berta.email, PASSWORD).await.status, 200);
    assert_eq!(anna.current_user().await["id"], anna.id.as_str(), "an open session stays valid");
}

#[tokio::test]
async fn accounts_that_do_not_exist_are_throttled_alike() {
    let host = Setup::new().more_identity("failed_attempts_per_account = 2\n").start().await;
    let visitor = host.visitor();
    for _ in 0..2 {
        assert_eq!(sign_in(&visitor, "nobody@example.com", "wrong password").await.status, 400);
    }
    is_throttled(&sign_in(&visitor, "nobody@example.com", "wrong password").await);
}

#[tokio::test]
async fn sign_ins_that_succeed_are_not_counted() {
    let host = Setup::new().more_identity("failed_attempts_per_account = 2\n").start().await;
    let anna = host.user("anna").await;
    for _ in 0..8 {
        assert_eq!(sign_in(&host.visitor(), &anna.email, PASSWORD).await.status, 200);
    }
}

#[tokio::test]
async fn an_address_is_throttled_after_failures_on_many_accounts() {
    let limits = "failed_attempts_per_account = 100\nfailed_attempts_per_address = 5\n";
    let host = Setup::new().more_identity(limits).start().await;
    let anna = host.user("anna").await;
    for number in 0..5 {
        let reply = sign_in(&host.visitor(), &format!("nobody{number}@example.com"), "wrong password").await;
        assert_eq!(reply.status, 400);
    }
    is_throttled(&sign_in(&host.visitor(), &anna.email, PASSWORD).await);
}

#[tokio::test]
async fn only_a_trusted_proxy_may_name_the_address_of_a_client() {
    let limits = "failed_attempts_per_account = 100\nfailed_attempts_per_address = 3\n";
    let host = Setup::new().more_identity(limits).http("trusted_proxies = [\"127.0.0.1\"]").start().await;
    let anna = host.user("anna").await;
    let one = host.visitor().with_header("x-forwarded-for", "203.0.113.1");
    let other = host.visitor().with_header("x-forwarded-for", "203.0.113.1, 203.0.113.2");
    for _ in 0..3 {
        assert_eq!(sign_in(&one, "nobody@example.com", "wrong password").await.status, 400);
    }
    is_throttled(&sign_in(&one, &anna.email, PASSWORD).await);
    assert_eq!(sign_in(&other, &anna.email, PASSWORD).await.status, 200);

    let host = Setup::new().more_identity(limits).start().await;
    let anna = host.user("anna").await;
    for number in 0..3 {
        let forger = host.visitor().with_header("x-forwarded-for", &format!("203.0.113.{number}"));
        assert_eq!(sign_in(&forger, "nobody@example.com", "wrong password").await.status, 400);
    }
    let forger = host.visitor().with_header("x-forwarded-for", "203.0.113.99");
    is_throttled(&sign_in(&forger, &anna.email, PASSWORD).await);
}

#[tokio::test]
async fn failures_elsewhere_do_not_lock_the_owner_out() {
    let proxy = "trusted_proxies = [\"127.0.0.1\"]";
    let host = Setup::new().more_identity("failed_attempts_per_account = 3\n").http(proxy).start().await;
    let anna = host.user("anna").await;
    let from = |address: &str| host.visitor().with_header("x-forwarded-for", address);
    // Twelve attackers are more than a limit on the account itself would allow.
    for attacker in 1..=12 {
        let attacker = from(&format!("203.0.113.{attacker}"));
        while sign_in(&attacker, &anna.email, "wrong password").await.status == 400 {}
        is_throttled(&sign_in(&attacker, &anna.email, PASSWORD).await);
    }
    assert_eq!(sign_in(&from("198.51.100.7"), &anna.email, PASSWORD).await.status, 200);
}

#[tokio::test]
async fn throttling_ends_when_its_time_is_over() {
    let limits = "failed_attempts_per_account = 1\nfailed_attempts_window_seconds = 1\n";
    let host = Setup::new().more_identity(limits).start().await;
    let anna = host.user("anna").await;
    assert_eq!(sign_in(&host.visitor(), &anna.email, "wrong password").await.status, 400);
    let retry = async || sign_in(&host.visitor(), &anna.email, PASSWORD).await.status;
    crate::support::eventually("the throttling ends", retry, |status| *status == 200).await;
}
