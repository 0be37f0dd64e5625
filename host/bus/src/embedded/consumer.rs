//! One component's deliveries. It lives as long as the bus.
//!
//! What is published goes from the publisher's hands into the consumer's
//! [`Inbox`]. The log is read for what cannot come that way: what waits since
//! before the start or the subscription, what was put off, and what had no
//! room.

use super::{
    super::{BusError, Consumer, Delivery},
    Log,
    inbox::{Inbox, Step},
};
use async_trait::async_trait;
use host_base::event::Event;
use parking_lot::Mutex;
use sqlx::AssertSqlSafe;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::sleep};

/// Deliveries read from the log at once.
const READ_AHEAD: usize = 32;
/// Acknowledgements wait this long for others to share a commit with. One
/// that is lost means a second delivery, which the component's inbox knows.
const ACKNOWLEDGE_EVERY: Duration = Duration::from_millis(20);
const ACKNOWLEDGED_AT_ONCE: usize = 512;
const AFTER_AN_ERROR: Duration = Duration::from_secs(1);

pub(super) struct EmbeddedConsumer {
    component: String,
    log: Arc<Log>,
    subjects: Mutex<BTreeSet<String>>,
    inbox: Arc<Inbox>,
    acknowledged: mpsc::UnboundedSender<i64>,
}

impl EmbeddedConsumer {
    pub(super) fn new(component: &str, log: Arc<Log>) -> Self {
        let inbox = Arc::new(Inbox::new());
        let (acknowledged, tokens) = mpsc::unbounded_channel();
        tokio::spawn(delete_acknowledged(log.clone(), inbox.clone(), tokens));
        Self { component: component.to_owned(), log, subjects: Mutex::default(), inbox, acknowledged }
    }

    /// What it has subscribed to from now on. Older events of a new subject
    /// are in the log.
    pub(super) fn set_subjects(&self, subjects: BTreeSet<String>) {
        self.inbox.keep(&subjects);
        *self.subjects.lock() = subjects;
        self.look();
    }

    /// Takes over what was published just now.
    pub(super) fn hand_over(&self, event: &Event, token: i64) {
        if self.subjects.lock().contains(&event.subject) {
            self.inbox.hand_over(event, token, self.log.now_ms());
        }
    }

    /// Has the log read for what is due.
    pub(super) fn look(&self) {
        self.inbox.look_at(0);
    }

    async fn read_log(&self, now_ms: i64) -> Result<(), BusError> {
        let limit = self.inbox.begin_reading() + READ_AHEAD;
        let read = async {
            let due = self.due(now_ms, limit).await?;
            let look_ms = if due.len() < limit { self.next_due_ms(now_ms).await? } else { now_ms };
            Ok((due, look_ms))
        };
        // After an error the caller pauses, and then it reads again.
        let (read, outcome) = read.await.map_or_else(|error| ((Vec::new(), now_ms), Err(error)), |read| (read, Ok(())));
        self.inbox.end_reading(read.0, read.1);
        outcome
    }

    async fn due(&self, now_ms: i64, limit: usize) -> Result<Vec<Delivery>, BusError> {
        type Row = (i64, i64, String, String, String, i64, Option<String>, Vec<u8>);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT d.token, d.attempts, e.id, e.subject, e.source, e.time_ms, e.traceparent, e.payload \
             FROM bus_deliveries d JOIN bus_events e ON e.sequence = d.event \
             WHERE d.component = $1 AND d.not_before_ms <= $2 ORDER BY d.not_before_ms, d.token LIMIT $3",
        )
        .bind(&self.component)
        .bind(now_ms)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.log.database.read)
        .await?;
        let delivery = |(token, attempts, id, subject, source, time_ms, traceparent, payload): Row| Delivery {
            event: Event { id, subject, source, time_ms: time_ms.cast_unsigned(), traceparent, payload },
            attempt: u32::try_from(attempts).unwrap_or(u32::MAX).saturating_add(1),
            token,
        };
        Ok(rows.into_iter().map(delivery).collect())
    }

    /// When the next delivery that is put off is due.
    async fn next_due_ms(&self, now_ms: i64) -> Result<i64, BusError> {
        let next: Option<i64> = sqlx::query_scalar(
            "SELECT min(not_before_ms) FROM bus_deliveries WHERE component = $1 AND not_before_ms > $2",
        )
        .bind(&self.component)
        .bind(now_ms)
        .fetch_one(&self.log.database.read)
        .await?;
        Ok(next.unwrap_or(i64::MAX))
    }
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    async fn next(&self) -> Result<Delivery, BusError> {
        loop {
            let now_ms = self.log.now_ms();
            match self.inbox.step(now_ms) {
                Step::Take(delivery) => return Ok(delivery),
                Step::ReadLog => self.read_log(now_ms).await?,
                Step::Wait(until_ms) => tokio::select! {
                    () = self.inbox.changed.notified() => {}
                    () = sleep(Duration::from_millis(until_ms.abs_diff(now_ms))) => {}
                },
            }
        }
    }

    async fn acknowledge(&self, delivery: &Delivery) -> Result<(), BusError> {
        self.acknowledged.send(delivery.token).map_err(|_| BusError("it is closed".into()))
    }

    async fn retry(&self, delivery: &Delivery, delay: Duration) -> Result<(), BusError> {
        let delay_ms = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        let due_ms = self.log.now_ms().saturating_add(delay_ms);
        let updated =
            sqlx::query("UPDATE bus_deliveries SET attempts = attempts + 1, not_before_ms = $2 WHERE token = $1")
                .bind(delivery.token)
                .bind(due_ms)
                .execute(&self.log.database.write)
                .await;
        // If it could not be put off, it is due again at once.
        self.inbox.release([delivery.token]);
        self.inbox.look_at(if updated.is_ok() { due_ms } else { 0 });
        updated.map(drop).map_err(Into::into)
    }
}

/// Deletes what was acknowledged, many in one commit, until the consumer is
/// gone.
async fn delete_acknowledged(log: Arc<Log>, inbox: Arc<Inbox>, mut tokens: mpsc::UnboundedReceiver<i64>) {
    let mut batch = Vec::new();
    while tokens.recv_many(&mut batch, ACKNOWLEDGED_AT_ONCE).await > 0 {
        sleep(ACKNOWLEDGE_EVERY).await;
        while batch.len() < ACKNOWLEDGED_AT_ONCE
            && let Ok(token) = tokens.try_recv()
        {
            batch.push(token);
        }
        while let Err(error) = delete(&log, &batch).await {
            if log.database.write.is_closed() {
                return;
            }
            tracing::warn!(%error, "acknowledgements could not be kept");
            sleep(AFTER_AN_ERROR).await;
        }
        inbox.release(batch.drain(..));
    }
}

async fn delete(log: &Log, tokens: &[i64]) -> Result<(), BusError> {
    let tokens: Vec<String> = tokens.iter().map(i64::to_string).collect();
    let sql = format!("DELETE FROM bus_deliveries WHERE token IN ({})", tokens.join(", "));
    sqlx::query(AssertSqlSafe(sql)).persistent(false).execute(&log.database.write).await?;
    Ok(())
}
