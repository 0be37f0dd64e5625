//! Notes in the host's database where the subscriptions of components begin. Hosts
//! that share the database agree on it, also after another program has deleted a
//! consumer.

use super::{
    super::{
        BusError,
        starts::{Log, Starts, Wanted},
    },
    losses::nanoseconds,
};
use async_nats::jetstream::stream;
use host_database::HostDatabase;

/// The beginnings of subscriptions in a database.
#[derive(Clone)]
pub(super) struct StartStore {
    database: HostDatabase,
}

impl StartStore {
    pub(super) async fn open(database: HostDatabase) -> sqlx::Result<Self> {
        Starts::prepare(&database).await?;
        Ok(Self { database })
    }

    /// Notes where new subscriptions begin in this stream, and returns where all
    /// begin. The information about the stream must be older than the one about the
    /// subscriptions, so that no event lies between them.
    pub(super) async fn note(&self, stream: &stream::Info, wanted: &Wanted<'_>) -> Result<Starts, BusError> {
        let log = Log {
            name: &stream.config.name,
            created_ns: nanoseconds(stream.created),
            last: stream.state.last_sequence.cast_signed(),
        };
        self.database
            .unless_silent(async {
                let mut transaction = self.database.begin("bus_starts").await?;
                let starts = Starts::note(&mut transaction, &log, wanted).await?;
                transaction.commit().await?;
                Ok(starts)
            })
            .await
    }
}
