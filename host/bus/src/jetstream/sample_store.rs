//! Keeps the last sample of the broker in the host's database. So a host also
//! counts the events that the broker has deleted while no host ran.

use super::losses::Sample;
use host_database::HostDatabase;

const SCHEMA: &[&str] = &["CREATE TABLE bus_samples (stream TEXT PRIMARY KEY, sample TEXT NOT NULL) STRICT"];

/// The samples in a database. Hosts that share a database share them.
pub(super) struct SampleStore {
    database: HostDatabase,
}

impl SampleStore {
    pub(super) async fn open(database: HostDatabase) -> sqlx::Result<Self> {
        database.ensure_schema("bus_samples", SCHEMA).await?;
        Ok(Self { database })
    }

    /// The last sample of a stream. None if there is none that this host
    /// understands.
    pub(super) async fn read(&self, stream: &str) -> Option<Sample> {
        let sample = sqlx::query_scalar::<_, String>("SELECT sample FROM bus_samples WHERE stream = $1")
            .bind(stream)
            .fetch_optional(&self.database.read)
            .await;
        let sample = sample.inspect_err(|error| tracing::debug!(%error, "the host cannot read the state of the bus"));
        serde_json::from_str(&sample.ok()??).ok()
    }

    /// Stores a sample. If that fails, the next one is stored.
    pub(super) async fn write(&self, stream: &str, sample: &Sample) {
        let Ok(sample) = serde_json::to_string(sample) else { return };
        let written = sqlx::query(
            "INSERT INTO bus_samples (stream, sample) VALUES ($1, $2) \
             ON CONFLICT (stream) DO UPDATE SET sample = excluded.sample",
        )
        .bind(stream)
        .bind(sample)
        .execute(&self.database.write)
        .await;
        if let Err(error) = written {
            tracing::debug!(%error, "the host cannot store the state of the bus");
        }
    }
}
