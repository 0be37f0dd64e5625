//! `/audit/export`: the record of changes as a file. The host reads it in parts, so
//! an export takes little memory.

use super::{
    Operator,
    audit::{read, scope_of},
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
use host_http::error::{Problem, Refusal};
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
const COLUMNS: [&str; 9] =
    ["id", "time", "actor", "action", "plugin", "revision", "digest", "outcome", "detail"];

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportQuery {
    /// The form of the file.
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
    (status = 200, body = String, content_type = "text/csv"),
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
    let first = export.part().await.map_err(|_| Problem::from(Refusal::Unavailable))?;
    let head = query.format.head() + &first.unwrap_or_default();
    let parts = stream::try_unfold((Some(head), export), |(head, mut export)| async move {
        let part = match head {
            Some(head) => Some(head),
            None => export.part().await?,
        };
        Ok::<_, io::Error>(part.map(|part| (part, (None, export))))
    });
    Ok((query.format.headers(), Body::from_stream(parts)).into_response())
}

impl Export {
    /// The next rows. None at the end.
    async fn part(&mut self) -> io::Result<Option<String>> {
        let limit_rows = self.left_rows.min(PART_ROWS);
        if limit_rows == 0 {
            return Ok(None);
        }
        let listed = self.audit.list(&self.scope, &self.filter, self.before, limit_rows);
        let rows = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return Err(io::Error::other("the host stops")),
            () = self.revoked.cancelled() => return Err(io::Error::other("the token is revoked")),
            rows = listed => rows.map_err(|error| io::Error::other(read_problem(&error)))?,
        };
        let Some(last) = rows.last() else { return Ok(None) };
        self.before = Some(last.id.unsigned_abs());
        self.left_rows -= limit_rows;
        Ok(Some(rows.into_iter().map(|row| self.format.line(&self.redaction.row(row))).collect()))
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
    let optional = |text: &'_ Option<String>| text.clone().unwrap_or_default();
    let moment = UNIX_EPOCH + Duration::from_millis(u64::try_from(row.time_ms).unwrap_or_default());
    let time = humantime::format_rfc3339_millis(moment).to_string();
    let id = row.id.to_string();
    let (plugin, revision) = (optional(&row.plugin), optional(&row.revision));
    let (digest, detail) = (optional(&row.digest), optional(&row.detail));
    csv::row([&id, &time, &row.actor, &row.action, &plugin, &revision, &digest, &row.outcome, &detail].map(|text| &**text))
}
