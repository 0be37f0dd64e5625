//! Calls on an open transaction.

use super::StoreView;
use crate::{
    Error, OpenTransaction, Rows, SCHEDULE_KEYS, Timer, Value,
    open_transaction::{BorrowedTransaction, transaction_is_over},
    sql_span::operation_of,
};
use host_base::{clock::now_ms, event::Event, id};
use tokio::time::timeout_at;
use wasmtime::component::Resource;

/// The most events that one transaction publishes.
const EVENTS_PER_TRANSACTION: usize = 1_000;
/// The most timers that one transaction sets.
const TIMERS_PER_TRANSACTION: usize = 1_000;
/// The longest key of a timer.
const TIMER_KEY_BYTES: usize = 200;
/// The beginnings of these years.
const YEAR_2001_MS: u64 = 978_307_200_000;
const YEAR_2100_MS: u64 = 4_102_444_800_000;
/// The largest payload of a timer.
const TIMER_PAYLOAD_BYTES: usize = 64 * 1024;

impl StoreView<'_> {
    pub(super) fn open(&mut self, handle: &Resource<OpenTransaction>) -> Result<&mut OpenTransaction, Error> {
        self.table.get_mut(handle).map_err(|_| transaction_is_over())
    }

    async fn borrow(&mut self, handle: &Resource<OpenTransaction>) -> Result<BorrowedTransaction, Error> {
        self.open(handle)?.borrow().await
    }

    pub(super) async fn query_in(
        &mut self,
        handle: &Resource<OpenTransaction>,
        statement: &str,
        parameters: Vec<Value>,
    ) -> Result<Rows, Error> {
        self.hold_parameters(&parameters)?;
        let tracer = self.tracer()?;
        let mut borrowed = self.borrow(handle).await?;
        let span = tracer.start(operation_of(statement));
        let result = timeout_at(borrowed.deadline, borrowed.inner.query(statement, parameters)).await;
        span.end(borrowed.give_back(result))
    }

    pub(super) async fn execute_in(
        &mut self,
        handle: &Resource<OpenTransaction>,
        statement: &str,
        parameters: Vec<Value>,
    ) -> Result<u64, Error> {
        self.hold_parameters(&parameters)?;
        let tracer = self.tracer()?;
        let mut borrowed = self.borrow(handle).await?;
        let span = tracer.start(operation_of(statement));
        let result = timeout_at(borrowed.deadline, borrowed.inner.execute(statement, parameters)).await;
        let changed = span.end(borrowed.give_back(result))?;
        self.open(handle)?.has_changed_rows |= changed > 0;
        Ok(changed)
    }

    pub(super) async fn publish_in(
        &mut self,
        handle: &Resource<OpenTransaction>,
        subject: String,
        payload: Vec<u8>,
    ) -> Result<String, Error> {
        let event = self.event(subject, payload)?;
        let database = self.database()?;
        let open = self.open(handle)?;
        if open.events == EVENTS_PER_TRANSACTION {
            return Err(Error::Limit(format!("more than {EVENTS_PER_TRANSACTION} events in a transaction")));
        }
        open.hold(database, event.payload.len())?;
        let mut borrowed = open.borrow().await?;
        open.events += 1;
        let result = timeout_at(borrowed.deadline, borrowed.inner.publish(&event)).await;
        borrowed.give_back(result)?;
        Ok(event.id)
    }

    fn event(&self, subject: String, payload: Vec<u8>) -> Result<Event, Error> {
        if !self.publishes.contains(&subject) {
            return Err(Error::Invalid(format!("{subject} is not among the subjects that the manifest publishes")));
        }
        if payload.len() > self.event_bytes {
            return Err(Error::Limit(format!("an event of more than {} bytes", self.event_bytes)));
        }
        Ok(Event {
            id: id::new().to_string(),
            subject,
            source: self.component.to_owned(),
            time_ms: now_ms(),
            traceparent: self.traceparent.map(str::to_owned),
            payload,
        })
    }

    pub(super) async fn schedule_in(
        &mut self,
        handle: &Resource<OpenTransaction>,
        mut timer: Timer,
    ) -> Result<(), Error> {
        check_timer(&timer)?;
        // A timer for a time in the past is due now, and must not seem late.
        timer.due_ms = timer.due_ms.max(now_ms());
        let (database, traceparent) = (self.database()?, self.traceparent);
        let open = self.open(handle)?;
        if open.timers == TIMERS_PER_TRANSACTION {
            return Err(Error::Limit(format!("more than {TIMERS_PER_TRANSACTION} timers in a transaction")));
        }
        open.hold(database, timer.payload.len())?;
        let mut borrowed = open.borrow().await?;
        open.timers += 1;
        let result = timeout_at(borrowed.deadline, borrowed.inner.schedule(&timer, traceparent)).await;
        borrowed.give_back(result)
    }

    pub(super) async fn cancel_timer_in(
        &mut self,
        handle: &Resource<OpenTransaction>,
        key: &str,
    ) -> Result<bool, Error> {
        check_timer_key(key)?;
        let mut borrowed = self.borrow(handle).await?;
        let result = timeout_at(borrowed.deadline, borrowed.inner.cancel_timer(key)).await;
        borrowed.give_back(result)
    }

    /// The deadline does not bound the commit: a commit that has begun ends, and
    /// the guest learns the result.
    pub(super) async fn commit_open(&mut self, handle: Resource<OpenTransaction>) -> Result<(), Error> {
        let tracer = self.tracer()?;
        let mut open = self.table.delete(handle).map_err(|_| transaction_is_over())?;
        let borrowed = open.borrow().await?;
        tracer.start("COMMIT").end(borrowed.inner.commit().await)
    }
}

/// PostgreSQL does not store U+0000.
fn check_timer_key(key: &str) -> Result<(), Error> {
    if key.contains('\0') {
        return Err(Error::Invalid("the key of a timer contains U+0000".to_owned()));
    }
    if key.starts_with(SCHEDULE_KEYS) {
        return Err(Error::Invalid(format!("keys that begin with {SCHEDULE_KEYS} are for schedules in the manifest")));
    }
    Ok(())
}

/// A time in seconds or microseconds is mistaken for one in milliseconds, and
/// its timer would fire at once or never. The time 0 means "at once".
fn check_due_time(due_ms: u64, now_ms: u64) -> Result<(), Error> {
    let is_too_early = (1..YEAR_2001_MS).contains(&due_ms) && now_ms >= YEAR_2001_MS;
    if is_too_early || due_ms > YEAR_2100_MS {
        let rule = "a timer is due between 2001 and 2100, in milliseconds since the Unix epoch";
        return Err(Error::Invalid(format!("the timer is due at {due_ms}; {rule}, not in seconds or microseconds")));
    }
    Ok(())
}

fn check_timer(timer: &Timer) -> Result<(), Error> {
    if timer.key.is_empty() || timer.key.len() > TIMER_KEY_BYTES {
        return Err(Error::Limit(format!("a timer's key has 1 to {TIMER_KEY_BYTES} bytes")));
    }
    check_timer_key(&timer.key)?;
    check_due_time(timer.due_ms, now_ms())?;
    if timer.payload.len() > TIMER_PAYLOAD_BYTES {
        return Err(Error::Limit(format!("a timer of more than {TIMER_PAYLOAD_BYTES} bytes")));
    }
    Ok(())
}
