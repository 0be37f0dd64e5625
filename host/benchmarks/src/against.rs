//! Two builds of the host under the same load in turns: this one, and the program that
//! `--against` names.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use crate::client::request;
use crate::cluster;
use crate::edge::reads;
use crate::load::{Comparison, Effort, Requests};
use crate::purchase;
use crate::report::Row;
use crate::server::{Server, Setup};
use crate::side_by_side::in_turns_on;

/// The benchmarks that can compare two builds.
pub(crate) const NAMES: [&str; 5] = ["hello", "fresh", "ticket", "purchase", "services"];

/// A build may be slower by this much before the table says so.
const TARGET: f64 = 0.97;

/// Runs one of [`NAMES`].
pub(crate) async fn run(name: &str, other: &Path, effort: Effort) -> Result<Row> {
    let comparison = match name {
        "hello" => guest("hello", other, effort).await?,
        "fresh" => guest("hello-fresh", other, effort).await?,
        "ticket" => {
            let (other, this) = (Setup::new("")?.of_build(other), Setup::new("")?);
            let (other, this) = (other.start().await?, this.start().await?);
            let (some, others) = (reads(&other).await?, reads(&this).await?);
            in_turns_on((other, some), (this, others), effort).await?
        }
        "services" => cluster::builds(other, effort).await?,
        _ => {
            let (other, this) = (Setup::new("")?.of_build(other), Setup::new("")?);
            purchase::compare(vec![other.start().await?], vec![this.start().await?], effort).await?
        }
    };
    Ok(Row::ratio(name, comparison, TARGET, "the difference between the builds"))
}

async fn guest(name: &str, other: &Path, effort: Effort) -> Result<Comparison> {
    let (other, this) = (Setup::of_guest(name, &[])?.of_build(other), Setup::of_guest(name, &[])?);
    let requests: Requests = Arc::new([request("GET", &format!("/{name}"), None, None)]);
    let (other, this): (Server, Server) = (other.start().await?, this.start().await?);
    in_turns_on((other, requests.clone()), (this, requests), effort).await
}
