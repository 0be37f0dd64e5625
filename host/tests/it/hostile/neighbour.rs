//! An attack on one component does not slow down another one.

use super::hostile;
use crate::support::{Client, eventually};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

const ATTACKERS: usize = 6;
const ATTACKS: [&str; 6] = ["loop", "memory", "calls", "slow?ms=900", "recursion", "log"];
const SAMPLES: usize = 40;
/// The longest that a request may take on a busy machine.
const SLOWEST: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attack_on_a_component_does_not_slow_down_another_one() {
    let host = hostile().start().await;
    let visitor = host.visitor();
    let mut before = latencies(&visitor).await;

    let stop = Arc::new(AtomicBool::new(false));
    let attackers: Vec<_> = (0..ATTACKERS)
        .map(|number| {
            let (attacker, stop) = (host.visitor(), stop.clone());
            tokio::spawn(async move {
                let mut count = 0;
                for attack in ATTACKS.iter().cycle().skip(number) {
                    let status = attacker.attack(attack).await.status;
                    assert!([204, 500, 503, 504].contains(&status), "{attack}: {status}");
                    count += 1;
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
                count
            })
        })
        .collect();
    let cut_off = async || host.failures("hostile", "deadline").await;
    eventually("the attack is under way", cut_off, |count| *count > 0).await;
    let mut during = latencies(&visitor).await;
    stop.store(true, Ordering::Relaxed);
    let attacks: usize = futures::future::join_all(attackers).await.into_iter().map(Result::unwrap).sum();

    let (before, during) = (median(&mut before), median(&mut during));
    assert!(attacks >= ATTACKERS, "{attacks} attacks");
    assert!(
        during < before * 20 + Duration::from_millis(100),
        "from {before:?} to {during:?} during {attacks} attacks"
    );
}

/// The times of some requests. Asserts that each is below the bound.
async fn latencies(visitor: &Client) -> Vec<Duration> {
    let mut latencies = Vec::new();
    for _ in 0..SAMPLES {
        let begun = Instant::now();
        visitor.says_hello().await;
        latencies.push(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let slowest = latencies.iter().max().unwrap();
    assert!(*slowest < SLOWEST, "{slowest:?}");
    latencies
}

fn median(latencies: &mut [Duration]) -> Duration {
    latencies.sort();
    latencies[latencies.len() / 2]
}
