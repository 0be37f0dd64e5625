//! Where the subscriptions of components begin.
//!
//! A component can take a subject from now on, without the events that the bus
//! retains. Now is the moment of its first subscription to the subject. The host's
//! database keeps this position for ever, and hosts that share a database share it.
//! A component that is replaced, or that subscribes again later, gets every event
//! after the position that the bus still has. So nothing is skipped twice.

use super::Subjects;
use host_database::HostDatabase;
use sqlx::{Any, Transaction};
use std::collections::{BTreeMap, BTreeSet};

const SCHEMA: &[&str] = &["
    CREATE TABLE bus_starts (
        log TEXT NOT NULL, component TEXT NOT NULL, subject TEXT NOT NULL, created_ns INTEGER NOT NULL,
        sequence INTEGER NOT NULL, PRIMARY KEY (log, component, subject)) STRICT, WITHOUT ROWID;
"];

/// The log of a bus, at one moment.
pub(crate) struct Log<'a> {
    pub(crate) name: &'a str,
    /// When the log was created. Another log of the same name has other sequence
    /// numbers.
    pub(crate) created_ns: i64,
    /// The sequence number of the last event.
    pub(crate) last: i64,
}

/// The subjects of a component.
pub(crate) struct Wanted<'a> {
    pub(crate) component: &'a str,
    pub(crate) subjects: &'a Subjects,
    /// The subjects for which the bus needs a beginning.
    pub(crate) all: &'a BTreeSet<String>,
    /// The subjects that the bus delivers already.
    pub(crate) subscribed: &'a BTreeSet<String>,
}

/// The sequence number of the last event before each subscription, by subject. A
/// subject without a number begins with the oldest event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Starts(BTreeMap<String, i64>);

impl Starts {
    /// Creates the table of the positions.
    pub(crate) async fn prepare(database: &HostDatabase) -> sqlx::Result<()> {
        database.ensure_schema("bus_starts", SCHEMA).await
    }

    /// Notes the positions of subjects that the component subscribes to for the first
    /// time, and returns the positions of those that it takes from there on.
    pub(crate) async fn note(
        transaction: &mut Transaction<'_, Any>,
        log: &Log<'_>,
        wanted: &Wanted<'_>,
    ) -> sqlx::Result<Self> {
        let Wanted { component, subjects, all, subscribed } = wanted;
        let known = read(transaction, log, component).await?;
        for subject in all.iter().filter(|subject| !known.contains_key(*subject)) {
            let begins_now = subjects.from_now.contains(subject) && !subscribed.contains(subject);
            sqlx::query(
                "INSERT INTO bus_starts (log, component, subject, created_ns, sequence) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (log, component, subject) DO NOTHING",
            )
            .bind(log.name)
            .bind(*component)
            .bind(subject)
            .bind(log.created_ns)
            .bind(if begins_now { log.last } else { 0 })
            .execute(&mut **transaction)
            .await?;
        }
        let mut starts = read(transaction, log, component).await?;
        // This host does not know how other hosts take a subject that they alone have.
        // An event too many does less harm than one that is missing.
        starts.retain(|subject, _| all.contains(subject) && subjects.from_now.contains(subject));
        Ok(Self(starts))
    }

    /// The last event before the subscription to this subject. 0 if there is none.
    pub(crate) fn before(&self, subject: &str) -> i64 {
        self.0.get(subject).copied().unwrap_or(0)
    }

    /// The last event before all subscriptions to these subjects.
    pub(crate) fn before_all<'a>(&self, subjects: impl IntoIterator<Item = &'a String>) -> i64 {
        subjects.into_iter().map(|subject| self.before(subject)).min().unwrap_or(0)
    }
}

/// The noted positions. In another log of the same name, all of them are before the
/// first event, because the component subscribed before the log was created.
async fn read(
    transaction: &mut Transaction<'_, Any>,
    log: &Log<'_>,
    component: &str,
) -> sqlx::Result<BTreeMap<String, i64>> {
    let rows: Vec<(String, i64, i64)> =
        sqlx::query_as("SELECT subject, created_ns, sequence FROM bus_starts WHERE log = $1 AND component = $2")
            .bind(log.name)
            .bind(component)
            .fetch_all(&mut **transaction)
            .await?;
    let in_log = |created_ns: i64, sequence| if created_ns == log.created_ns { sequence } else { 0 };
    Ok(rows.into_iter().map(|(subject, created_ns, sequence)| (subject, in_log(created_ns, sequence))).collect())
}
