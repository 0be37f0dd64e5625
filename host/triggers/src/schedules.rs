//! The timers of schedules. The host sets them, and sets each again in the
//! transaction in which the component handles it, so a schedule never loses its
//! next time.

use host_artifact::Schedule;
use host_base::clock::now_ms;
use host_engine::{Handled, Outcome};
use host_store::{Database, Error, SCHEDULE_KEYS, Timer, Transaction, describe};

/// Sets the timers of these schedules that are missing, and removes the timers of
/// schedules that are gone or have changed.
pub(super) async fn set_timers(database: &dyn Database, schedules: &[Schedule]) -> Result<(), Error> {
    let found = database.schedule_timers().await?;
    let is_wanted = |timer: &Timer| schedules.iter().any(|schedule| is_timer_of(schedule, timer));
    let is_missing = |schedule: &&Schedule| !found.iter().any(|timer| is_timer_of(schedule, timer));
    if found.iter().all(is_wanted) && !schedules.iter().any(|schedule| is_missing(&schedule)) {
        return Ok(());
    }
    let mut transaction = database.begin().await?;
    for gone in found.iter().filter(|timer| !is_wanted(timer)) {
        transaction.cancel_timer(&gone.key).await?;
    }
    for timer in schedules.iter().filter(is_missing).filter_map(next_timer) {
        transaction.schedule(&timer, None).await?;
    }
    transaction.commit().await
}

/// The schedule that this timer belongs to.
pub(super) fn schedule_of<'a>(schedules: &'a [Schedule], timer: &Timer) -> Option<&'a Schedule> {
    schedules.iter().find(|schedule| is_timer_of(schedule, timer))
}

/// Sets the next timer of a schedule in the transaction in which the component has
/// handled the one before.
pub(super) async fn set_next(schedule: &Schedule, mut transaction: Box<dyn Transaction>) -> Handled {
    if let Some(timer) = next_timer(schedule) {
        let set = transaction.schedule(&timer, None).await;
        set.map_err(|error| Outcome::retry(format!("its schedule could not go on: {}", describe(&error))))?;
    }
    Ok(transaction)
}

/// The times that have passed meanwhile are left out.
pub(super) fn next_timer(schedule: &Schedule) -> Option<Timer> {
    let due_ms = schedule.next_after(now_ms())?;
    let key = format!("{SCHEDULE_KEYS}{}", schedule.name);
    Some(Timer { key, due_ms, payload: text_of(schedule).into_bytes() })
}

fn is_timer_of(schedule: &Schedule, timer: &Timer) -> bool {
    let name = timer.key.strip_prefix(SCHEDULE_KEYS);
    name == Some(schedule.name.as_str()) && timer.payload == text_of(schedule).into_bytes()
}

/// A schedule that changes gets another timer, because this text changes.
fn text_of(schedule: &Schedule) -> String {
    format!("{} {}", schedule.cron, schedule.zone)
}
