//! The clock of one of three machines is set.

use super::{joined, knows_all, named};
use crate::{
    clocks::{ends_when_it_was_said, set},
    support::{Acknowledged, Load, MachineClock, NatsServer, Setup, postgres},
};
use std::{sync::Arc, time::Duration};

#[tokio::test]
#[ignore = "needs PostgreSQL and NATS"]
async fn one_of_three_hosts_whose_clock_is_set_is_like_the_others() {
    let url = postgres::new_database().await;
    let held = Duration::from_secs(6);
    let setup = joined(Setup::new().expiration_seconds(6), &url, &NatsServer::shared().url());
    let clock = MachineClock::new();
    let [one, two, three] = named(&setup);
    let mut hosts = Setup::start_all([one, two.on_machine_of(&clock), three]).await;
    knows_all(&hosts[0]).await;
    let seller = hosts[0].user("seller").await;
    let buyers = hosts[0].users("buyer", 3).await;
    let acknowledged = Arc::new(Acknowledged::default());
    let loads = [(&hosts[0], &buyers[0]), (&hosts[2], &buyers[1])]
        .map(|(host, buyer)| Load::start(host, &seller, buyer, &acknowledged));
    for hours in [5, -5] {
        set(&hosts[1], &clock, hours).await;
        knows_all(&hosts[0]).await;
        let ticket = seller.sell("x", 10.0).await;
        let order = hosts[1].again(&buyers[2]).reserve(&ticket.id).await;
        ends_when_it_was_said(&buyers[2], &order, held).await;
        acknowledged.more_are_paid(3).await;
        hosts[1].makes_a_sale().await;
    }
    // A host whose clock is wrong at its start asks the database.
    hosts[1].stop().await;
    hosts[1].start_again().await;
    let ticket = seller.sell("x", 10.0).await;
    let order = hosts[1].again(&buyers[2]).reserve(&ticket.id).await;
    ends_when_it_was_said(&buyers[2], &order, held).await;
    hosts[1].makes_a_sale().await;
    for load in loads {
        load.stop().await;
    }
    acknowledged.is_whole_on(&hosts[0]).await;
}
