//! Many calls that each take as much memory as they may.

use super::{connections::attacked_within, good_setup, with_module};
use crate::support::{PluginFile, eventually, guest};
use futures::future::join_all;
use serde_json::json;

/// Each call holds 40 MiB for a while, and 16 of them run at the same time.
const HOLDING: &str = "/hostile/slow?ms=1500&mib=40";
const CALLS: usize = 16;

fn limits() -> serde_json::Value {
    json!({ "concurrency": CALLS, "queue": CALLS, "memory_mib": 64, "wall_time_ms": 20_000 })
}

#[tokio::test]
async fn the_calls_of_a_plugin_share_its_memory_and_the_rest_is_refused() {
    let host = attacked_within(good_setup().engine("plugin_memory_mib = 128\n"), limits()).await;
    let visitor = host.visitor();
    let before = host.resident_mib().await;
    let calls = join_all((0..CALLS).map(|_| visitor.get(HOLDING)));
    let watch = async {
        let refused = async || host.failures("hostile", "memory").await;
        eventually("the memory is used up", refused, |count| *count > 0).await;
        visitor.says_hello().await;
        host.resident_mib().await - before
    };
    let (replies, held) = tokio::join!(calls, watch);
    let refused = replies.iter().filter(|reply| reply.status == 503).count();
    let answered = replies.iter().filter(|reply| reply.status == 204).count();
    assert_eq!(refused + answered, CALLS, "{replies:?}");
    assert!(refused > 0 && answered > 0, "{replies:?}");
    assert_eq!(host.failures("hostile", "memory").await, refused as u64);
    assert!(held < 300.0, "{held} MiB");
    assert_eq!(visitor.get(HOLDING).await.status, 204, "the memory is free again");
}

#[tokio::test]
async fn without_a_small_budget_all_calls_have_their_memory() {
    let host = attacked_within(good_setup().engine("plugin_memory_mib = 1024\n"), limits()).await;
    let visitor = host.visitor();
    let replies = join_all((0..CALLS).map(|_| visitor.get(HOLDING))).await;
    assert!(replies.iter().all(|reply| reply.status == 204), "{replies:?}");
}

#[tokio::test]
async fn one_call_always_has_the_memory_of_its_limit() {
    let host = attacked_within(good_setup().engine("plugin_memory_mib = 1\n"), limits()).await;
    assert_eq!(host.visitor().get(HOLDING).await.status, 204);
}

#[tokio::test]
async fn a_plugin_that_has_used_up_its_memory_leaves_the_instances_of_others() {
    let host = attacked_within(good_setup().engine("plugin_memory_mib = 64\n"), limits()).await;
    let (visitor, operator) = (host.visitor(), host.operator());
    visitor.says_hello().await;
    let held = async |plugin: &str| operator.plugin(plugin).await["recent"]["memory_bytes"].as_u64().unwrap();
    let before = held("hello").await;
    assert!(before > 0);
    let calls = async {
        eventually("a call holds the memory", async || held("hostile").await, |bytes| *bytes > 50 << 20).await;
        // These need instances of their own.
        join_all((0..CALLS).map(|_| visitor.get("/hostile/slow?ms=300"))).await
    };
    let (holding, replies) = tokio::join!(visitor.get("/hostile/slow?ms=3000&mib=50"), calls);
    assert_eq!(holding.status, 204, "{holding:?}");
    assert!(replies.iter().any(|reply| reply.status == 503), "{replies:?}");
    assert_eq!(held("hello").await, before);
}

#[tokio::test]
async fn a_plugin_is_not_to_blame_when_others_hold_the_memory_that_its_start_needs() {
    let memory = "guest_memory_mib = 128\nmax_memory_mib = 64\n";
    let host = attacked_within(good_setup().engine(memory), limits()).await;
    let (visitor, operator) = (host.visitor(), host.operator());
    let mut late = PluginFile::read(&guest("hello")).with("name = \"hello\"", "name = \"late\"");
    late.manifest = late.manifest.replace("/hello", "/late");
    let late = operator.stage(late.map_component(|code| with_module(code, "(module (memory 480))")).bytes()).await;
    let held = async || operator.plugin("hostile").await["recent"]["memory_bytes"].as_u64().unwrap();
    let hold = || visitor.get("/hostile/slow?ms=3000&mib=50");
    let activate = async {
        eventually("two calls hold the memory", held, |bytes| *bytes > 100 << 20).await;
        operator.activate("late", &late).await
    };
    let (one, two, refused) = tokio::join!(hold(), hold(), activate);
    assert_eq!((one.status, two.status), (204, 204), "{one:?} {two:?}");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert_eq!(operator.activate("late", &late).await.status, 200);
}
