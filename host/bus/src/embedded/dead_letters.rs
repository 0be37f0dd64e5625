//! The dead letters of the embedded bus.

use super::super::{BusError, DeadLetter, DeadLetterKind};
use host_database::HostDatabase;
use sqlx::{Any, FromRow, Row, any::AnyRow};

const SELECT: &str = "SELECT id, component, kind, subject_id, subject, source, time_ms, attempts, reason, \
     set_aside_ms, payload, traceparent FROM bus_dead_letters WHERE $1 IS NULL OR id = $1 \
     ORDER BY set_aside_ms DESC, id DESC LIMIT $2";

const INSERT: &str = "INSERT INTO bus_dead_letters (id, component, kind, subject_id, subject, source, time_ms, attempts, reason, \
     set_aside_ms, payload, traceparent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
     ON CONFLICT (id) DO UPDATE SET component = excluded.component, kind = excluded.kind, subject_id = excluded.subject_id, \
     subject = excluded.subject, source = excluded.source, time_ms = excluded.time_ms, attempts = excluded.attempts, \
     reason = excluded.reason, set_aside_ms = excluded.set_aside_ms, payload = excluded.payload, \
     traceparent = excluded.traceparent";

struct DeadLetterRow(DeadLetter);

impl<'r> FromRow<'r, AnyRow> for DeadLetterRow {
    fn from_row(row: &'r AnyRow) -> sqlx::Result<Self> {
        let kind: String = row.try_get("kind")?;
        Ok(Self(DeadLetter {
            id: row.try_get("id")?,
            component: row.try_get("component")?,
            kind: if kind == "timer" { DeadLetterKind::Timer } else { DeadLetterKind::Event },
            subject_id: row.try_get("subject_id")?,
            subject: row.try_get("subject")?,
            source: row.try_get("source")?,
            time_ms: row.try_get::<i64, _>("time_ms")?.cast_unsigned(),
            attempts: u32::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or(u32::MAX),
            reason: row.try_get("reason")?,
            set_aside_ms: row.try_get::<i64, _>("set_aside_ms")?.cast_unsigned(),
            payload: row.try_get("payload")?,
            traceparent: row.try_get("traceparent")?,
        }))
    }
}

pub(super) async fn insert(database: &HostDatabase, letter: &DeadLetter) -> Result<(), BusError> {
    let kind = match letter.kind {
        DeadLetterKind::Event => "event",
        DeadLetterKind::Timer => "timer",
    };
    sqlx::query(INSERT)
        .bind(&letter.id)
        .bind(&letter.component)
        .bind(kind)
        .bind(&letter.subject_id)
        .bind(&letter.subject)
        .bind(&letter.source)
        .bind(letter.time_ms.cast_signed())
        .bind(i64::from(letter.attempts))
        .bind(&letter.reason)
        .bind(letter.set_aside_ms.cast_signed())
        .bind(letter.payload.as_slice())
        .bind(letter.traceparent.as_deref())
        .execute(&database.write)
        .await?;
    Ok(())
}

pub(super) async fn list(database: &HostDatabase, limit_rows: u32) -> Result<Vec<DeadLetter>, BusError> {
    let rows = sqlx::query_as::<Any, DeadLetterRow>(SELECT)
        .bind(None::<&str>)
        .bind(i64::from(limit_rows))
        .fetch_all(&database.read)
        .await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

pub(super) async fn find(database: &HostDatabase, id: &str) -> Result<Option<DeadLetter>, BusError> {
    let row = sqlx::query_as::<Any, DeadLetterRow>(SELECT).bind(id).bind(1_i64).fetch_optional(&database.read).await?;
    Ok(row.map(|row| row.0))
}

pub(super) async fn delete(database: &HostDatabase, id: &str) -> Result<bool, BusError> {
    let deleted = sqlx::query("DELETE FROM bus_dead_letters WHERE id = $1").bind(id).execute(&database.write).await?;
    Ok(deleted.rows_affected() > 0)
}
