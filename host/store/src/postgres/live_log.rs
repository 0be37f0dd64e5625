//! The live events of a component on PostgreSQL.

use super::{PostgresDatabase, errors::Failure};
use crate::{
    Error, LiveEvent, LiveLog, LoggedEvent, OpenListener,
    live::{LIVE_EVENTS, LIVE_KEPT_MS, LIVE_LATER_BYTES, LiveRow},
    values::signed,
};
use async_trait::async_trait;
use host_base::clock::now_ms;
use sqlx::PgConnection;

const SEND: &str = "SELECT ticketing_host.store_send_live($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// At least one live event to write before the commit.
pub(super) struct LiveInsert {
    secret: String,
    events: Vec<LiveEvent>,
}

impl LiveInsert {
    /// Returns none if there are no events.
    pub(super) fn new(secret: &str, events: Vec<LiveEvent>) -> Option<Self> {
        (!events.is_empty()).then(|| Self { secret: secret.to_owned(), events })
    }

    /// Writes the events at the end of the log, and deletes what it keeps no
    /// longer.
    pub(super) async fn run(self, connection: &mut PgConnection) -> Result<(), Failure> {
        let now_ms = now_ms();
        let texts = |of: fn(&LiveEvent) -> &str| self.events.iter().map(of).collect::<Vec<_>>();
        sqlx::query(SEND)
            .bind(&self.secret)
            .bind(signed(now_ms))
            .bind(texts(|event| &event.channel))
            .bind(texts(|event| &event.name))
            .bind(texts(|event| &event.data))
            .bind(self.events.iter().map(|event| signed(event.bytes())).collect::<Vec<_>>())
            .bind(signed(LIVE_EVENTS))
            .bind(signed(LIVE_LATER_BYTES))
            .bind(signed(now_ms.saturating_sub(LIVE_KEPT_MS)))
            .execute(connection)
            .await?;
        Ok(())
    }
}

#[async_trait]
impl LiveLog for PostgresDatabase {
    async fn read_live(&self, after_sequence: u64) -> Result<Vec<LoggedEvent>, Error> {
        let sql = "SELECT sequence, at_ms, channel, name, data FROM store_live \
                   WHERE component = $1 AND sequence > $2 ORDER BY sequence";
        let query = sqlx::query_as(sql).bind(&self.shared.component).bind(signed(after_sequence));
        let rows: Vec<LiveRow> = query.fetch_all(&self.host).await.map_err(Failure::error_of)?;
        Ok(rows.into_iter().map(LoggedEvent::from).collect())
    }

    fn listen_live(&self) -> OpenListener {
        self.shared.topic_channel.listen_live(&self.shared.component)
    }

    async fn prune_live(&self, before_ms: u64) -> Result<u64, Error> {
        let sql = "DELETE FROM store_live WHERE component = $1 AND at_ms < $2 \
                   AND sequence < (SELECT max(sequence) FROM store_live WHERE component = $1)";
        let query = sqlx::query(sql).bind(&self.shared.component).bind(signed(before_ms));
        Ok(query.execute(&self.host).await.map_err(Failure::error_of)?.rows_affected())
    }
}
