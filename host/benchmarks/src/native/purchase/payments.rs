//! The payment of an order. The attempt is durable before the call to the
//! provider, and the provider's ledger before its answer. The capture follows
//! after the answer to the buyer.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use events::{Money, OrderStatus, Parties, PaymentCreated, PaymentPending};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::super::database::Connection;
use super::orders::{self, Order};
use super::{Answer, App, Failure, Shared, cancel_timer, now_ms, publish, schedule};

const RECOVERY_AFTER_MS: i64 = 5_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wanted {
    order_id: String,
    token: String,
}

pub(super) async fn pay(State(app): Shared, headers: HeaderMap, Json(wanted): Json<Wanted>) -> Answer {
    let buyer = app.accounts.user(&headers)?;
    let (order, payment) = begin(&app, &buyer, &wanted).await?;
    let key = format!("{}:1", order.id);
    let authorization = authorize(&app, &key, &order, &wanted.token).await?;
    record(&app, order, &payment, &authorization).await?;

    let answer = (StatusCode::CREATED, Json(json!({ "id": payment }))).into_response();
    tokio::spawn(async move {
        if let Err(Failure(status, message)) = capture(&app, &key, &payment, &authorization).await {
            eprintln!("{status}: {message}");
        }
    });
    Ok(answer)
}

/// Records the attempt, its timer and the order's new status.
async fn begin(app: &App, buyer: &str, wanted: &Wanted) -> Result<(Order, String), Failure> {
    let mut transaction = app.database.begin().await?;
    let mut order = orders::find(&mut transaction, &wanted.order_id).await?;
    if order.user_id != buyer {
        return Err(Failure(StatusCode::UNAUTHORIZED, "Not authorized".to_owned()));
    }
    let last = sqlx::query(
        "SELECT id, version, order_id, attempt, state, token, provider_id, amount, currency FROM payments
         WHERE order_id = $1 ORDER BY attempt DESC LIMIT 1",
    )
    .bind(&order.id)
    .fetch_optional(&mut *transaction)
    .await?;
    if last.is_some() || order.status != OrderStatus::Created.as_str() || now_ms() >= order.expires_ms {
        return Err(Failure::bad_request("The order cannot be paid"));
    }
    let id = Uuid::now_v7().to_string();
    sqlx::query(
        "INSERT INTO payments (id, version, order_id, attempt, state, token, amount, currency)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(&id)
    .bind(0)
    .bind(&order.id)
    .bind(1)
    .bind("authorizing")
    .bind(&wanted.token)
    .bind(order.amount)
    .bind(&order.currency)
    .execute(&mut *transaction)
    .await?;
    let settlement = json!({ "paymentId": id, "tries": 0 });
    schedule(&mut transaction, &format!("settle:{id}"), now_ms() + RECOVERY_AFTER_MS, &settlement).await?;
    let pending = PaymentPending {
        id: id.clone(),
        order_id: order.id.clone(),
        attempt: 1,
        version: 0,
        amount: Some(Money { amount: order.amount, currency: order.currency.clone() }),
        parties: parties(&order),
    };
    publish(&mut transaction, &pending).await?;
    orders::change(&mut transaction, &mut order, OrderStatus::AwaitingPayment).await?;
    app.database.commit(transaction).await?;
    Ok((order, id))
}

/// The provider's authorization, which is durable in its ledger before it answers.
async fn authorize(app: &App, key: &str, order: &Order, token: &str) -> Result<String, Failure> {
    let mut transaction = app.database.begin().await?;
    expect_new(&mut transaction, key).await?;
    let id = format!("auth_{}", Uuid::new_v4().simple());
    let now = now_ms();
    sqlx::query(
        "INSERT INTO authorizations (id, key, currency, amount, state, created_ms, updated_ms)
         VALUES ($1, $2, $3, $4, 'authorized', $5, $5)",
    )
    .bind(&id)
    .bind(key)
    .bind(&order.currency)
    .bind(order.amount)
    .bind(now)
    .execute(&mut *transaction)
    .await?;
    let operation =
        json!({ "authorize": { "amount": order.amount, "currency": order.currency, "token": token } }).to_string();
    insert_call(&mut transaction, key, &operation, &json!({ "done": { "id": id } }).to_string()).await?;
    app.database.commit(transaction).await?;
    Ok(id)
}

fn parties(order: &Order) -> Parties {
    Parties { user_id: Some(order.user_id.clone()), seller_id: None }
}

/// Records the provider's answer and completes the order.
async fn record(app: &App, mut order: Order, payment: &str, authorization: &str) -> Result<(), Failure> {
    let mut transaction = app.database.begin().await?;
    update(&mut transaction, payment, 0, "authorized", authorization).await?;
    cancel_timer(&mut transaction, &format!("settle:{payment}")).await?;
    let created = PaymentCreated {
        id: payment.to_owned(),
        order_id: order.id.clone(),
        provider_id: authorization.to_owned(),
        amount: Money { amount: order.amount, currency: order.currency.clone() },
        parties: parties(&order),
    };
    publish(&mut transaction, &created).await?;
    orders::complete(&mut transaction, &mut order).await?;
    schedule(&mut transaction, &format!("settle:{payment}"), 0, &json!({ "paymentId": payment, "tries": 0 })).await?;
    app.database.commit(transaction).await?;
    Ok(())
}

/// Captures the money, and cancels the timer that would capture it.
async fn capture(app: &Arc<App>, key: &str, payment: &str, authorization: &str) -> Result<(), Failure> {
    let key = format!("{key}:capture");
    let mut ledger = app.database.begin().await?;
    expect_new(&mut ledger, &key).await?;
    sqlx::query(
        "UPDATE authorizations SET state = 'captured', captured = amount, updated_ms = $2
         WHERE id = $1 AND state = 'authorized'",
    )
    .bind(authorization)
    .bind(now_ms())
    .execute(&mut *ledger)
    .await?;
    let operation = json!({ "capture": { "authorization": authorization } }).to_string();
    insert_call(&mut ledger, &key, &operation, r#"{"done":{"id":null}}"#).await?;
    app.database.commit(ledger).await?;

    let mut transaction = app.database.begin().await?;
    cancel_timer(&mut transaction, &format!("settle:{payment}")).await?;
    update(&mut transaction, payment, 1, "captured", authorization).await?;
    app.database.commit(transaction).await?;
    Ok(())
}

async fn update(
    connection: &mut Connection,
    payment: &str,
    version: i64,
    state: &str,
    authorization: &str,
) -> Result<(), Failure> {
    sqlx::query(
        "SELECT id, version, order_id, attempt, state, token, provider_id, amount, currency FROM payments
         WHERE id = $1",
    )
    .bind(payment)
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE payments SET version = version + 1, state = $3, token = $4, provider_id = $5
         WHERE id = $1 AND version = $2",
    )
    .bind(payment)
    .bind(version)
    .bind(state)
    .bind(None::<&str>)
    .bind(authorization)
    .execute(connection)
    .await?;
    Ok(())
}

async fn expect_new(connection: &mut Connection, key: &str) -> Result<(), Failure> {
    let known =
        sqlx::query("SELECT operation, outcome FROM calls WHERE key = $1").bind(key).fetch_optional(connection).await?;
    match known {
        None => Ok(()),
        Some(_) => Err(Failure::bad_request("The order is already paid")),
    }
}

async fn insert_call(connection: &mut Connection, key: &str, operation: &str, outcome: &str) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO calls (key, operation, outcome, made_ms) VALUES ($1, $2, $3, $4)")
        .bind(key)
        .bind(operation)
        .bind(outcome)
        .bind(now_ms())
        .execute(connection)
        .await?;
    Ok(())
}
