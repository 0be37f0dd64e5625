//! Executes the caller's statements, and answers with the store's result.

use serde_json::{Value as Json, json};
use ticketing_sdk::bindings::imports::platform::store::sql;
use ticketing_sdk::store::{SqlError, Transaction, Value};
use ticketing_sdk::{Request, Response, Result};

/// The length of the text that a request asks for with `bytes`.
type Filler = Option<usize>;

/// Runs `statement` with the function `call`: `query`, `execute`, or
/// `transaction`, which executes and commits. With `bytes`, `$1` is a text of that
/// length. With `fill`, such as `a*1000 %b*3`, the parameters are these texts, each
/// repeated as often as its number says.
pub(crate) fn run(request: &Request) -> Result<Response> {
    let mut fields = request.fields()?;
    let call = fields.text("call", |text| Ok(text.to_owned()));
    let statement = fields.text("statement", |text| Ok(text.to_owned()));
    let filler: Option<Filler> = fields.json("bytes", |json| {
        json.map(|json| json.parse().map_err(|_| "bytes must be a number".to_owned())).transpose()
    });
    let fill: Option<Vec<Value>> = fields.json("fill", |json| json.map_or(Ok(Vec::new()), repeated));
    let (Some(call), Some(statement), Some(filler), Some(fill)) = (call, statement, filler, fill) else {
        return Err(fields.into_error());
    };
    let parameters: Vec<Value> = filler.map(|bytes| Value::Text("x".repeat(bytes))).into_iter().chain(fill).collect();
    let outcome = match call.as_str() {
        "query" => sql::query(&statement, &parameters).map(|rows| rows_json(&rows)),
        "execute" => sql::execute(&statement, &parameters).map(|changed| json!(changed)),
        _ => in_transaction(&statement, &parameters),
    };
    let body = match outcome {
        Ok(result) => json!({ "result": result }),
        Err(error) => json!({ "error": error_json(&error) }),
    };
    Response::json(200, &body)
}

/// The texts of `fill`.
fn repeated(fill: &str) -> Result<Vec<Value>, String> {
    let fill = fill.trim_matches('"').split_whitespace();
    let texts = fill.map(|text| {
        let (text, times) = text.rsplit_once('*')?;
        Some(Value::Text(text.repeat(times.parse().ok()?)))
    });
    texts.collect::<Option<_>>().ok_or_else(|| "fill must be texts with numbers".to_owned())
}

fn in_transaction(statement: &str, parameters: &[Value]) -> Result<Json, SqlError> {
    let transaction = Transaction::begin()?;
    let changed = transaction.execute(statement, parameters)?;
    Transaction::commit(transaction)?;
    Ok(json!(changed))
}

/// The store's error: its kind and its message.
pub(crate) fn error_json(error: &SqlError) -> Json {
    let (kind, text) = match error {
        SqlError::Conflict => ("conflict", String::new()),
        SqlError::Constraint(violation) => ("constraint", violation.target.clone()),
        SqlError::Timeout => ("timeout", String::new()),
        SqlError::Limit(text) => ("limit", text.clone()),
        SqlError::Invalid(text) => ("invalid", text.clone()),
        SqlError::Unavailable(text) => ("unavailable", text.clone()),
    };
    json!({ "kind": kind, "text": text })
}

fn rows_json(rows: &sql::Rows) -> Json {
    rows.rows.iter().map(|row| row.iter().map(value_json).collect::<Json>()).collect()
}

fn value_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Integer(integer) => json!(integer),
        Value::Real(real) => json!(real),
        Value::Text(text) => json!(text),
        Value::Blob(bytes) => json!({ "bytes": bytes.len() }),
    }
}
