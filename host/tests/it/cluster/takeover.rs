//! The time after which the other hosts go on with the work of a killed host.

use super::three;
use crate::support::{Acknowledged, Host, Load};
use async_nats::jetstream::{Context, consumer::Info};
use futures::TryStreamExt;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The goal is one second on a quiet machine. Before, NATS waited five seconds.
const LONGEST: Duration = Duration::from_millis(2_500);

/// The streams of these hosts, with a connection that is open already.
struct Events {
    context: Context,
    stream: String,
}

impl Events {
    async fn of(host: &Host) -> Self {
        let view = host.look_at_bus().await;
        let (context, prefix) = view.streams();
        Self { context: context.clone(), stream: format!("{prefix}-events") }
    }

    async fn last(&self) -> u64 {
        self.context.get_stream(&self.stream).await.unwrap().cached_info().state.last_sequence
    }

    /// The consumers that have not handled all events up to this sequence number.
    async fn waiting(&self, last: u64) -> Vec<String> {
        let stream = self.context.get_stream(&self.stream).await.unwrap();
        let infos: Vec<Info> = stream.consumers().try_collect().await.unwrap();
        let waits =
            |info: &Info| info.ack_floor.stream_sequence < last && (info.num_pending > 0 || info.num_ack_pending > 0);
        infos.iter().filter(|info| waits(info)).map(|info| info.name.clone()).collect()
    }

    /// The time until other hosts have handled all events up to this one.
    async fn handled_after(&self, begun: Instant, last: u64) -> Duration {
        while !self.waiting(last).await.is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", self.waiting(last).await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        begun.elapsed()
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn the_events_of_a_killed_host_are_handled_by_another_within_a_second() {
    let mut hosts = three().await;
    let events = Events::of(&hosts[2]).await;
    let seller = hosts[0].user("seller").await;
    let buyers = hosts[0].users("buyer", 3).await;
    let acknowledged = Arc::new(Acknowledged::default());
    let start = |host: &Host, number: usize| Load::start(host, &seller, &buyers[number], &acknowledged);
    let mut loads: Vec<Load> = (0..3).map(|number| start(&hosts[number], number)).collect();
    let mut times = Vec::new();
    for victim in [0, 1, 0, 1] {
        acknowledged.more_are_paid(3).await;
        let begun = Instant::now();
        hosts[victim].kill().await;
        let handled = events.handled_after(begun, events.last().await).await;
        // A new event needs the relay that the killed host may have had.
        let other = hosts[2].again(&seller);
        let sold = Instant::now();
        let ticket = other.sell("x", 10.0).await;
        other.wait_until_known_to_orders(&ticket.id).await;
        times.push((handled, sold.elapsed()));
        hosts[victim].start_again().await;
        loads.push(start(&hosts[victim], victim));
    }
    for load in loads {
        load.stop_if_running().await;
    }
    println!("handled after, and a new event after: {times:?}");
    acknowledged.is_whole_on(&hosts[2]).await;
    let mut handled: Vec<Duration> = times.iter().map(|(handled, _)| *handled).collect();
    handled.sort_unstable();
    assert!(handled[1] < LONGEST, "{times:?}");
}
