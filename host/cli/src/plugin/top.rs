//! `top`: what the plugins do now.

use super::{
    client::Client,
    failure::Failure,
    output::{Output, is_closed, line, size, table, text_of},
};
use clap::Args;
use host_api::plugins::PluginView;
use serde::Deserialize;
use std::{
    fmt::{self, Display, Formatter},
    time::Duration,
};

/// Shows the calls, errors, times and memory of each plugin, of the last minute on the host that answers.
#[derive(Debug, Args)]
#[command(after_help = "\
Half of the calls took less than P50, 99 of 100 less than P99; both are right within a factor of two. The line of
a canary has its calls and errors since it was loaded.

Examples:
  ticketing plugin top
  ticketing plugin top --every 5
  ticketing plugin top --json | jq '.[].recent.calls_per_second'")]
pub(super) struct Top {
    /// Show it again each time that these seconds have passed, until Ctrl-C
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    every: Option<u64>,
}

impl Top {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        loop {
            output.answer::<TopTable>(&client.list(&["plugins"]).await?)?;
            let Some(seconds) = self.every.filter(|_| !is_closed()) else { return Ok(()) };
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            if !output.json {
                line(&"");
            }
        }
    }
}

/// Plugins, the busiest first.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct TopTable(Vec<PluginView>);

impl Display for TopTable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no plugin is active");
        }
        let mut table = table(&["PLUGIN", "STATUS", "CALLS/S", "ERRORS", "P50", "P99", "MEMORY"]);
        let mut plugins: Vec<&PluginView> = self.0.iter().collect();
        let rate = |plugin: &PluginView| plugin.recent.as_ref().map_or(0.0, |recent| recent.calls_per_second);
        plugins.sort_by(|one, other| rate(other).total_cmp(&rate(one)).then_with(|| one.name.cmp(&other.name)));
        for plugin in plugins {
            table.add_row(cells(plugin));
            if let Some(canary) = &plugin.canary {
                let name = format!("  {} ({} %)", canary.revision, canary.percent);
                let (calls, errors) = (format!("{} calls", canary.calls), format!("{} errors", canary.errors));
                table.add_row([name, "canary".to_owned(), calls, errors]);
            }
        }
        f.write_str(&text_of(&table))
    }
}

fn cells(plugin: &PluginView) -> Vec<String> {
    let mut cells = vec![plugin.name.clone(), plugin.status.to_string()];
    if let Some(recent) = &plugin.recent {
        let memory = usize::try_from(recent.memory_bytes).unwrap_or(usize::MAX);
        cells.push(format!("{:.1}", recent.calls_per_second));
        cells.push(format!("{:.1} %", recent.error_percent));
        cells.extend([recent.p50_us, recent.p99_us].map(|us| us.map_or_else(|| "-".to_owned(), micros)));
        cells.push(size(memory));
    }
    cells
}

fn micros(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1_000.0),
        _ => format!("{:.1} s", us as f64 / 1_000_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_busiest_plugin_comes_first_with_its_canary_below() {
        let plugin = |name: &str, calls: f64| {
            json!({
                "name": name, "version": "1.0.0", "revision": "1.0.0+aa", "digest": "", "size_bytes": 1,
                "status": "active", "imports": [], "exports": [], "routes": [], "subscribes": [], "publishes": [],
                "in_flight": 0, "calls": 9, "failures": 0,
                "recent": { "calls_per_second": calls, "error_percent": 2.0, "p50_us": 96, "p99_us": 2_500,
                    "memory_bytes": 5 << 20, "calls": [] }
            })
        };
        let (mut busy, idle) = (plugin("busy", 12.25), plugin("idle", 0.0));
        busy["canary"] = json!({ "revision": "1.1.0+bb", "percent": 10, "calls": 7, "errors": 1, "failures": 0 });
        let mut starting = plugin("new", 0.0);
        starting["recent"] = json!(null);
        let table: TopTable = serde_json::from_value(json!([idle, starting, busy])).unwrap();
        let text = table.to_string();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["busy", "active", "12.2", "2.0", "%", "96", "us", "2.5", "ms", "5.0", "MiB"]);
        assert_eq!(lines[2], ["1.1.0+bb", "(10", "%)", "canary", "7", "calls", "1", "errors"]);
        assert_eq!((lines[3][0], lines[4].as_slice()), ("idle", ["new", "active"].as_slice()));
        assert_eq!(TopTable(Vec::new()).to_string(), "no plugin is active");
    }
}
