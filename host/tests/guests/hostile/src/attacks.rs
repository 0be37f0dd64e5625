//! Attacks that would harm a host without limits.

use std::hint::black_box;

use serde_json::json;
use ticketing_sdk::bindings::imports::platform::signals::signals::{self, Listener};
use ticketing_sdk::store::{SqlError, Transaction, transact};
use ticketing_sdk::{Error, Request, Response, Result, log, now_ms, params};

use crate::statements::error_json;

/// More than the manifest's `response_bytes`, and less than its memory.
const GIANT_BYTES: usize = 4 << 20;

/// More than the manifest's `host_calls`, and with a loop around it.
const FLOOD_LINES: u32 = 2_000;

/// Runs the attack that the path names.
pub(crate) fn attack(request: &Request) -> Result<Response> {
    match request.param("attack")? {
        "trap" => std::process::abort(),
        "panic" => panic_for(request),
        "loop" => endless(),
        "memory" => memory_bomb(),
        "stack" => Ok(depth(wide_recursion(black_box(u64::MAX)))),
        "recursion" => Ok(depth(narrow_recursion(black_box(u64::MAX)))),
        "giant" => Ok(Response::json(200, &"x".repeat(GIANT_BYTES))?),
        "calls" => flood_of_calls(),
        "log" => flood_of_lines(),
        "status" => Ok(Response::empty(black_box(99))),
        "header" => Ok(Response::empty(204).header("not a name", "x")),
        "value" => Ok(Response::empty(204).header("x-split", "a\r\nset-cookie: session=stolen")),
        "cookie" => Response::json(200, &json!({ "seen": request.header("cookie") })),
        "principal" => Response::json(200, &json!({ "id": request.principal().map(|user| &user.id) })),
        "slow" => slow(request),
        "leak" => leak_a_transaction(),
        "hold" => hold_a_transaction(request),
        "wait" => wait_for_ever(),
        "waits" => count_waits(),
        "listeners" => count_listeners(),
        "wait-holding" => wait_with_a_transaction(),
        _ => Err(Error::not_found()),
    }
}

/// A number from the query string.
fn number(request: &Request, name: &str) -> Result<i64> {
    request
        .query(name)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::field(name, format!("{name} must be a number")))
}

fn depth(depth: u64) -> Response {
    Response::empty(200).header("x-depth", depth.to_string())
}

#[expect(clippy::panic, reason = "the attack")]
fn panic_for(request: &Request) -> Result<Response> {
    panic!("asked to, by {}", request.method())
}

fn endless() -> ! {
    loop {
        black_box(());
    }
}

fn memory_bomb() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Fills the stack that the compiler keeps in linear memory.
fn wide_recursion(left: u64) -> u64 {
    let frame = black_box([left; 512]);
    if left == 0 { 0 } else { wide_recursion(left - 1) + frame.iter().sum::<u64>() }
}

/// Fills the stack on which WebAssembly itself runs.
fn narrow_recursion(left: u64) -> u64 {
    if left == 0 { 0 } else { black_box(narrow_recursion(left - 1)) + 1 }
}

fn flood_of_calls() -> ! {
    loop {
        black_box(now_ms());
    }
}

fn flood_of_lines() -> Result<Response> {
    let line = "flood ".repeat(200);
    for _ in 0..FLOOD_LINES {
        log::warn("flood", &line);
    }
    Ok(Response::empty(204))
}

/// Computes for `ms` milliseconds, within the limits. Meanwhile it holds `mib` MiB, if the
/// request says so.
fn slow(request: &Request) -> Result<Response> {
    let mib = number(request, "mib").map_or(0, |mib| usize::try_from(mib).unwrap_or(0));
    let hoard = black_box(vec![1_u8; mib << 20]);
    compute_for(number(request, "ms")?);
    drop(black_box(hoard));
    Ok(Response::empty(204))
}

fn compute_for(milliseconds: i64) {
    let end = now_ms() + milliseconds;
    while now_ms() < end {
        // The loop makes few calls into the host, to stay below its limit.
        for step in 0..1_000_000_u32 {
            black_box(step);
        }
    }
}

/// Writes, and forgets the transaction without running its destructor.
fn leak_a_transaction() -> Result<Response> {
    let transaction = Transaction::begin()?;
    transaction.execute("UPDATE treasure SET note = 'leaked'", &[])?;
    std::mem::forget(transaction);
    Ok(Response::empty(204))
}

/// Writes, holds the transaction for `ms` milliseconds, and goes on.
fn hold_a_transaction(request: &Request) -> Result<Response> {
    let transaction = Transaction::begin()?;
    transaction.execute("UPDATE treasure SET note = 'held'", &[])?;
    compute_for(number(request, "ms")?);
    let update = transaction.execute("UPDATE treasure SET note = 'held for long'", &[]);
    let commit = Transaction::commit(transaction);
    Response::json(
        200,
        &json!({
            "update": update.err().map(|error| error_json(&error)),
            "commit": commit.err().map(|error| error_json(&error)),
        }),
    )
}

/// Waits as often and as long as the host lets it, for what nobody announces.
fn wait_for_ever() -> Result<Response> {
    let listener = Listener::listen("never")?;
    loop {
        match listener.wait(u32::MAX) {
            Err(SqlError::Limit(limit)) => return Response::json(200, &json!({ "limit": limit })),
            result => result.map(drop)?,
        }
    }
}

/// The number of waits until the host refuses one.
fn count_waits() -> Result<Response> {
    let listener = Listener::listen("never")?;
    let mut waits = 0;
    while listener.wait(0).is_ok() {
        waits += 1;
    }
    let own = Transaction::begin()?;
    let topics = (0..).take_while(|number| signals::notify(&own, &format!("topic {number}")).is_ok()).count();
    Transaction::commit(own)?;
    Response::json(200, &json!({ "waits": waits, "topics": topics }))
}

/// The number of listeners until the host refuses one.
fn count_listeners() -> Result<Response> {
    let mut hoard = Vec::new();
    while let Ok(listener) = Listener::listen(&format!("never {}", hoard.len())) {
        hoard.push(listener);
    }
    let count = hoard.len();
    std::mem::forget(hoard);
    Response::json(200, &json!({ "listeners": count }))
}

/// Waits while it holds the write lock, which the event that it waits for needs.
fn wait_with_a_transaction() -> Result<Response> {
    let listener = Listener::listen("never")?;
    let transaction = Transaction::begin()?;
    let refused = listener.wait(1_000).err();
    Transaction::rollback(transaction);
    let allowed = listener.wait(1).err();
    Response::json(
        200,
        &json!({
            "refused": refused.map(|error| error_json(&error)),
            "allowed": allowed.map(|error| error_json(&error)),
        }),
    )
}

/// The body of an answer that is too large to be stored.
const LARGE_BYTES: usize = 70 << 10;

/// Commits a change, and then ends as the query says. With `before`, it ends before
/// the change.
pub(crate) fn half(request: &Request) -> Result<Response> {
    let end = request.query("end");
    if end.as_deref() == Some("before") {
        std::process::abort();
    }
    transact(|tx| {
        tx.execute(
            "INSERT INTO applied (id, times) VALUES ($1, 1) ON CONFLICT (id) DO UPDATE SET times = applied.times + 1",
            params![&request.query("id").unwrap_or_default()],
        )
    })?;
    match end.as_deref() {
        Some("trap") => std::process::abort(),
        Some("loop") => endless(),
        Some("error") => Ok(Response::empty(500)),
        Some("busy") => Ok(Response::empty(503)),
        Some("repeatable") => Ok(Response::empty(503).header("x-repeatable", "true")),
        Some("invalid") => Ok(Response::empty(black_box(99))),
        Some("large") => Response::json(200, &"x".repeat(LARGE_BYTES)),
        _ => Ok(Response::empty(204).header("idempotent-replayed", "forged")),
    }
}
