//! The hosts of a cluster tell each other what busy visitors use.

use super::{joined, named};
use crate::support::{NatsServer, Setup, eventually, postgres};

#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn a_visitor_who_has_used_the_limit_of_one_host_is_soon_refused_by_all() {
    let setup = joined(Setup::new(), &postgres::new_database().await, &NatsServer::shared().url())
        .http("trusted_proxies = [\"127.0.0.1\"]")
        .variable("TICKETING_RATE_LIMITS", "on")
        .toml("[rate_limits]\naddress = \"400/h\"\n");
    let hosts = Setup::start_all(named(&setup)).await;
    let from = |host: usize, address: &str| hosts[host].visitor().with_header("x-forwarded-for", address);
    let greedy = from(0, "203.0.113.1");
    while greedy.get("/nothing").await.status != 429 {}
    for host in [1, 2] {
        let elsewhere = from(host, "203.0.113.1");
        let mut admitted = 0;
        eventually(
            "the other host refuses the visitor",
            async || {
                let status = elsewhere.get("/nothing").await.status;
                admitted += u32::from(status != 429);
                status
            },
            |status| *status == 429,
        )
        .await;
        // Without a word from the first host, it would have admitted 400.
        assert!(admitted < 300, "{admitted}");
        let reply = elsewhere.get("/nothing").await;
        assert!(reply.header("retry-after").unwrap().parse::<u32>().unwrap() > 0, "{reply:?}");
        assert_eq!(from(host, "203.0.113.2").get("/api/tickets").await.status, 200);
    }
}
