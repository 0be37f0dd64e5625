//! A session that receives notifications, and notices when no more can come.

use super::{is_writable, no_answer};
use host_base::secret::Secret;
use sqlx::postgres::{PgListener, PgNotification, PgPoolOptions};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Listens to channels.
pub struct Listening {
    listener: PgListener,
    checks: Interval,
}

/// The news for a listener.
pub enum Received {
    /// A notification.
    Notification(PgNotification),
    /// Notifications may have been lost.
    Gap,
    /// No notification, but the session is in order.
    Checked,
}

impl Listening {
    /// Opens a session and listens. Checks the session at once and then at this
    /// interval, because a server that is silent, or that has become a standby,
    /// sends no notifications and no error.
    ///
    /// # Errors
    /// If the database cannot be reached, or is a standby.
    pub async fn start(url: &Secret, channels: &[&str], check_interval: Duration) -> sqlx::Result<Self> {
        // The pool would wait without end for a silent session to come back.
        let options = PgPoolOptions::new().max_connections(1).acquire_timeout(ANSWER_TIMEOUT);
        let pool = options.after_release(|_, _| Box::pin(async { Ok(false) })).connect_lazy(url.expose())?;
        let listen = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen_all(channels.iter().copied()).await?;
            Ok(listener)
        };
        let listener = timeout(ANSWER_TIMEOUT, listen).await.unwrap_or_else(|_| Err(no_answer()))?;
        let mut checks = interval(check_interval);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { listener, checks })
    }

    /// Waits for a notification, or for the next check of the session. A caller
    /// that drops the wait also drops the check.
    ///
    /// # Errors
    /// The session is lost or silent, or its server only reads.
    pub async fn next(&mut self) -> sqlx::Result<Received> {
        tokio::select! {
            received = self.listener.try_recv() => Ok(received?.map_or(Received::Gap, Received::Notification)),
            _ = self.checks.tick() => {
                self.check().await?;
                Ok(Received::Checked)
            }
        }
    }

    async fn check(&mut self) -> sqlx::Result<()> {
        let answer = timeout(ANSWER_TIMEOUT, is_writable(&mut self.listener)).await;
        match answer.unwrap_or_else(|_| Err(no_answer()))? {
            true => Ok(()),
            false => Err(sqlx::Error::Protocol("the server only reads, and sends no notifications".to_owned())),
        }
    }
}
