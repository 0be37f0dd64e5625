//! The baseline of a whole purchase: the five components as one program with
//! one database.
//!
//! It runs the components' SQL and hashing. It also runs the statements that
//! the host executes for a component: sessions, outbox, timers and the payment
//! provider's ledger, each durable before the answer. It commits as seldom as
//! one database allows: the effects of an event are in the transaction of their
//! cause. One program therefore needs no copies of another component's rows, no
//! inbox and no log of events. The benchmark measures this price of separate
//! components, too.

mod accounts;
mod orders;
mod payments;
mod tickets;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use ticketing_sdk::messaging::Payload;
use uuid::Uuid;

use super::database::{Connection, Database, HOST_TABLES};
use accounts::Accounts;

const TABLES: [&str; 4] = [
    include_str!("../../../../../components/auth/migrations/0001_users.sql"),
    include_str!("../../../../../components/tickets/migrations/0001_tickets.sql"),
    include_str!("../../../../../components/orders/migrations/0001_orders.sql"),
    include_str!("../../../../../components/payments/migrations/0001_payments.sql"),
];

struct App {
    database: Database,
    accounts: Accounts,
}

type Shared = axum::extract::State<Arc<App>>;
type Answer = Result<Response, Failure>;

/// The answer of a handler that fails: a status and a message.
struct Failure(StatusCode, String);

pub(super) async fn router(database: Database) -> anyhow::Result<Router> {
    // A second table of the same name is a component's copy, which one program
    // does not need.
    for statement in TABLES.iter().flat_map(|file| file.split(';')).chain(HOST_TABLES.split(';')) {
        let statement = statement.replace("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&database.write).await?;
    }
    let app = Arc::new(App { database, accounts: Accounts::new()? });
    Ok(Router::new()
        .route("/api/users/signup", post(accounts::sign_up))
        .route("/api/users/signin", post(accounts::sign_in))
        .route("/api/tickets", get(tickets::list).post(tickets::create))
        .route("/api/orders", post(orders::create))
        .route("/api/orders/{id}", get(orders::show))
        .route("/api/payments", post(payments::pay))
        .with_state(app))
}

async fn publish<P: Payload>(connection: &mut Connection, payload: &P) -> Result<(), Failure> {
    sqlx::query("INSERT INTO outbox (id, subject, time_ms, payload) VALUES ($1, $2, $3, $4)")
        .bind(Uuid::now_v7().to_string())
        .bind(P::SUBJECT)
        .bind(now_ms())
        .bind(json(payload)?)
        .execute(connection)
        .await?;
    Ok(())
}

async fn schedule(
    connection: &mut Connection,
    key: &str,
    due_ms: i64,
    payload: &impl Serialize,
) -> Result<(), Failure> {
    sqlx::query(
        "INSERT INTO timers (key, due_ms, payload) VALUES ($1, $2, $3)
         ON CONFLICT (key) DO UPDATE SET due_ms = excluded.due_ms, payload = excluded.payload",
    )
    .bind(key)
    .bind(due_ms)
    .bind(json(payload)?)
    .execute(connection)
    .await?;
    Ok(())
}

async fn cancel_timer(connection: &mut Connection, key: &str) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM timers WHERE key = $1").bind(key).execute(connection).await?;
    Ok(())
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(value).map_err(|error| Failure(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

fn now_ms() -> i64 {
    host_base::clock::now_ms().cast_signed()
}

impl Failure {
    fn bad_request(message: &str) -> Self {
        Self(StatusCode::BAD_REQUEST, message.to_owned())
    }

    fn not_found() -> Self {
        Self(StatusCode::NOT_FOUND, "Not Found".to_owned())
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::RowNotFound => Self::not_found(),
            error => Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "errors": [{ "message": self.1 }] });
        (self.0, axum::Json(body)).into_response()
    }
}
