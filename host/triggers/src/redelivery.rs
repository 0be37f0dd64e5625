//! Delivers dead letters again, when an operator asks for it.

use host_base::{clock::now_ms, event::Event};
use host_bus::{Bus, BusError, DeadLetter, DeadLetterKind};
use host_store::{Databases, Error, Timer, describe};
use std::sync::Arc;
use tokio::sync::Mutex;

/// Delivers dead letters again.
pub struct Redelivery {
    bus: Arc<dyn Bus>,
    databases: Arc<dyn Databases>,
    /// Allows one redelivery at a time. So the host delivers a dead letter once
    /// that two operators send.
    lock: Mutex<()>,
}

/// The reason why a dead letter was not delivered again.
#[derive(Debug, thiserror::Error)]
pub enum RedeliverError {
    /// There is no dead letter with this id.
    #[error("there is no dead letter with this id")]
    Unknown,
    /// The bus is unavailable.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The component's database cannot be reached.
    #[error("the component's database: {0}")]
    Database(String),
}

impl Redelivery {
    /// Reads dead letters from the bus, and sets timers in these databases.
    pub fn new(bus: Arc<dyn Bus>, databases: Arc<dyn Databases>) -> Self {
        Self { bus, databases, lock: Mutex::default() }
    }

    /// Why the database of a component refuses all work, with the cure.
    pub fn database_problem(&self) -> Option<String> {
        self.databases.problem()
    }

    /// Delivers a dead letter to its component again, as on its first attempt,
    /// and deletes the letter. A timer is due at once, and replaces a newer
    /// timer with the same key.
    ///
    /// # Errors
    /// See [`RedeliverError`]. The dead letter is kept then.
    pub async fn redeliver(&self, id: &str) -> Result<(), RedeliverError> {
        let _guard = self.lock.lock().await;
        let letter = self.bus.dead_letter(id).await?.ok_or(RedeliverError::Unknown)?;
        let component = letter.component.clone();
        match letter.kind {
            DeadLetterKind::Event => self.bus.redeliver(&component, &event(letter)).await?,
            DeadLetterKind::Timer => {
                self.set_timer(&letter).await.map_err(|error| RedeliverError::Database(describe(&error)))?;
            }
        }
        self.bus.delete_dead_letter(id).await?;
        tracing::info!(component, id, "the host delivers a dead letter again");
        Ok(())
    }

    async fn set_timer(&self, letter: &DeadLetter) -> Result<(), Error> {
        let timer = Timer { key: letter.subject_id.clone(), due_ms: now_ms(), payload: letter.payload.clone() };
        let mut transaction = self.databases.open(&letter.component).await?.begin().await?;
        transaction.schedule(&timer, letter.traceparent.as_deref()).await?;
        transaction.commit().await
    }
}

fn event(letter: DeadLetter) -> Event {
    Event {
        id: letter.subject_id,
        subject: letter.subject,
        source: letter.source,
        time_ms: letter.time_ms,
        traceparent: letter.traceparent,
        payload: letter.payload,
    }
}
