//! The entries and the guests: every statement of the plugin.

use crate::platform::store::sql::{self, Error, Timer, Transaction, Value};
use crate::wasi::{clocks::wall_clock, config::store as config};

/// How many entries a list has.
const NEWEST: i64 = 20;
const MONTH_SECONDS: u64 = 30 * 24 * 60 * 60;

/// Writes an entry, announces it, and plans its end.
pub(crate) fn sign(id: &str, guest: &str, message: &str) -> Result<String, Error> {
    let now_ms = now_ms();
    let tx = Transaction::begin()?;
    tx.execute(
        "INSERT INTO entries (id, guest, message, written_ms) VALUES ($1, $2, $3, $4)",
        &[text(id), text(guest), text(message), Value::Integer(now_ms.cast_signed())],
    )?;
    tx.publish("guestbook.signed", guest.as_bytes())?;
    tx.schedule(&Timer { key: id.into(), due_ms: now_ms + keep_seconds() * 1_000, payload: Vec::new() })?;
    Transaction::commit(tx)?;
    Ok(format!("Thank you, {guest}.\n"))
}

/// The newest entries, one a line.
pub(crate) fn entries() -> Result<String, Error> {
    let found = sql::query(
        "SELECT guest, message FROM entries ORDER BY written_ms DESC, id DESC LIMIT $1",
        &[Value::Integer(NEWEST)],
    )?;
    let lines = found.rows.iter().filter_map(|row| match row.as_slice() {
        [Value::Text(guest), Value::Text(message)] => Some(format!("{guest}: {message}\n")),
        _ => None,
    });
    Ok(lines.collect())
}

/// How many entries a guest has written.
pub(crate) fn guest(guest: &str) -> Result<String, Error> {
    let found = sql::query("SELECT signed FROM guests WHERE guest = $1", &[text(guest)])?;
    let signed = match found.rows.first().map(Vec::as_slice) {
        Some([Value::Integer(signed)]) => *signed,
        _ => 0,
    };
    Ok(format!("Entries of {guest}: {signed}\n"))
}

/// Counts a signature in the transaction of its event.
pub(crate) fn count(tx: &Transaction, guest: &str) -> Result<(), Error> {
    let statement = "INSERT INTO guests (guest, signed) VALUES ($1, 1) \
                     ON CONFLICT (guest) DO UPDATE SET signed = guests.signed + 1";
    tx.execute(statement, &[text(guest)]).map(drop)
}

/// Removes an entry in the transaction of its timer.
pub(crate) fn remove(tx: &Transaction, id: &str) -> Result<(), Error> {
    tx.execute("DELETE FROM entries WHERE id = $1", &[text(id)]).map(drop)
}

/// The setting of the operator, or the default in plugin.toml.
fn keep_seconds() -> u64 {
    config::get("keep-seconds").ok().flatten().and_then(|seconds| seconds.parse().ok()).unwrap_or(MONTH_SECONDS)
}

fn now_ms() -> u64 {
    let now = wall_clock::now();
    now.seconds * 1_000 + u64::from(now.nanoseconds) / 1_000_000
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}
