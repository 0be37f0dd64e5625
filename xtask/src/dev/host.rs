//! The host that runs what is being written, and the operator who swaps it in:
//! the same program, asked as at a shell.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::process::say;
use crate::workspace::Workspace;

/// Longer than what the host gives to what is under way when it stops.
const STOP_LIMIT: Duration = Duration::from_secs(40);

/// A host process. It is killed when this is dropped, and asked to end before
/// that by [`Host::stop`].
pub(super) struct Host {
    child: Child,
    pub(super) operator: Operator,
}

/// Whoever changes what runs there.
#[derive(Clone)]
pub(super) struct Operator {
    binary: PathBuf,
    announced: watch::Receiver<Announced>,
}

/// What the host says at its start.
#[derive(Clone, Default)]
struct Announced {
    operators: Option<String>,
    token: Option<String>,
    is_complete: bool,
}

/// The part of a verdict that is used here.
#[derive(Deserialize)]
struct Verdict {
    revision: String,
    against: Option<String>,
    problems: Vec<String>,
}

impl Host {
    /// Starts it with its output shown.
    pub(super) fn start(workspace: &Workspace, binary: &Path, arguments: &[String]) -> Result<Self> {
        let mut command = Command::new(binary);
        command.arg("serve");
        if !arguments.iter().any(|argument| argument.starts_with("--data-dir")) {
            // Not the one of `cargo xtask run`: what is uploaded beats what is built in.
            command.arg("--data-dir").arg(workspace.dev_data());
        }
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
        let (sender, announced) = watch::channel(Announced::default());
        let mut lines = BufReader::new(child.stdout.take().context("the host has no output")?).lines();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                println!("{line}");
                sender.send_modify(|announced| announced.hear(&line));
            }
        });
        Ok(Self { child, operator: Operator { binary: binary.to_owned(), announced } })
    }

    /// Why it has ended, once it has.
    pub(super) async fn ended(&mut self) -> Error {
        match self.child.wait().await {
            Ok(status) => anyhow!("the host has ended ({status})"),
            Err(error) => error.into(),
        }
    }

    /// Lets it finish what is under way, for a while.
    pub(super) async fn stop(mut self) {
        let Some(id) = self.child.id() else { return };
        // At a terminal, Ctrl-C has reached it already; a second word does no harm.
        let asked = Command::new("kill").args(["-TERM", &id.to_string()]).status().await;
        let ended = tokio::time::timeout(STOP_LIMIT, self.child.wait()).await;
        if asked.is_err() || ended.is_err() {
            say("the host did not end in time and is killed");
        }
    }
}

impl Operator {
    /// Waits until the host serves.
    pub(super) async fn ready(&self) -> Result<()> {
        let mut announced = self.announced.clone();
        announced.wait_for(|announced| announced.is_complete).await.context("the host has not started")?;
        Ok(())
    }

    /// Uploads a plugin file and lets it serve; none if it serves already. What
    /// does not fit to what was active is told and done all the same: it is the
    /// author's own host.
    pub(super) async fn swap_in(&self, name: &str, file: &Path) -> Result<Option<String>> {
        let verdict = self.plugin(vec!["push", "--json"], Some(file)).await?;
        let verdict: Verdict = serde_json::from_str(&verdict).context("the host's verdict is not understood")?;
        if verdict.against.as_ref() == Some(&verdict.revision) {
            return Ok(None);
        }
        for problem in &verdict.problems {
            say(&format!("{name}: {problem}"));
        }
        self.plugin(vec!["activate", name, &verdict.revision, "--force", "--json"], None).await?;
        Ok(Some(verdict.revision))
    }

    /// What `ticketing plugin` prints, or the line with which it fails.
    async fn plugin(&self, arguments: Vec<&str>, file: Option<&Path>) -> Result<String> {
        let announced = self.announced.borrow().clone();
        let mut command = Command::new(&self.binary);
        command.arg("plugin").args(arguments).args(file);
        command.args(announced.operators.iter().flat_map(|address| ["--address", address]));
        command.args(announced.token.iter().flat_map(|file| ["--token-file", file]));
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
        if !output.status.success() {
            let line = String::from_utf8_lossy(&output.stderr);
            bail!("{}", line.trim().trim_start_matches("error: "));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Announced {
    /// `NAME  VALUE`, of which `data` is the last.
    fn hear(&mut self, line: &str) {
        match line.split_once(char::is_whitespace).map(|(name, value)| (name, value.trim())) {
            Some(("operators", address)) => self.operators = Some(address.to_owned()),
            // Otherwise it is in the environment, where `ticketing plugin` finds it.
            Some(("token", file)) if Path::new(file).is_file() => self.token = Some(file.to_owned()),
            Some(("data", _)) => self.is_complete = true,
            _ => {}
        }
    }
}
