//! Many calls that each take as much memory as they may.

use super::{connections::attacked_within, good_setup};
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
        // Each call has begun to compute.
        tokio::time::sleep(std::time::Duration::from_millis(1_000)).await;
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
