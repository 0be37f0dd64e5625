//! Servers that are not there yet when a host starts.

use super::{
    free_port,
    signals::{Starting, silent_server},
};
use crate::support::{Bus, LinkState, Proxy, Setup, eventually, postgres};
use std::time::Duration;

#[tokio::test]
async fn a_host_says_what_it_waits_for_in_growing_pauses_and_to_its_watchers() {
    let (database, operators) = (free_port(), free_port());
    let url = format!("postgres://someone:hidden@127.0.0.1:{database}/shop");
    let setup = Setup::without_components().in_database(&url).admin_listen(&format!("127.0.0.1:{operators}"));
    let host = Starting::begin(&setup);
    let get = async |path: &str| {
        let reply = reqwest::get(format!("http://127.0.0.1:{operators}{path}")).await.ok()?;
        Some((reply.status().as_u16(), reply.text().await.ok()?))
    };
    host.says("waiting for the database at 127.0.0.1").await;
    let (status, text) = get("/readyz").await.unwrap();
    assert_eq!(status, 503);
    assert!(text.contains(&format!("waits for the database at 127.0.0.1:{database}")), "{text}");
    assert_eq!(get("/healthz").await.unwrap().0, 200);
    assert_eq!(get("/plugins").await.unwrap().0, 503);
    let lines = async || host.log().lines().filter(|line| line.contains("waiting for the database")).count();
    eventually("the line comes again", lines, |count| *count >= 3).await;
    let text = host.log();
    assert!(text.contains("Connection refused") && !text.contains("hidden"), "{text}");
    assert_eq!(host.end("-TERM").await.0.code(), Some(0));
}

#[tokio::test]
async fn a_broker_that_never_answers_is_named_and_holds_up_nobody() {
    let port = silent_server().await;
    let setup = Setup::without_components().bus(Bus::jetstream(&format!("nats://me:hidden@127.0.0.1:{port}")));
    let host = Starting::begin(&setup);
    host.says(&format!("waiting for NATS at 127.0.0.1:{port}")).await;
    assert!(!host.log().contains("hidden"), "{}", host.log());
    let (status, took) = host.end("-TERM").await;
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(3), "{took:?}");
    let host = setup.start().await;
    let reply = host.outsider().get("/readyz").await;
    assert_eq!(reply.status, 503, "{reply:?}");
}

async fn serves(operators: u16) {
    let ready = async || {
        let reply = reqwest::get(format!("http://127.0.0.1:{operators}/readyz")).await;
        reply.is_ok_and(|reply| reply.status() == 200)
    };
    eventually("the host serves", ready, |ready| *ready).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_host_waits_for_a_server_that_only_reads() {
    let url = postgres::new_database().await;
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap();
    let mut owner = postgres::connect(&url).await.unwrap();
    let mut set = async |value: &str| {
        let sql = format!("ALTER DATABASE \"{name}\" SET default_transaction_read_only = {value}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut owner).await.unwrap();
    };
    set("on").await;
    let operators = free_port();
    let setup = Setup::without_components().in_database(&url).bus(Bus::Embedded);
    let host = Starting::begin(&setup.admin_listen(&format!("127.0.0.1:{operators}")));
    host.says("the server only reads").await;
    set("off").await;
    serves(operators).await;
    assert_eq!(host.end("-TERM").await.0.code(), Some(0));
}

#[tokio::test]
#[ignore = "needs PostgreSQL"]
async fn a_host_starts_when_its_database_comes() {
    let url = postgres::new_database().await;
    let port: u16 = url.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap();
    let proxy = Proxy::before(port).await;
    for away in [LinkState::Down, LinkState::BlackHole] {
        proxy.set(away);
        let through = url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port()));
        let operators = free_port();
        let setup = Setup::without_components().in_database(&through).bus(Bus::Embedded);
        let setup = setup.admin_listen(&format!("127.0.0.1:{operators}"));
        let host = Starting::begin(&setup);
        host.says(&format!("waiting for the database at 127.0.0.1:{}", proxy.port())).await;
        proxy.set(LinkState::Up);
        serves(operators).await;
        assert_eq!(host.end("-TERM").await.0.code(), Some(0));
    }
}
