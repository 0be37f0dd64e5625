//! The dead letters of the embedded bus.

use super::super::{BusError, DeadLetter, DeadLetterKind, DeadLetterPage, DeadLetterSummary};
use host_database::HostDatabase;
use sqlx::{Any, AssertSqlSafe, FromRow, Row, any::AnyRow};

const SELECT: &str = "SELECT id, component, kind, subject_id, subject, source, time_ms, attempts, reason, \
     set_aside_ms, payload, traceparent FROM bus_dead_letters WHERE id = $1";

const INSERT: &str = "INSERT INTO bus_dead_letters (id, component, kind, subject_id, subject, source, time_ms, attempts, reason, \
     set_aside_ms, payload, traceparent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
     ON CONFLICT (id) DO UPDATE SET component = excluded.component, kind = excluded.kind, subject_id = excluded.subject_id, \
     subject = excluded.subject, source = excluded.source, time_ms = excluded.time_ms, attempts = excluded.attempts, \
     reason = excluded.reason, set_aside_ms = excluded.set_aside_ms, payload = excluded.payload, \
     traceparent = excluded.traceparent";

struct DeadLetterRow(DeadLetter);

impl<'r> FromRow<'r, AnyRow> for DeadLetterRow {
    fn from_row(row: &'r AnyRow) -> sqlx::Result<Self> {
        let (payload, traceparent) = (row.try_get("payload")?, row.try_get("traceparent")?);
        Ok(Self(DeadLetter { payload, traceparent, ..without_payload(row)? }))
    }
}

struct SummaryRow(DeadLetterSummary);

impl<'r> FromRow<'r, AnyRow> for SummaryRow {
    fn from_row(row: &'r AnyRow) -> sqlx::Result<Self> {
        let payload_bytes = row.try_get::<i64, _>("payload_bytes")?.cast_unsigned();
        Ok(Self(without_payload(row)?.summary(payload_bytes)))
    }
}

/// The fields that both queries select.
fn without_payload(row: &AnyRow) -> sqlx::Result<DeadLetter> {
    Ok(DeadLetter {
        id: row.try_get("id")?,
        component: row.try_get("component")?,
        kind: kind_of(row)?,
        subject_id: row.try_get("subject_id")?,
        subject: row.try_get("subject")?,
        source: row.try_get("source")?,
        time_ms: row.try_get::<i64, _>("time_ms")?.cast_unsigned(),
        attempts: u32::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or(u32::MAX),
        reason: row.try_get("reason")?,
        set_aside_ms: row.try_get::<i64, _>("set_aside_ms")?.cast_unsigned(),
        payload: Vec::new(),
        traceparent: None,
    })
}

fn kind_of(row: &AnyRow) -> sqlx::Result<DeadLetterKind> {
    let kind: String = row.try_get("kind")?;
    Ok(if kind == "timer" { DeadLetterKind::Timer } else { DeadLetterKind::Event })
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

/// The payloads stay where they are: the database knows their size.
pub(super) async fn list(database: &HostDatabase, page: &DeadLetterPage) -> Result<Vec<DeadLetterSummary>, BusError> {
    let components: Vec<&String> = page.components.iter().flatten().collect();
    let only = match (&page.components, components.len()) {
        (None, _) => String::new(),
        (Some(_), 0) => return Ok(Vec::new()),
        (Some(_), count) => {
            let places: Vec<String> = (4..4 + count).map(|place| format!("${place}")).collect();
            format!("AND component IN ({})", places.join(", "))
        }
    };
    let sql = format!(
        "SELECT id, component, kind, subject_id, subject, source, time_ms, attempts, reason, set_aside_ms, \
         length(payload) AS payload_bytes FROM bus_dead_letters \
         WHERE (set_aside_ms < $1 OR (set_aside_ms = $1 AND id < $2)) {only} \
         ORDER BY set_aside_ms DESC, id DESC LIMIT $3"
    );
    let (set_aside_ms, id) = match &page.after {
        Some((set_aside_ms, id)) => (i64::try_from(*set_aside_ms).unwrap_or(i64::MAX), id.as_str()),
        None => (i64::MAX, ""),
    };
    let query = sqlx::query_as::<Any, SummaryRow>(AssertSqlSafe(sql));
    let query = query.bind(set_aside_ms).bind(id).bind(i64::from(page.limit_rows));
    let query = components.into_iter().fold(query, |query, component| query.bind(component));
    let rows = query.fetch_all(&database.read).await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

pub(super) async fn find(database: &HostDatabase, id: &str) -> Result<Option<DeadLetter>, BusError> {
    let row = sqlx::query_as::<Any, DeadLetterRow>(SELECT).bind(id).fetch_optional(&database.read).await?;
    Ok(row.map(|row| row.0))
}

pub(super) async fn delete(database: &HostDatabase, id: &str) -> Result<bool, BusError> {
    let deleted = sqlx::query("DELETE FROM bus_dead_letters WHERE id = $1").bind(id).execute(&database.write).await?;
    Ok(deleted.rows_affected() > 0)
}

/// Deletes the oldest dead letters of a component above this number. Returns how
/// many.
pub(super) async fn keep_newest(database: &HostDatabase, component: &str, most: u64) -> Result<u64, BusError> {
    let deleted = sqlx::query(
        "DELETE FROM bus_dead_letters WHERE component = $1 AND (set_aside_ms, id) <= (\
         SELECT set_aside_ms, id FROM bus_dead_letters WHERE component = $1 \
         ORDER BY set_aside_ms DESC, id DESC LIMIT 1 OFFSET $2)",
    )
    .bind(component)
    .bind(i64::try_from(most).unwrap_or(i64::MAX))
    .execute(&database.write)
    .await?;
    Ok(deleted.rows_affected())
}
