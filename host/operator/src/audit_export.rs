//! `/audit/export`: the record of changes as a file. The host reads it in parts, so
//! an export takes little memory.

use super::{
    Operator,
    audit::{redacted, scope_of, unreadable},
    caller::Caller,
    csv,
    input::Query,
    redact::Redaction,
};
use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use futures::stream;
use host_api::{audit::AuditRow, error::Envelope};
use host_database::audit::{Audit, AuditFilter, AuditScope};
use host_http::error::Problem;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Deserialize;
use std::{
    io,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};

/// The most rows of a file.
const MAX_ROWS: u32 = 200_000;
/// The rows that are read at once.
const PART_ROWS: u32 = 500;
/// The latest time that can be written: the end of the year 9999.
const LAST_MS: u64 = 253_402_300_799_000;
const COLUMNS: [&str; 9] = ["id", "time", "actor", "action", "plugin", "revision", "digest", "outcome", "detail"];

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportQuery {
    /// The form of the file.
    #[param(inline)]
    format: Format,
    /// Only rows with a smaller id. To continue after 200,000 rows, give the last
    /// id of the file.
    before: Option<u64>,
    /// Only the changes of this token.
    actor: Option<String>,
    /// Only the changes of this plugin.
    plugin: Option<String>,
    /// Only changes of this kind, such as `activate`.
    action: Option<String>,
}

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// Comma-separated values with a line of names.
    Csv,
    /// One JSON object on each line.
    Jsonl,
}

/// The rest of a file.
struct Export {
    audit: Audit,
    scope: AuditScope,
    filter: AuditFilter,
    redaction: Redaction,
    format: Format,
    before: Option<u64>,
    left_rows: u32,
    revoked: CancellationToken,
    stopping: CancellationToken,
}

/// The record of changes as a file, the newest first, up to 200,000 rows. It has the
/// rows that `/audit` shows. A file that is not complete ends with a broken
/// connection.
#[utoipa::path(get, path = "/audit/export", operation_id = "export_audit", tag = "operators", params(ExportQuery), responses(
    (status = 200, description = "The file", content((String = "text/csv"), (String = "application/x-ndjson"))),
    (status = 400, body = Envelope),
    (status = 503, body = Envelope, description = "The database does not answer"),
))]
pub(super) async fn export(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Problem> {
    let mut export = Export {
        audit: operator.audit.clone(),
        redaction: Redaction::of(&operator, &caller),
        revoked: caller.revoked.clone(),
        scope: scope_of(caller),
        filter: AuditFilter { actor: query.actor, plugin: query.plugin, action: query.action },
        format: query.format,
        before: query.before,
        left_rows: MAX_ROWS,
        stopping: operator.stopping.clone(),
    };
    // A database that does not answer is told before the answer begins.
    let first = export.part().await.map_err(unreadable)?;
    let head = query.format.head() + &first.unwrap_or_default();
    let parts = stream::try_unfold((Some(head), export), |(head, mut export)| async move {
        let part = match head {
            Some(head) => Some(head),
            None => export.next_part().await?,
        };
        Ok::<_, io::Error>(part.map(|part| (part, (None, export))))
    });
    Ok((query.format.headers(), Body::from_stream(parts)).into_response())
}

impl Export {
    /// The next rows. None at the end. An error breaks the connection, so that nobody
    /// takes the file for a whole one.
    async fn next_part(&mut self) -> io::Result<Option<String>> {
        let (stopping, revoked) = (self.stopping.clone(), self.revoked.clone());
        tokio::select! {
            biased;
            () = stopping.cancelled() => Err(io::Error::other("the host stops")),
            () = revoked.cancelled() => Err(io::Error::other("the token is revoked")),
            part = self.part() => part.map_err(|error| {
                tracing::error!(%error, "the host cannot read the rest of the audit for a file");
                io::Error::other(error)
            }),
        }
    }

    async fn part(&mut self) -> sqlx::Result<Option<String>> {
        let limit_rows = self.left_rows.min(PART_ROWS);
        if limit_rows == 0 {
            return Ok(None);
        }
        let rows = self.audit.list(&self.scope, &self.filter, self.before, limit_rows).await?;
        let Some(last) = rows.last() else { return Ok(None) };
        self.before = Some(last.id.unsigned_abs());
        self.left_rows -= limit_rows;
        Ok(Some(rows.into_iter().map(|row| self.format.line(&redacted(row, &self.redaction))).collect()))
    }
}

impl Format {
    fn headers(self) -> [(http::HeaderName, &'static str); 2] {
        let (kind, file) = match self {
            Self::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"audit.csv\""),
            Self::Jsonl => ("application/x-ndjson", "attachment; filename=\"audit.jsonl\""),
        };
        [(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, file)]
    }

    fn head(self) -> String {
        match self {
            Self::Csv => csv::row(COLUMNS),
            Self::Jsonl => String::new(),
        }
    }

    fn line(self, row: &AuditRow) -> String {
        match self {
            Self::Csv => csv_row(row),
            // Rows of texts and numbers become objects.
            Self::Jsonl => serde_json::to_string(row).map(|line| line + "\n").unwrap_or_default(),
        }
    }
}

fn csv_row(row: &AuditRow) -> String {
    let time_ms = u64::try_from(row.time_ms).unwrap_or_default().min(LAST_MS);
    let time = humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(time_ms)).to_string();
    let id = row.id.to_string();
    let [plugin, revision, digest, detail] =
        [&row.plugin, &row.revision, &row.digest, &row.detail].map(|text| text.as_deref().unwrap_or_default());
    let cells: [&str; 9] = [&id, &time, &row.actor, &row.action, plugin, revision, digest, &row.outcome, detail];
    csv::row(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_cell_for_each_column_in_both_forms() {
        let row = AuditRow {
            id: 7,
            time_ms: 1_893_456_000_123,
            actor: "ci".to_owned(),
            action: "discard".to_owned(),
            plugin: Some("hello".to_owned()),
            revision: None,
            digest: None,
            outcome: "done".to_owned(),
            detail: Some("=HYPERLINK(\"x\")\nsecond line".to_owned()),
        };
        let cells = "\"7\",\"2030-01-01T00:00:00.123Z\",\"ci\",\"discard\",\"hello\",\"\",\"\",\"done\",";
        let detail = "\"'=HYPERLINK(\"\"x\"\")\\nsecond line\"\r\n";
        assert_eq!(Format::Csv.line(&row), format!("{cells}{detail}"));
        let line = Format::Jsonl.line(&row);
        assert!(line.lines().count() == 1 && line.ends_with("}\n"), "{line}");
        assert_eq!(
            serde_json::from_str::<AuditRow>(&line).unwrap().detail,
            row.detail,
            "a program gets the text itself"
        );
    }
}
