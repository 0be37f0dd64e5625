//! Three brokers that replicate every event.

use super::Market;
use crate::support::{Bus, NatsServer, Setup, eventually};
use async_nats::jetstream;

/// The number of the server that leads the stream. None while no server does.
async fn leader(servers: &[NatsServer], stream: &str) -> Option<usize> {
    let urls: Vec<String> = servers.iter().map(NatsServer::url).collect();
    let client = async_nats::connect(urls).await.ok()?;
    let stream = jetstream::new(client).get_stream(stream).await.ok()?;
    let leader = stream.cached_info().cluster.as_ref()?.leader.clone()?;
    leader.strip_prefix("nats-")?.parse().ok()
}

#[tokio::test]
#[ignore = "needs NATS"]
async fn the_loss_of_the_streams_leader_loses_nothing() {
    let mut servers = NatsServer::cluster(3);
    let urls: Vec<String> = servers.iter().map(NatsServer::url).collect();
    let bus = Bus::jetstream(&urls.join(",")).with("stream_replicas = 3");
    let Bus::JetStream { prefix, .. } = &bus else { unreachable!() };
    let stream = format!("{prefix}-events");
    let market = Market::open(Setup::new().bus(bus)).await;
    for _ in 0..2 {
        let found =
            eventually("the stream has a leader", async || leader(&servers, &stream).await, Option::is_some).await;
        let lost = found.unwrap();
        servers[lost].kill();
        market.can_sell().await;
        market.goes_on().await;
        servers[lost].start_again();
        market.goes_on().await;
    }
    market.close().await;
}
