//! Fuzz tests. Each takes good inputs, changes them at random, and checks what
//! must hold for every input.
//!
//! A test runs a fixed number of cases from a fixed seed. `cargo xtask fuzz
//! TARGET --seconds 600` runs as many as fit into that time, from another seed.
//! Every case has a seed of its own. A case that fails prints it, and
//! `TICKETING_FUZZ_SEED` repeats the case.

mod http;
mod manifest;
mod mutation;
mod policy;
mod sql;
mod upload;

use rand::{SeedableRng, rngs::StdRng};
use std::{
    env, thread,
    time::{Duration, Instant},
};

const SEED: &str = "TICKETING_FUZZ_SEED";
const SECONDS: &str = "TICKETING_FUZZ_SECONDS";
/// The longest time of one case, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// One case of a run. Dropping it checks its duration.
struct Case {
    seed: u64,
    random: StdRng,
    begun: Instant,
}

/// The cases of a run: this number of them, unless the environment says how long
/// to run.
fn cases(number: u64) -> impl Iterator<Item = Case> {
    let setting = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let (first, seconds) = (setting(SEED).unwrap_or(1), setting(SECONDS));
    let begun = Instant::now();
    // A seed without a duration repeats one case.
    let number = if env::var_os(SEED).is_some() { 1 } else { number };
    let goes_on = move |count: &u64| match seconds {
        Some(seconds) => begun.elapsed() < Duration::from_secs(seconds),
        None => *count < number,
    };
    (0..).take_while(goes_on).map(move |count| Case::new(first.wrapping_add(count)))
}

impl Case {
    fn new(seed: u64) -> Self {
        Self { seed, random: StdRng::seed_from_u64(seed), begun: Instant::now() }
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{SEED}={} repeats the case", self.seed);
            return;
        }
        assert!(self.begun.elapsed() < PATIENCE, "{SEED}={} takes {:?}", self.seed, self.begun.elapsed());
    }
}
