//! The clock of one machine of three is set.

use super::{faults, joined, knows_all, named};
use crate::{
    clocks::{ends_when_it_was_said, set},
    crash::facts::Facts,
    support::{MachineClock, NatsServer, Setup, eventually, postgres},
};
use std::{sync::Arc, time::Duration};

#[tokio::test]
async fn one_of_three_hosts_whose_clock_is_set_is_like_the_others() {
    let Some(url) = postgres::database().await else { return };
    let held = Duration::from_secs(6);
    let setup = joined(Setup::new().expiration_seconds(6), &url, &NatsServer::shared().url());
    let clock = MachineClock::new();
    let [one, two, three] = named(&setup);
    let mut hosts = Setup::start_all([one, two.on_machine_of(&clock), three]).await;
    knows_all(&hosts[0]).await;
    let seller = hosts[0].user("seller").await;
    let buyers = hosts[0].users("buyer", 3).await;
    let facts = Arc::new(Facts::default());
    let loads: Vec<_> = [(&hosts[0], &buyers[0]), (&hosts[2], &buyers[1])]
        .map(|(host, buyer)| faults::load(host, &seller, buyer, &facts))
        .into();
    for hours in [5, -5] {
        set(&hosts[1], &clock, hours).await;
        knows_all(&hosts[0]).await;
        let ticket = seller.sell("x", 10.0).await;
        let order = hosts[1].again(&buyers[2]).reserve(&ticket.id).await;
        ends_when_it_was_said(&buyers[2], &order, held).await;
        let paid = facts.counts().paid;
        eventually("people pay", async || facts.counts().paid, |now| *now > paid + 2).await;
        hosts[1].makes_a_sale().await;
    }
    // One that is wrong from its start on asks the database.
    hosts[1].stop().await;
    hosts[1].start_again().await;
    let ticket = seller.sell("x", 10.0).await;
    let order = hosts[1].again(&buyers[2]).reserve(&ticket.id).await;
    ends_when_it_was_said(&buyers[2], &order, held).await;
    hosts[1].makes_a_sale().await;
    for task in loads {
        assert!(!task.is_finished(), "somebody's connection broke");
        task.abort();
        assert!(task.await.is_err_and(|end| end.is_cancelled()), "somebody was answered badly");
    }
    faults::is_whole(&hosts[0], &facts).await;
}
