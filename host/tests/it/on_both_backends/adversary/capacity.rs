//! A plugin with high limits wants all turns of the host.

use crate::support::{Setup, guest};
use futures::future::join_all;
use serde_json::json;

#[tokio::test]
async fn a_plugin_with_many_calls_leaves_turns_of_the_host_to_others() {
    let host = Setup::new().http("max_in_flight_requests = 8").start().await;
    let operator = host.operator();
    let limits = json!({ "concurrency": 1_000, "queue": 10_000, "wall_time_ms": 60_000 });
    operator.allow("hostile", json!({ "grants": ["store"], "limits": limits.clone() })).await;
    operator.deploy("hostile", std::fs::read(guest("hostile")).unwrap()).await;
    assert_eq!(operator.put("/plugins/hostile/limits", limits).await.status, 200);
    let (attacker, visitor) = (host.visitor(), host.visitor());
    let attack = join_all((0..60).map(|_| attacker.get("/hostile/slow?ms=3000")));
    let buyers = async {
        for _ in 0..20 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            let reply = visitor.get("/api/tickets").await;
            assert_eq!(reply.status, 200, "{reply:?}");
        }
    };
    tokio::select! {
        _ = attack => panic!("the attack should last longer than the buyers"),
        () = buyers => {}
    }
}
