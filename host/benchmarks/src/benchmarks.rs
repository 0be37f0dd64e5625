//! The benchmarks by name: what each measures, its target, and what limits it
//! where it misses the target.

use anyhow::Result;

use crate::load::Effort;
use crate::report::Row;
use crate::wasi::Guest;
use crate::{
    attacks, cluster, edge, hello, instructions, latency, live, payments, purchase, scale, start, swaps, tickets, wasi,
};

pub(crate) const NAMES: [&str; 26] = [
    "hello",
    "duties",
    "browser",
    "fresh",
    "ticket",
    "paced",
    "wasi",
    "purchase",
    "latency",
    "payments",
    "start",
    "swaps",
    "upload",
    "memory",
    "many",
    "live",
    "scale",
    "services",
    "jetstream",
    "hosts",
    "killed",
    "attacks",
    "http2",
    "limits",
    "slow",
    "instructions",
];

/// What limits a purchase by separate components.
const COMMITS: &str = "the commits of separate components and of the events between them";

/// Runs one of [`NAMES`].
pub(crate) async fn run(name: &str, effort: Effort) -> Result<Vec<Row>> {
    match name {
        "hello" => hello(effort).await,
        "duties" => duties(effort).await,
        "browser" => browser(effort).await,
        "fresh" => fresh(effort).await,
        "ticket" => ticket(effort).await,
        "paced" => paced(effort).await,
        "wasi" => wasi(effort).await,
        "purchase" => {
            Ok(vec![Row::ratio("sign in, list, reserve, pay", purchase::measure(effort).await?, 1.2, COMMITS)])
        }
        "latency" => latency(effort).await,
        "payments" => payments(effort).await,
        "start" => start(effort).await,
        "swaps" => swaps(effort).await,
        "upload" => upload(effort).await,
        "memory" => memory(effort).await,
        "many" => many(effort).await,
        "live" => live(effort).await,
        "scale" => scale(effort).await,
        "services" => {
            let comparison = cluster::purchase(effort).await?;
            Ok(vec![Row::ratio("the purchase on PostgreSQL and JetStream", comparison, 1.0, COMMITS)])
        }
        "jetstream" => jetstream(effort).await,
        "hosts" => hosts(effort).await,
        "killed" => killed(effort).await,
        "attacks" => attacks(effort).await,
        "http2" => http2(effort).await,
        "limits" => limits(effort).await,
        "slow" => slow(effort).await,
        "instructions" => instructions::measure().await,
        _ => Ok(Vec::new()),
    }
}

async fn hello(effort: Effort) -> Result<Vec<Row>> {
    let limit = "the call into the component and back, and the request's line in the log";
    Ok(vec![Row::ratio("hello component", hello::measure("hello", effort).await?, 0.75, limit)])
}

async fn duties(effort: Effort) -> Result<Vec<Row>> {
    let limit = "the call into the component and back";
    Ok(vec![Row::ratio("hello, beside axum with the same duties", hello::beside_duties(effort).await?, 1.0, limit)])
}

async fn browser(effort: Effort) -> Result<Vec<Row>> {
    let limit = "the call into the component and back, and the check of the session";
    Ok(vec![Row::ratio("hello for a browser with a session", hello::of_browser(effort).await?, 0.75, limit)])
}

async fn wasi(effort: Effort) -> Result<Vec<Row>> {
    let limit = "the duties of the host, which wasmtime serve does not have";
    let (older, newer) = (wasi::measure(Guest::Asking, effort).await?, wasi::measure(Guest::Streaming, effort).await?);
    Ok(vec![
        Row::ratio("wasi:http 0.2, beside wasmtime serve", older, 1.1, limit),
        Row::ratio("wasi:http 0.3, beside wasmtime serve", newer, 1.1, limit),
    ])
}

async fn paced(effort: Effort) -> Result<Vec<Row>> {
    let seen = tickets::paced(effort).await?;
    let times =
        format!("{:.2} ms, native {:.2} ms, at {:.0} /s", seen.host_p99_ms, seen.native_p99_ms, seen.per_second);
    let limit = "the processors, which the clients use too";
    Ok(vec![Row::at_most(
        "GET /api/tickets/{id} at half of the native load, p99 to native",
        times,
        seen.ratio,
        1.5,
        "x",
        limit,
    )])
}

async fn fresh(effort: Effort) -> Result<Vec<Row>> {
    let limit = "the kernel's work to map and clear the memory of an instance";
    let comparison = hello::measure("hello-fresh", effort).await?;
    Ok(vec![Row::ratio("hello component, fresh instance each", comparison, 0.35, limit)])
}

async fn ticket(effort: Effort) -> Result<Vec<Row>> {
    let limit = "two calls into the component and back, and the request's line in the log";
    Ok(vec![Row::ratio("GET /api/tickets/{id}", tickets::measure(effort).await?, 0.90, limit)])
}

async fn latency(effort: Effort) -> Result<Vec<Row>> {
    let latency = latency::measure(effort).await?;
    let measured = format!("p50 {:.1} ms, max {:.1} ms", latency.p50, latency.max);
    let limit = "the disk: the event is durable on the bus, then the ticket in its database";
    Ok(vec![Row::at_most("order made to ticket reserved, p99", measured, latency.p99, 15.0, "ms", limit)])
}

async fn payments(effort: Effort) -> Result<Vec<Row>> {
    let (embedded, services) = (payments::measure(effort).await?, cluster::payment_answers(effort).await?);
    let limit = "the disk: three commits, and the events between them";
    let row = |what: &str, answers: &payments::Answers, value: f64, target: f64| {
        let measured = format!("p50 {:.1} ms, max {:.1} ms", answers.p50, answers.max);
        Row::at_most(what, measured, value, target, "ms", limit)
    };
    Ok(vec![
        row("payment to its answer, p50", &embedded, embedded.p50, 15.0),
        row("payment to its answer, p99", &embedded, embedded.p99, 40.0),
        row("the same on PostgreSQL and JetStream, p99", &services, services.p99, 80.0),
    ])
}

async fn jetstream(effort: Effort) -> Result<Vec<Row>> {
    let latency = cluster::event_latency(effort).await?;
    let measured = format!("p50 {:.1} ms, max {:.1} ms", latency.p50, latency.max);
    let limit = "the disk: the event is durable in JetStream, then the ticket in PostgreSQL";
    let handler = "from its publication to its handler's start";
    Ok(vec![
        Row::at_most("the same on PostgreSQL and JetStream, p99", measured, latency.p99, 15.0, "ms", limit),
        Row::at_most(&format!("{handler}, p50"), String::new(), latency.handler_p50, 3.0, "ms", limit),
        Row::at_most(&format!("{handler}, p99"), String::new(), latency.handler_p99, 15.0, "ms", limit),
    ])
}

async fn hosts(effort: Effort) -> Result<Vec<Row>> {
    let limit = "the work that each host does for itself, and the hashing memory and connections that each has";
    let (busy, pace) = cluster::three_hosts(effort).await?;
    let what = format!("time of a purchase on three hosts to that on one, {:.0} a second", pace.per_second);
    let times = format!("{:.1} ms, {:.1} ms", pace.other_ms, pace.one_ms);
    Ok(vec![
        Row::ratio("purchases on three hosts, beside one", busy, 1.0, limit),
        Row::at_most(&what, times, pace.other_ms / pace.one_ms, 1.0, "x", limit),
    ])
}

async fn killed(effort: Effort) -> Result<Vec<Row>> {
    let outcomes = cluster::one_is_killed(effort).await?;
    let what = "purchases that failed on the others while one of three hosts was killed and came back";
    let measured = format!("{} made, {} cut off with it", outcomes.made, outcomes.cut_off);
    let limit = "the time until another host takes over the work of the killed one";
    Ok(vec![Row::at_most(what, measured, outcomes.failed as f64, 0.0, "", limit)])
}

async fn scale(effort: Effort) -> Result<Vec<Row>> {
    let (tickets, small, large) = scale::measure(effort).await?;
    let limit = "the depth of the tables and their place on the disk";
    let row = |what: &str, small: f64, large: f64| {
        let what = format!("{what} where there are {tickets} tickets, to where there are 1000");
        let times = format!("{large:.2} ms, {small:.2} ms");
        Row::at_most(&what, times, large / small, 1.5, "x", limit)
    };
    Ok(vec![
        row("list", small.list, large.list),
        row("search for a common word", small.common_word, large.common_word),
        row("search for a rare word", small.rare_word, large.rare_word),
        Row::at_most(
            &format!("search for a word that almost every one of {tickets} tickets has"),
            format!("{:.2} ms", large.near_matches),
            large.near_matches,
            20.0,
            "ms",
            "the titles that a search looks at for one page",
        ),
        row("read", small.read, large.read),
        row("reserve", small.reserve, large.reserve),
    ])
}

async fn start(effort: Effort) -> Result<Vec<Row>> {
    let start = start::measure(effort).await?;
    let (ready, memory) = ("the loading of compiled components", "the components' code and warm instances");
    Ok(vec![
        Row::at_most("ready, warm cache", String::new(), start.seconds * 1_000.0, 500.0, "ms", ready),
        Row::at_most("resident memory, idle", String::new(), start.resident_mib, 150.0, "MiB", memory),
    ])
}

async fn swaps(effort: Effort) -> Result<Vec<Row>> {
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

async fn upload(effort: Effort) -> Result<Vec<Row>> {
    let upload = swaps::upload(effort).await?;
    let (compiler, disk) = ("the compiler", "reading the compiled code and its digest");
    Ok(vec![
        Row::at_most("upload of orders, nothing cached", String::new(), upload.cold_seconds, 1.5, "s", compiler),
        Row::at_most("its code from the cache", String::new(), upload.cached_ms, 20.0, "ms", disk),
        Row::at_most("rollback", String::new(), upload.rollback_ms, 50.0, "ms", disk),
    ])
}

async fn memory(effort: Effort) -> Result<Vec<Row>> {
    let (swaps, early, late) = swaps::memory(effort).await?;
    let measured = format!("{early:.1} MiB after 10, {late:.1} MiB");
    let growth_percent = (late / early - 1.0) * 100.0;
    let what = format!("memory gained by {swaps} swaps");
    Ok(vec![Row::at_most(&what, measured, growth_percent, 10.0, "%", "the records of old revisions")])
}

async fn many(effort: Effort) -> Result<Vec<Row>> {
    let many = swaps::many(effort).await?;
    let code = "the compiled code and one warm instance of each";
    let what = format!("{} plugins, each idle", many.plugins);
    let rates = format!("{:.0} /s alone, {:.0} /s among them", many.alone.per_second, many.among.per_second);
    let slower = many.alone.per_second / many.among.per_second;
    Ok(vec![
        Row::at_most(&what, String::new(), many.mib_each, 0.4, "MiB", code),
        Row::at_most("one plugin among them, alone to beside", rates, slower, 1.1, "x", "the router"),
        Row::at_most("start with all of them", String::new(), many.start_seconds, 2.0, "s", code),
    ])
}

async fn live(effort: Effort) -> Result<Vec<Row>> {
    let live = live::measure(effort).await?;
    let buffers = "the buffers of the connection";
    let clients = "the processors, which the clients use too";
    let of = |what: &str| format!("{} held connections: {what}", live.listeners);
    Ok(vec![
        Row::at_most(&of("memory of each"), String::new(), live.kib_each, 16.0, "KiB", buffers),
        Row::at_most(&of("one event to the last"), String::new(), live.last_ms, 1_000.0, "ms", clients),
    ])
}

async fn attacks(effort: Effort) -> Result<Vec<Row>> {
    let shared = "the processors, which the attackers' clients use too";
    let budgets = "the budgets of the plugin and the memory of the compiler's process";
    let row = |seen: attacks::Outcome| {
        let what = |what: &str| format!("{}: {what}", seen.attack);
        let (lists, purchases) = (format!("{} lists", seen.lists), format!("{} purchases", seen.purchases));
        [
            Row::at_most(&what("memory above idle"), String::new(), seen.memory_mib, 900.0, "MiB", budgets),
            Row::at_most(&what("GET /api/tickets, p99"), lists, seen.list_p99_ms, 500.0, "ms", shared),
            Row::at_most(&what("sign-in and purchase, longest"), purchases, seen.longest_purchase_s, 3.0, "s", shared),
            Row::at_most(&what("failed requests of buyers"), seen.reason, seen.failed as f64, 0.0, "", shared),
            Row::at_most(
                &what("list, pause and remove, longest"),
                String::new(),
                seen.longest_action_s,
                2.0,
                "s",
                shared,
            ),
        ]
    };
    Ok(attacks::measure(effort).await?.into_iter().flat_map(row).collect())
}

async fn http2(effort: Effort) -> Result<Vec<Row>> {
    let edge::Http2 { each, one, native } = edge::http2(effort).await?;
    let limit = "the frames, and a task for each stream";
    Ok(vec![
        Row::ratio("HTTP/2 of axum beside its HTTP/1.1, for comparison", native, 0.0, limit),
        Row::ratio("HTTP/2 beside HTTP/1.1, a connection for each client", each, 0.9, limit),
        Row::ratio("HTTP/2 beside HTTP/1.1, one connection for all clients", one, 0.9, limit),
    ])
}

async fn limits(effort: Effort) -> Result<Vec<Row>> {
    let limit = "the buckets of the address and of the endpoint, and the headers that tell the client";
    let comparison = edge::rate_limits(effort).await?;
    Ok(vec![Row::ratio("GET /api/tickets/{id} with rate limits, beside without", comparison, 0.95, limit)])
}

async fn slow(effort: Effort) -> Result<Vec<Row>> {
    let seen = edge::beside_idle_clients(effort).await?;
    let what = format!("list beside {} slow and {} idle clients, p99 to p99 without", edge::SLOW, edge::IDLE);
    let times = format!("{:.2} ms, without {:.2} ms, {} still open", seen.busy_p99, seen.quiet_p99, seen.idle);
    Ok(vec![Row::at_most(&what, times, seen.ratio, 2.0, "x", "the kernel's and the host's work for each byte")])
}
