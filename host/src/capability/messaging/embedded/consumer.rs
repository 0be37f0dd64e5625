//! One component's deliveries. It lives as long as the bus.

use super::{
    super::{BusError, Consumer, Delivery, Event},
    Log,
};
use async_trait::async_trait;
use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc},
    time::sleep,
};

/// Deliveries read from the log at once.
const READ_AHEAD: usize = 32;
/// Acknowledgements wait this long for others to share a commit with. One
/// that is lost means a second delivery, which the component's inbox knows.
const ACKNOWLEDGE_EVERY: Duration = Duration::from_millis(20);
const ACKNOWLEDGED_AT_ONCE: usize = 512;
const AFTER_AN_ERROR: Duration = Duration::from_secs(1);
/// However far off the next delivery is: the clock may be set.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

pub(super) struct EmbeddedConsumer {
    component: String,
    log: Arc<Log>,
    subjects: Mutex<BTreeSet<String>>,
    wake: Notify,
    queue: tokio::sync::Mutex<VecDeque<Delivery>>,
    leased: Leases,
    acknowledged: mpsc::UnboundedSender<i64>,
}

/// Tokens that are read ahead, in work, or acknowledged but not yet deleted.
#[derive(Clone, Default)]
struct Leases(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    tokens: HashSet<i64>,
    /// Given back, but held until the log is read again: what is being read
    /// just now may be from before.
    released: Vec<i64>,
}

impl EmbeddedConsumer {
    pub(super) fn new(component: &str, log: Arc<Log>) -> Self {
        let leased = Leases::default();
        let (acknowledged, tokens) = mpsc::unbounded_channel();
        tokio::spawn(delete_acknowledged(log.clone(), leased.clone(), tokens));
        Self {
            component: component.to_owned(),
            log,
            subjects: Mutex::default(),
            wake: Notify::new(),
            queue: tokio::sync::Mutex::default(),
            leased,
            acknowledged,
        }
    }

    pub(super) fn component(&self) -> &str {
        &self.component
    }

    pub(super) fn subscribes(&self, subject: &str) -> bool {
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner).contains(subject)
    }

    pub(super) fn set_subjects(&self, subjects: BTreeSet<String>) {
        *self.subjects.lock().unwrap_or_else(PoisonError::into_inner) = subjects;
    }

    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Reads what is due and not leased.
    async fn due(&self, now_ms: i64) -> Result<Vec<Delivery>, BusError> {
        type Row = (i64, i64, String, String, String, i64, Option<String>, Vec<u8>);
        let leased = self.leased.settle();
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT d.token, d.attempts, e.id, e.subject, e.source, e.time_ms, e.traceparent, e.payload \
             FROM bus_deliveries d JOIN bus_events e ON e.sequence = d.event \
             WHERE d.component = $1 AND d.not_before_ms <= $2 ORDER BY d.not_before_ms, d.token LIMIT $3",
        )
        .bind(&self.component)
        .bind(now_ms)
        .bind(i64::try_from(leased + READ_AHEAD).unwrap_or(i64::MAX))
        .fetch_all(&self.log.database.read)
        .await?;
        let delivery = |(token, attempts, id, subject, source, time_ms, traceparent, payload): Row| Delivery {
            event: Event { id, subject, source, time_ms: time_ms.cast_unsigned(), traceparent, payload },
            attempt: u32::try_from(attempts).unwrap_or(u32::MAX).saturating_add(1),
            token,
        };
        Ok(rows.into_iter().filter(|row| self.leased.add(row.0)).map(delivery).collect())
    }

    /// How long until the next delivery that is put off.
    async fn until_next(&self, now_ms: i64) -> Result<Duration, BusError> {
        let next: Option<i64> = sqlx::query_scalar(
            "SELECT min(not_before_ms) FROM bus_deliveries WHERE component = $1 AND not_before_ms > $2",
        )
        .bind(&self.component)
        .bind(now_ms)
        .fetch_one(&self.log.database.read)
        .await?;
        let wait = next.map(|at_ms| Duration::from_millis(at_ms.abs_diff(now_ms)));
        Ok(wait.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP))
    }
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    async fn next(&self) -> Result<Delivery, BusError> {
        loop {
            let wait = {
                let mut queue = self.queue.lock().await;
                let now_ms = self.log.now_ms();
                if queue.is_empty() {
                    queue.extend(self.due(now_ms).await?);
                }
                if let Some(delivery) = queue.pop_front() {
                    if !queue.is_empty() {
                        self.wake();
                    }
                    return Ok(delivery);
                }
                self.until_next(now_ms).await?
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = sleep(wait) => {}
            }
        }
    }

    async fn acknowledge(&self, delivery: &Delivery) -> Result<(), BusError> {
        self.acknowledged.send(delivery.token).map_err(|_| BusError("it is closed".into()))
    }

    async fn retry(&self, delivery: &Delivery, delay: Duration) -> Result<(), BusError> {
        let delay_ms = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        let updated =
            sqlx::query("UPDATE bus_deliveries SET attempts = attempts + 1, not_before_ms = $2 WHERE token = $1")
                .bind(delivery.token)
                .bind(self.log.now_ms().saturating_add(delay_ms))
                .execute(&self.log.database.write)
                .await;
        // If it could not be put off, it is due again at once.
        self.leased.release([delivery.token]);
        self.wake();
        updated.map(drop).map_err(Into::into)
    }
}

impl Leases {
    /// False if it was leased already.
    fn add(&self, token: i64) -> bool {
        self.held().tokens.insert(token)
    }

    fn release(&self, tokens: impl IntoIterator<Item = i64>) {
        self.held().released.extend(tokens);
    }

    /// Lets go of what was released, before the log is read. Gives the number
    /// of those that are still held.
    fn settle(&self) -> usize {
        let Held { tokens, released } = &mut *self.held();
        for token in released.drain(..) {
            tokens.remove(&token);
        }
        tokens.len()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Deletes what was acknowledged, many in one commit, until the consumer is
/// gone.
async fn delete_acknowledged(log: Arc<Log>, leased: Leases, mut tokens: mpsc::UnboundedReceiver<i64>) {
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
        leased.release(batch.drain(..));
    }
}

async fn delete(log: &Log, tokens: &[i64]) -> Result<(), BusError> {
    let mut transaction = log.begin().await?;
    for token in tokens {
        sqlx::query("DELETE FROM bus_deliveries WHERE token = $1").bind(token).execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}
