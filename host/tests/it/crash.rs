//! The process is killed in the middle of everything, again and again, and
//! nothing that was acknowledged is lost.

mod backup;
pub(crate) mod facts;
pub(crate) mod load;

use crate::support::{Host, Setup};
use facts::{Facts, World};
use load::Load;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{sync::Arc, time::Duration};

const ROUNDS: usize = 22;
const BUYERS: usize = 5;

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed_at_any_moment() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut host = Setup::new().start().await;
    let seller = host.user("seller").await;
    let buyers = host.users("buyer", BUYERS).await;
    let facts = Arc::new(Facts::default());
    let mut before = World::default();
    for round in 0..ROUNDS {
        let load = buyers.iter().map(|buyer| {
            let (seller, buyer) = (host.again(&seller), host.again(buyer));
            let load = Load { seller, buyer, facts: facts.clone(), random: StdRng::seed_from_u64(random.random()) };
            tokio::spawn(load.run())
        });
        let load: Vec<_> = load.collect();
        tokio::time::sleep(Duration::from_millis(random.random_range(30..450))).await;
        host.kill().await;
        for task in load {
            task.await.unwrap();
        }
        host.start_again().await;
        before = check(&host, &facts, &before, round).await;
    }
    facts::money_agrees(&host, &facts).await;
    let counts = facts.counts();
    println!("{counts:?}");
    assert!(counts.orders > ROUNDS && counts.paid > 0 && counts.cancelled > 0, "too little happened: {counts:?}");
}

/// What must be true after each start, once the events have been applied.
async fn check(host: &Host, facts: &Facts, before: &World, round: usize) -> World {
    host.settles().await;
    let world = World::read(host).await;
    println!("round {round}: {} tickets, {} orders", world.tickets.len(), world.orders.len());
    facts.are_in(&world);
    world.follows(before);
    world.is_consistent();
    assert!(host.dead_letters().await.is_empty());
    world
}
