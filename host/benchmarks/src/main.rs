//! Compares the host with native code that does the same work, and prints a
//! table. `cargo xtask bench` runs all benchmarks. `cargo xtask bench --
//! --quick hello` runs some of them for a shorter time.
//!
//! Every server is a process of its own. This process sends the load from one
//! thread over the loopback interface, to one server after the other. A ratio
//! therefore compares two servers on the same machine under the same load.

mod against;
mod attacks;
mod benchmarks;
mod build;
mod client;
mod cluster;
mod edge;
mod hello;
mod http2;
mod instructions;
mod latency;
mod live;
mod load;
mod market;
mod native;
mod operator;
mod payments;
mod purchase;
mod report;
mod scale;
mod server;
mod side_by_side;
mod start;
mod swaps;
mod tickets;
mod training;
mod wasi;

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use clap::Parser;

use crate::benchmarks::NAMES;
use crate::load::{Effort, quantile};
use crate::native::Data;
use crate::report::{Row, report};

#[derive(Parser)]
#[command(about = "Compares the host with native code that does the same work")]
struct Cli {
    /// Shorter and less exact
    #[arg(long)]
    quick: bool,
    /// Any of hello, duties, browser, fresh, ticket, paced, wasi, purchase, latency, payments, start, swaps, upload, memory, many, live, scale, services, jetstream, hosts, killed, attacks, http2, limits, slow, instructions; all if none is named
    names: Vec<String>,
    /// Compare this build with another program `ticketing` in its place: hello, fresh, ticket, purchase, services
    #[arg(long, value_name = "PATH")]
    against: Option<PathBuf>,
    /// Measure nothing, and put load on this program `ticketing`, so that it learns what is common
    #[arg(long, value_name = "PATH", hide = true)]
    train: Option<PathBuf>,
    /// Serve as this baseline
    #[arg(long, hide = true)]
    native: Option<String>,
    /// The SQLite file of the baseline
    #[arg(long, hide = true, requires = "native")]
    file: Option<PathBuf>,
    /// The URLs of PostgreSQL and NATS, instead of a file
    #[arg(long, hide = true, requires = "native", num_args = 2)]
    services: Vec<String>,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let data = match (&cli.file, &cli.services[..]) {
        (Some(file), _) => Some(Data::File(file.clone())),
        (None, [database, nats]) => Some(Data::Services(database.clone(), nats.clone())),
        _ => None,
    };
    if let (Some(kind), Some(data)) = (&cli.native, data) {
        return native::serve(kind, &data);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match &cli.train {
        Some(program) => runtime.block_on(training::run(program)),
        None => runtime.block_on(measure(&cli)),
    }
}

async fn measure(cli: &Cli) -> Result<()> {
    let names: &[&str] = if cli.against.is_some() { &against::NAMES } else { &NAMES };
    if let Some(unknown) = cli.names.iter().find(|wanted| !names.iter().any(|name| name.contains(wanted.as_str()))) {
        bail!("no benchmark is called {unknown}; there are {}", names.join(", "));
    }
    let is_wanted = |name: &str| cli.names.is_empty() || cli.names.iter().any(|wanted| name.contains(wanted.as_str()));
    if names.iter().any(|name| *name == "instructions" && is_wanted(name)) {
        instructions::check_tools().await?;
    }
    let effort = if cli.quick { Effort::QUICK } else { Effort::FULL };
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for name in names.iter().filter(|name| is_wanted(name)) {
        let begun = Instant::now();
        let measured = match &cli.against {
            Some(other) => against::run(name, other, effort).await.map(|row| vec![row]),
            None => benchmarks::run(name, effort).await,
        };
        match measured {
            Ok(measured) => {
                rows.extend(measured);
                eprintln!("{name}: {:.0} s", begun.elapsed().as_secs_f64());
            }
            // The figures of the others are not lost.
            Err(error) => {
                eprintln!("{name}: {error:#}");
                failed.push(*name);
            }
        }
    }
    let baseline = if cli.against.is_some() { "other build" } else { "native" };
    println!("{}", report(&rows, baseline, sync_ms()?));
    ensure!(failed.is_empty(), "these benchmarks failed: {}", failed.join(", "));
    ensure!(!rows.iter().any(Row::is_failure), "a count has grown: see the table");
    Ok(())
}

/// The time that the disk takes to make a small write durable, in milliseconds.
fn sync_ms() -> Result<f64> {
    let mut file = tempfile::tempfile_in(build::scratch()?)?;
    let mut samples = Vec::new();
    for _ in 0..50 {
        let begun = Instant::now();
        file.write_all(&[0; 4_096])?;
        file.sync_data()?;
        samples.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    quantile(&mut samples, 0.5)
}
