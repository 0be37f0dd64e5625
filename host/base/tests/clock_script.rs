//! The clock under a script. It is one clock for the whole process, so this test has a
//! process of its own.

use host_base::clock::{self, ClockScript, now_ms};
use std::time::Duration;

const START_MS: u64 = 1_700_000_000_000;
const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn the_clock_stands_still_until_its_script_moves_it_and_then_runs_again() {
    let before_ms = now_ms();
    let script = ClockScript::begin(Some(START_MS)).unwrap();
    assert!(ClockScript::begin(None).is_none(), "there is one script at a time");
    let sleeper = tokio::spawn(clock::sleep(|| DAY));
    // The sleeper begins.
    tokio::task::yield_now().await;
    assert_eq!((now_ms(), clock::now()), (START_MS, Duration::from_millis(START_MS)));
    // A reference does not move it.
    clock::set(clock::Reading { ms: 1, uncertainty_ms: 0 });
    assert_eq!((now_ms(), clock::moved_ms()), (START_MS, 0));

    script.advance(DAY);
    tokio::time::timeout(Duration::from_secs(10), sleeper).await.unwrap().unwrap();
    assert_eq!((now_ms(), clock::moved_ms()), (START_MS + 86_400_000, 86_400_000));

    clock::set(clock::Reading { ms: before_ms.cast_signed(), uncertainty_ms: 0 });
    drop(script);
    assert!((before_ms..before_ms + 60_000).contains(&now_ms()), "the clock runs again");
    let machine = ClockScript::begin(None).unwrap();
    assert!(now_ms().abs_diff(before_ms) < 60_000, "without a time, the script begins at the machine's time");
    drop(machine);
}
