use super::*;

const HOUR_MS: i64 = 3_600_000;
const START_MS: i64 = 1_700_000_000_000;

fn after(ms: i64) -> Duration {
    Duration::from_millis(ms.unsigned_abs())
}

fn exact(ms: i64) -> Reading {
    Reading { ms, uncertainty_ms: 0 }
}

#[test]
fn the_clock_follows_a_reference_that_jumps_slowly_and_never_stands_still() {
    for jump_ms in [5 * HOUR_MS, -5 * HOUR_MS] {
        let clock = Clock::new(after(7_000), START_MS);
        let mut before_ms = START_MS;
        for round in 1..=200 {
            let elapsed_ms = round * 500;
            clock.correct(after(7_000 + elapsed_ms), exact(START_MS + elapsed_ms + jump_ms));
            let now_ms = whole_ms(clock.read(after(7_000 + elapsed_ms)));
            assert!((475..=525).contains(&(now_ms - before_ms)), "{}", now_ms - before_ms);
            before_ms = now_ms;
        }
        assert_eq!((before_ms - START_MS - 100_000).signum(), jump_ms.signum(), "the clock follows");
    }
}

#[test]
fn what_happens_after_an_instant_has_no_earlier_time() {
    for pause_us in (0..2_000).step_by(7) {
        let before_ms = now_ms();
        let begun = Instant::now();
        let after_ms = now_ms();
        std::thread::sleep(Duration::from_micros(pause_us));
        let begun_ms = ms_at(begun);
        assert!((before_ms - 1_000..=after_ms).contains(&begun_ms), "{before_ms} {begun_ms} {after_ms}");
    }
}

#[test]
fn the_clock_removes_a_small_difference_but_not_an_uncertain_one() {
    let clock = Clock::new(after(0), START_MS);
    clock.correct(after(500), Reading { ms: START_MS + 600, uncertainty_ms: 100 });
    assert_eq!(whole_ms(clock.read(after(500))), START_MS + 500);
    clock.correct(after(1_000), exact(START_MS + 1_020));
    assert_eq!(whole_ms(clock.read(after(1_000))), START_MS + 1_020);
}

#[test]
fn the_clock_does_not_jump_after_a_long_silence_of_the_reference() {
    let clock = Clock::new(after(0), START_MS);
    clock.correct(after(HOUR_MS), exact(START_MS + 2 * HOUR_MS));
    assert_eq!(whole_ms(clock.read(after(HOUR_MS))), START_MS + HOUR_MS + 50);
}
