//! Measures the host beside native code that does the same, and prints a
//! table. `cargo xtask bench` runs it; `cargo xtask bench -- --quick hello`
//! runs a part of it for a shorter time.
//!
//! Every server is a process of its own and the load comes from this one, on
//! one thread and over loopback, so a ratio is of two servers on the same
//! machine under the same load, measured in turns.

mod client;
mod cluster;
mod hello;
mod latency;
mod load;
mod market;
mod native;
mod operator;
mod purchase;
mod report;
mod scale;
mod server;
mod side_by_side;
mod start;
mod swaps;
mod tickets;

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Parser;

use crate::load::{Effort, quantile};
use crate::native::Data;
use crate::report::{Row, report};

#[derive(Parser)]
#[command(about = "Measures the host beside native code that does the same")]
struct Cli {
    /// Shorter and less exact
    #[arg(long)]
    quick: bool,
    /// Any of hello, fresh, ticket, purchase, latency, start, swaps, upload, memory, many, scale, services, jetstream, hosts, killed; all if none is named
    names: Vec<String>,
    /// Cargo says so to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
    /// Be a baseline
    #[arg(long, hide = true)]
    native: Option<String>,
    /// The baseline's data
    #[arg(long, hide = true, requires = "native")]
    file: Option<PathBuf>,
    /// Or the URLs of PostgreSQL and NATS
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
    runtime.block_on(measure(&cli))
}

const NAMES: [&str; 15] = [
    "hello",
    "fresh",
    "ticket",
    "purchase",
    "latency",
    "start",
    "swaps",
    "upload",
    "memory",
    "many",
    "scale",
    "services",
    "jetstream",
    "hosts",
    "killed",
];

async fn measure(cli: &Cli) -> Result<()> {
    if let Some(unknown) = cli.names.iter().find(|wanted| !NAMES.iter().any(|name| name.contains(wanted.as_str()))) {
        bail!("no benchmark is called {unknown}; there are {}", NAMES.join(", "));
    }
    let effort = if cli.quick { Effort::QUICK } else { Effort::FULL };
    let mut rows = Vec::new();
    for name in NAMES {
        if !cli.names.is_empty() && !cli.names.iter().any(|wanted| name.contains(wanted.as_str())) {
            continue;
        }
        let begun = Instant::now();
        rows.extend(one(name, effort).await.with_context(|| name.to_owned())?);
        eprintln!("{name}: {:.0} s", begun.elapsed().as_secs_f64());
    }
    println!("{}", report(&rows, sync_ms()?));
    Ok(())
}

/// How long the disk takes to make a small write durable, in milliseconds.
fn sync_ms() -> Result<f64> {
    let mut file = tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut samples = Vec::new();
    for _ in 0..50 {
        let begun = Instant::now();
        file.write_all(&[0; 4_096])?;
        file.sync_data()?;
        samples.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    quantile(&mut samples, 0.5)
}

async fn one(name: &str, effort: Effort) -> Result<Vec<Row>> {
    match name {
        "hello" => {
            let limit = "the way into the component and back, and the request's line in the log";
            Ok(vec![Row::ratio("hello component", hello::measure("hello", effort).await?, 0.60, limit)])
        }
        "fresh" => {
            let limit = "the making and clearing of an instance's memory, which is the kernel's work";
            let comparison = hello::measure("hello-fresh", effort).await?;
            Ok(vec![Row::ratio("hello component, fresh instance each", comparison, 0.20, limit)])
        }
        "ticket" => {
            let limit = "the way into the component and back, twice, and the request's line in the log";
            Ok(vec![Row::ratio("GET /api/tickets/{id}", tickets::measure(effort).await?, 0.60, limit)])
        }
        "purchase" => {
            let limit = "the commits of separate components and of the events between them";
            Ok(vec![Row::ratio("sign in, list, reserve, pay", purchase::measure(effort).await?, 0.75, limit)])
        }
        "latency" => {
            let latency = latency::measure(effort).await?;
            let measured = format!("p50 {:.1} ms, max {:.1} ms", latency.p50, latency.max);
            let limit = "the disk: the event is durable on the bus, then the ticket in its database";
            let what = "order made to ticket reserved, p99";
            Ok(vec![Row::at_most(what, measured, latency.p99, 15.0, "ms", limit)])
        }
        "jetstream" => {
            let latency = cluster::event_latency(effort).await?;
            let measured = format!("p50 {:.1} ms, max {:.1} ms", latency.p50, latency.max);
            let limit = "the disk: the event is durable in JetStream, then the ticket in PostgreSQL";
            let what = "the same on PostgreSQL and JetStream, p99";
            let begun = "from its publication to its handler's start";
            Ok(vec![
                Row::at_most(what, measured, latency.p99, 15.0, "ms", limit),
                Row::at_most(&format!("{begun}, p50"), String::new(), latency.begun_p50, 3.0, "ms", limit),
                Row::at_most(&format!("{begun}, p99"), String::new(), latency.begun_p99, 15.0, "ms", limit),
            ])
        }
        "services" => {
            let limit = "the commits of separate components and of the events between them";
            let comparison = cluster::purchase(effort).await?;
            Ok(vec![Row::ratio("the purchase on PostgreSQL and JetStream", comparison, 0.75, limit)])
        }
        "hosts" => {
            let limit = "what each host does by itself, and the memory for hashes and the connections that each has";
            let (busy, pace) = cluster::three_hosts(effort).await?;
            let what = format!("time of a purchase on three hosts to that on one, {:.0} a second", pace.per_second);
            let times = format!("{:.1} ms, {:.1} ms", pace.other_ms, pace.one_ms);
            Ok(vec![
                Row::ratio("purchases on three hosts, beside one", busy, 1.0, limit),
                Row::at_most(&what, times, pace.other_ms / pace.one_ms, 1.0, "x", limit),
            ])
        }
        "killed" => {
            let outcomes = cluster::one_is_killed(effort).await?;
            let what = "purchases that failed on the others while one of three hosts was killed and came back";
            let measured = format!("{} made, {} cut off with it", outcomes.made, outcomes.cut_off);
            let limit = "what the others wait for when one is gone";
            Ok(vec![Row::at_most(what, measured, outcomes.failed as f64, 0.0, "", limit)])
        }
        "scale" => {
            let (tickets, small, large) = scale::measure(effort).await?;
            let row = |what: &str, small: f64, large: f64| {
                let what = format!("{what} where there are {tickets} tickets, to where there are 1000");
                let times = format!("{large:.2} ms, {small:.2} ms");
                Row::at_most(
                    &what,
                    times,
                    large / small,
                    1.5,
                    "x",
                    "the depth of the tables and their place on the disk",
                )
            };
            Ok(vec![
                row("list", small.list, large.list),
                row("read", small.read, large.read),
                row("reserve", small.reserve, large.reserve),
            ])
        }
        "swaps" | "upload" | "memory" | "many" => life(name, effort).await,
        _ => {
            let start = start::measure(effort).await?;
            let (ready, memory) = ("the loading of compiled components", "the components' code and warm instances");
            Ok(vec![
                Row::at_most("ready, warm cache", String::new(), start.seconds * 1_000.0, 500.0, "ms", ready),
                Row::at_most("resident memory, idle", String::new(), start.resident_mib, 150.0, "MiB", memory),
            ])
        }
    }
}

/// What a plugin's life costs.
async fn life(name: &str, effort: Effort) -> Result<Vec<Row>> {
    match name {
        "swaps" => {
            let load = swaps::under_load(effort).await?;
            let times = format!("p99 {:.1} ms, without {:.1} ms", load.swapping_p99_ms, load.quiet_p99_ms);
            let what = format!("{} swaps under purchases: p99 to p99 without", load.swaps);
            let ratio = load.swapping_p99_ms / load.quiet_p99_ms;
            let shared = "the processors, which prepare a revision and serve at the same time";
            Ok(vec![
                Row::at_most(&what, times, ratio, 2.0, "x", shared),
                Row::at_most("exchange of the snapshot, longest", String::new(), load.swap_ms, 1.0, "ms", shared),
                Row::at_most("activation of a staged revision", String::new(), load.activate_ms, 50.0, "ms", shared),
            ])
        }
        "upload" => {
            let upload = swaps::upload(effort).await?;
            let (compiler, disk) = ("the compiler", "reading the compiled code and its digest");
            let cold = upload.cold_seconds;
            Ok(vec![
                Row::at_most("upload of orders, nothing cached", String::new(), cold, 1.5, "s", compiler),
                Row::at_most("its code from the cache", String::new(), upload.cached_ms, 20.0, "ms", disk),
                Row::at_most("rollback", String::new(), upload.rollback_ms, 50.0, "ms", disk),
            ])
        }
        "memory" => {
            let (swaps, early, late) = swaps::memory(effort).await?;
            let measured = format!("{early:.1} MiB after 10, {late:.1} MiB");
            let grown = (late / early - 1.0) * 100.0;
            let what = format!("memory gained by {swaps} swaps");
            Ok(vec![Row::at_most(&what, measured, grown, 10.0, "%", "what is kept of old revisions")])
        }
        _ => {
            let many = swaps::many(effort).await?;
            let code = "the compiled code and one warm instance of each";
            let what = format!("{} plugins, each idle", many.plugins);
            let rates = format!("{:.0} /s alone, {:.0} /s among them", many.alone.per_second, many.among.per_second);
            let slower = many.alone.per_second / many.among.per_second;
            Ok(vec![
                Row::at_most(&what, String::new(), many.mib_each, 1.5, "MiB", code),
                Row::at_most("one plugin among them, alone to beside", rates, slower, 1.1, "x", "the router"),
            ])
        }
    }
}
