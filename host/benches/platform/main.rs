//! Measures the host beside native code that does the same, and prints a
//! table. `cargo xtask bench` runs it; `cargo xtask bench -- --quick hello`
//! runs a part of it for a shorter time.
//!
//! Every server is a process of its own and the load comes from this one, on
//! one thread and over loopback, so a ratio is of two servers on the same
//! machine under the same load, measured in turns.

mod client;
mod hello;
mod latency;
mod load;
mod market;
mod native;
mod purchase;
mod report;
mod server;
mod side_by_side;
mod start;
mod tickets;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;

use crate::load::Effort;
use crate::report::{Row, table};

#[derive(Parser)]
#[command(about = "Measures the host beside native code that does the same")]
struct Cli {
    /// Shorter and less exact
    #[arg(long)]
    quick: bool,
    /// Any of hello, fresh, ticket, purchase, latency, start; all if none is named
    names: Vec<String>,
    /// Cargo says so to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
    /// Be a baseline
    #[arg(long, hide = true, requires = "file")]
    native: Option<String>,
    /// The baseline's data
    #[arg(long, hide = true)]
    file: Option<PathBuf>,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    if let (Some(kind), Some(file)) = (&cli.native, &cli.file) {
        return native::serve(kind, file);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(&cli))
}

async fn measure(cli: &Cli) -> Result<()> {
    let effort = if cli.quick { Effort::QUICK } else { Effort::FULL };
    let mut rows = Vec::new();
    for name in ["hello", "fresh", "ticket", "purchase", "latency", "start"] {
        if !cli.names.is_empty() && !cli.names.iter().any(|wanted| name.contains(wanted.as_str())) {
            continue;
        }
        let begun = Instant::now();
        rows.extend(one(name, effort).await.with_context(|| name.to_owned())?);
        eprintln!("{name}: {:.0} s", begun.elapsed().as_secs_f64());
    }
    println!("{}", table(&rows));
    Ok(())
}

async fn one(name: &str, effort: Effort) -> Result<Vec<Row>> {
    match name {
        "hello" => {
            let comparison = hello::measure("hello", effort).await?;
            Ok(vec![Row::ratio("hello component", "/s", comparison, 0.60)])
        }
        "fresh" => {
            let comparison = hello::measure("hello-fresh", effort).await?;
            Ok(vec![Row::ratio("hello component, fresh instance each", "/s", comparison, 0.20)])
        }
        "ticket" => {
            let comparison = tickets::measure(effort).await?;
            Ok(vec![Row::ratio("GET /api/tickets/{id}", "/s", comparison, 0.60)])
        }
        "purchase" => {
            let comparison = purchase::measure(effort).await?;
            Ok(vec![Row::ratio("sign in, list, reserve, pay", "/s", comparison, 0.75)])
        }
        "latency" => {
            let latency = latency::measure(effort).await?;
            let measured = format!("p50 {:.1} ms, max {:.1} ms", latency.p50, latency.max);
            Ok(vec![Row::at_most("order made to ticket reserved, p99", measured, latency.p99, 15.0, "ms")])
        }
        _ => {
            let start = start::measure(effort).await?;
            Ok(vec![
                Row::at_most("ready, warm cache", String::new(), start.seconds * 1_000.0, 500.0, "ms"),
                Row::at_most("resident memory, idle", String::new(), start.resident_mib, 150.0, "MiB"),
            ])
        }
    }
}
