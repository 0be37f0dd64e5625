//! WASI for a component of the platform: all of it is there, it reaches nothing, and
//! its use is bounded.

use crate::support::{Host, PluginFile, Reply, Setup, eventually, guest};
use std::collections::HashSet;

async fn wasi_host() -> Host {
    let host = Setup::without_components().start().await;
    host.operator().deploy("wasi", PluginFile::read(&guest("wasi")).bytes()).await;
    host
}

async fn ask(host: &Host, what: &str) -> Reply {
    host.visitor().get(&format!("/wasi/{what}")).await
}

#[tokio::test]
async fn a_component_has_clocks_and_random_numbers_and_no_surroundings() {
    let host = wasi_host().await;
    assert_eq!(ask(&host, "surroundings").await.text, "[] [] 0");
    let waited: u64 = ask(&host, "clock").await.text.parse().unwrap();
    assert!((50..2_000).contains(&waited), "{waited} ms");
    let numbers = futures::future::join_all((0..16).map(|_| ask(&host, "random"))).await;
    assert!(numbers.iter().all(|reply| reply.text.len() == 32), "{numbers:?}");
    let distinct: HashSet<_> = numbers.iter().map(|reply| &reply.text).collect();
    assert_eq!(distinct.len(), numbers.len());
    let plugin = host.operator().plugin("wasi").await;
    assert_eq!(plugin["failures"], 0, "{plugin}");
}

#[tokio::test]
async fn its_output_is_in_the_log_line_by_line_and_is_bounded() {
    let host = wasi_host().await;
    assert_eq!(ask(&host, "output").await.text, "written");
    let log = host.log();
    let line = log.lines().find(|line| line.contains("a line in")).unwrap();
    assert!(line.contains("two parts") && !line.contains('\x1b'), "{line:?}");
    assert!(log.contains("line 100") && !log.contains("line 1999"), "the flood is cut");
    assert_eq!(ask(&host, "version").await.text, "wasi-one");
}

#[tokio::test]
async fn the_last_words_before_a_trap_are_in_the_log() {
    let host = wasi_host().await;
    for _ in 0..5 {
        assert_eq!(ask(&host, "last-words").await.status, 500);
    }
    let words = async || host.log().matches("the last words").count();
    eventually("all last words are in the log", words, |count| *count == 5).await;
}

#[tokio::test]
async fn a_misuse_of_wasi_ends_its_own_call() {
    let host = wasi_host().await;
    for (what, status, kind) in [
        ("exit", 500, "trap"),
        ("exit-well", 500, "trap"),
        ("much-randomness", 500, "trap"),
        ("calls", 500, "trap"),
        ("handles", 500, "trap"),
        ("sleep", 504, "deadline"),
    ] {
        let before = host.failures("wasi", kind).await;
        let reply = ask(&host, what).await;
        assert_eq!((reply.status, reply.errors().len()), (status, 1), "{what}: {reply:?}");
        assert_eq!(host.failures("wasi", kind).await, before + 1, "{what}");
        assert_eq!(ask(&host, "version").await.text, "wasi-one", "the next call after {what}");
    }
}
