//! A key has one meaning on all hosts.

use super::three;
use futures::future::join_all;
use serde_json::json;

#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn a_key_makes_one_thing_on_whichever_hosts_it_arrives() {
    let hosts = three().await;
    let seller = hosts[0].user("seller").await;
    for round in 0..6 {
        let (key, title) = (format!("k-{round}"), format!("ticket-{round}"));
        let body = json!({ "title": title, "price": 12.5 });
        let clients: Vec<_> = hosts.iter().map(|host| host.again(&seller).keyed(&key)).collect();
        let replies = join_all((0..51).map(|number| clients[number % 3].post("/api/tickets", body.clone()))).await;
        let made: Vec<_> = replies.iter().filter(|reply| reply.status == 201).map(|reply| reply.id()).collect();
        assert!(!made.is_empty() && made.iter().all(|id| *id == made[0]), "{replies:?}");
        assert!(replies.iter().all(|reply| [201, 409].contains(&reply.status)), "{replies:?}");
        for client in &clients {
            let reply = client.post("/api/tickets", body.clone()).await;
            assert_eq!((reply.status, reply.header("idempotent-replayed")), (201, Some("true")), "{reply:?}");
            let other = client.post("/api/tickets", json!({ "title": "other", "price": 1 })).await;
            assert_eq!(other.status, 422, "{other:?}");
        }
    }
    let found = hosts[1].visitor().get("/api/tickets?limit=100").await.json();
    assert_eq!(found.as_array().unwrap().len(), 6);
}
