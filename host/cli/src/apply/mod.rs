//! `ticketing apply`: makes the plugins of a running host as a file says.
//!
//! The command reads the file (`file`) and the present state of the host
//! (`state`), compares them (`difference`), and takes the steps that remain, in
//! their order (`steps`, `run`). If nothing differs, it sends no request that
//! changes or audits anything. `watch` does so again and again.

mod difference;
#[cfg(test)]
mod fake_host;
mod file;
mod plan;
mod release;
mod run;
#[cfg(test)]
mod samples;
mod state;
mod steps;
mod watch;

use crate::{
    output::{complain, line},
    plugin::{client::Client, failure::Failure, of_host::AsksHost, output::Output},
};
use clap::Args;
use file::Desired;
use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    time::Duration,
};

/// The line if the host is as the file says.
const NOTHING: &str = "nothing to change";

/// Makes the plugins of a host as a file says.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "Changes",
    after_help = "\
Examples:
  ticketing apply -f plugins.toml             show the difference, ask, and make it
  ticketing apply -f plugins.toml --dry-run   only show it; the exit code is 7 if there is one
  ticketing apply -f plugins.toml --yes
  ticketing apply -f plugins.toml --watch --interval 300

The file plugins.toml:

  [[plugin]]
  name = \"hello\"
  file = \"hello.wasm\"                          # beside plugins.toml; with hello.wasm.minisig if that exists
  sha256 = \"9f86d081884c7d65…\"                 # may be left out
  settings = { greeting = \"Hi\", api-key = { file = \"key.txt\" } }
  limits = { memory_mib = 32 }
  policy = { grants = [\"store\"], paths = [\"/api/hello\"] }
  canary = { percent = 10, promote_after_seconds = 600 }
  paused = false

  [[plugin]]
  name = \"world\"
  file = \"oci://ghcr.io/me/world@sha256:…\"    # in a registry, see `ticketing plugin publish`

  [[plugin]]
  name = \"old\"
  absent = true

Exit codes: 0 the host is as the file says, 2 the file is wrong, 3 the host refused a change, 7 there are changes and none
was made. The others are those of `ticketing plugin`."
)]
pub struct Apply {
    /// The file with the plugins
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Make the changes without a question
    #[arg(short, long)]
    yes: bool,
    /// Only show the changes
    #[arg(long, visible_alias = "diff", conflicts_with_all = ["yes", "watch"])]
    dry_run: bool,
    /// Make the changes without a question, now and each time that a file changes, and repair what others change
    #[arg(long)]
    watch: bool,
    /// With --watch: the number of seconds between two comparisons with the host
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "watch", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    interval: u64,
    /// Send each secret, also one that the host has already; the host shows no secret, so nothing can compare it
    #[arg(long, conflicts_with = "watch")]
    send_secrets: bool,
}

impl AsksHost for Apply {
    async fn ask(self, client: &Client, output: Output) -> Result<(), Failure> {
        if self.watch {
            return watch::watch(client, output, &self.file, Duration::from_secs(self.interval)).await;
        }
        let plugins = Desired::read(&self.file).await?.plugins;
        let (plans, mut failures) = plan::compare(client, &plugins, self.send_secrets).await?;
        let changes = plan::show(&plans, output)?;
        failures.iter().for_each(|failed| complain(failed));
        if changes > 0 {
            if !self.may_change(changes)? {
                plan::end(&failures, plugins.len())?;
                return Err(Failure::NotMade(not_made(changes)));
            }
            let more = plan::make(&plans, client, output).await?;
            more.iter().for_each(|failed| complain(failed));
            failures.extend(more);
        } else if failures.is_empty() && !output.json {
            line(&NOTHING);
        }
        plan::end(&failures, plugins.len())
    }
}

impl Apply {
    /// Whether the changes are to be made.
    fn may_change(&self, changes: usize) -> Result<bool, Failure> {
        if self.dry_run || self.yes || !io::stdin().is_terminal() {
            return Ok(self.yes);
        }
        complain(&format_args!("Make {}? [y/N]", counted(changes)));
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map_err(|error| Failure::Failed(error.to_string()))?;
        Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
    }
}

fn not_made(changes: usize) -> String {
    let verb = if changes == 1 { "is" } else { "are" };
    format!("{} {verb} not made; --yes makes them without a question", counted(changes))
}

fn counted(changes: usize) -> String {
    if changes == 1 { "1 change".to_owned() } else { format!("{changes} changes") }
}

#[cfg(test)]
mod tests;
