//! The process is killed at random moments, again and again, and loses nothing
//! that it has acknowledged.

use crate::support::{Acknowledged, Host, Load, MarketState, Setup};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{sync::Arc, time::Duration};

const ROUNDS: usize = 22;
const BUYERS: usize = 5;
/// One in so many rounds waits for a payment before the kill. A busy machine may
/// answer none in the time of the other rounds.
const ROUNDS_PER_PAYMENT: usize = 4;

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed_at_any_moment() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut host = Setup::new().start().await;
    let seller = host.user("seller").await;
    let buyers = host.users("buyer", BUYERS).await;
    let acknowledged = Arc::new(Acknowledged::default());
    let mut before = MarketState::default();
    for round in 0..ROUNDS {
        let mut start = |buyer| {
            let choices = StdRng::seed_from_u64(random.random());
            Load::start_with(&host, &seller, buyer, &acknowledged, choices)
        };
        let loads: Vec<_> = buyers.iter().map(&mut start).collect();
        if round % ROUNDS_PER_PAYMENT == 0 {
            acknowledged.more_are_paid(1).await;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(30..450))).await;
        host.kill().await;
        for load in loads {
            load.breaks_off().await;
        }
        host.start_again().await;
        before = check(&host, &acknowledged, &before, round).await;
    }
    acknowledged.agrees_with_the_money(&host).await;
    let counts = acknowledged.counts();
    println!("{counts:?}");
    assert!(counts.orders > ROUNDS && counts.paid > 0 && counts.cancelled > 0, "too little happened: {counts:?}");
}

/// Checks what must be true after each start, once the events have been applied.
async fn check(host: &Host, acknowledged: &Acknowledged, before: &MarketState, round: usize) -> MarketState {
    host.settles().await;
    let state = MarketState::read(host).await;
    println!("round {round}: {} tickets, {} orders", state.tickets.len(), state.orders.len());
    acknowledged.is_in(&state);
    state.follows(before);
    state.is_consistent();
    assert!(host.dead_letters().await.is_empty());
    state
}
