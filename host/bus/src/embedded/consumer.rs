//! The deliveries of one component. A consumer lives as long as the bus.
//!
//! The bus puts each published event into the consumer's [`DeliveryQueue`]. The
//! consumer reads all other events from the log: events from before the start or
//! the subscription, retried events, and events for which the queue had no
//! capacity.

use super::{
    super::{BusError, Consumer, Delivery},
    EventLog,
    delivery_queue::{Action, DeliveryQueue},
};
use async_trait::async_trait;
use host_base::{clock, event::Event};
use parking_lot::Mutex;
use sqlx::AssertSqlSafe;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::sleep};

/// The number of deliveries that one read of the log takes.
const READ_AHEAD: usize = 32;
/// The time for which acknowledgements wait, so that several share a commit. If
/// one gets lost, the bus delivers the event again, and the component's inbox
/// recognizes it.
const ACKNOWLEDGE_INTERVAL: Duration = Duration::from_millis(20);
const MAX_ACKNOWLEDGED_TOGETHER: usize = 512;
const ERROR_DELAY: Duration = Duration::from_secs(1);

pub(super) struct EmbeddedConsumer {
    component: String,
    log: Arc<EventLog>,
    subjects: Mutex<BTreeSet<String>>,
    queue: Arc<DeliveryQueue>,
    acknowledged: mpsc::UnboundedSender<i64>,
}

impl EmbeddedConsumer {
    pub(super) fn new(component: &str, log: Arc<EventLog>) -> Self {
        let queue = Arc::new(DeliveryQueue::new());
        let (acknowledged, tokens) = mpsc::unbounded_channel();
        tokio::spawn(delete_acknowledged(component.to_owned(), log.clone(), queue.clone(), tokens));
        Self { component: component.to_owned(), log, subjects: Mutex::default(), queue, acknowledged }
    }

    /// Replaces the subjects of the component. Older events of a new subject
    /// are in the log.
    pub(super) fn set_subjects(&self, subjects: BTreeSet<String>) {
        self.queue.retain_subjects(&subjects);
        *self.subjects.lock() = subjects;
        self.read_now();
    }

    /// Queues an event that was published just now.
    pub(super) fn offer(&self, event: &Event, token: i64) {
        if self.subjects.lock().contains(&event.subject) {
            self.queue.offer(event, token, self.log.now_ms());
        }
    }

    /// Requires a read of the log now.
    pub(super) fn read_now(&self) {
        self.queue.read_at(0);
    }

    async fn read_log(&self, now_ms: i64) -> Result<(), BusError> {
        let limit = self.queue.begin_read() + READ_AHEAD;
        let read = async {
            let due = self.due(now_ms, limit).await?;
            let next_read_ms = if due.len() < limit { self.next_due_ms(now_ms).await? } else { now_ms };
            Ok((due, next_read_ms))
        };
        // After an error the caller pauses and reads again.
        let (read, outcome) = read.await.map_or_else(|error| ((Vec::new(), now_ms), Err(error)), |read| (read, Ok(())));
        self.queue.end_read(read.0, read.1);
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

    /// The time when the next retried delivery is due.
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
            match self.queue.next_action(now_ms) {
                Action::Deliver(delivery) => return Ok(delivery),
                Action::ReadLog => self.read_log(now_ms).await?,
                Action::WaitUntil(until_ms) => tokio::select! {
                    () = self.queue.changed.notified() => {}
                    () = clock::sleep(|| self.log.time_until(until_ms)) => {}
                },
            }
        }
    }

    async fn acknowledge(&self, delivery: &Delivery) -> Result<(), BusError> {
        self.acknowledged.send(delivery.token).map_err(|_| BusError("the bus is closed".into()))
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
        // If the update failed, the delivery is due again at once.
        self.queue.release([delivery.token]);
        self.queue.read_at(if updated.is_ok() { due_ms } else { 0 });
        updated.map(drop).map_err(Into::into)
    }
}

/// Deletes the acknowledged deliveries, many in one commit, until the consumer
/// is dropped.
async fn delete_acknowledged(
    component: String,
    log: Arc<EventLog>,
    queue: Arc<DeliveryQueue>,
    mut tokens: mpsc::UnboundedReceiver<i64>,
) {
    let mut batch = Vec::new();
    while tokens.recv_many(&mut batch, MAX_ACKNOWLEDGED_TOGETHER).await > 0 {
        sleep(ACKNOWLEDGE_INTERVAL).await;
        while batch.len() < MAX_ACKNOWLEDGED_TOGETHER
            && let Ok(token) = tokens.try_recv()
        {
            batch.push(token);
        }
        while let Err(error) = delete(&log, &batch).await {
            if log.database.write.is_closed() {
                return;
            }
            tracing::warn!(component, %error, "the bus cannot store acknowledgements");
            sleep(ERROR_DELAY).await;
        }
        queue.release(batch.drain(..));
    }
}

async fn delete(log: &EventLog, tokens: &[i64]) -> Result<(), BusError> {
    let tokens: Vec<String> = tokens.iter().map(i64::to_string).collect();
    let sql = format!("DELETE FROM bus_deliveries WHERE token IN ({})", tokens.join(", "));
    sqlx::query(AssertSqlSafe(sql)).persistent(false).execute(&log.database.write).await?;
    Ok(())
}
