//! `watch`: uploads a file, and swaps it in, each time that the file changes.

use super::{
    changes::Changes,
    client::Client,
    failure::Failure,
    files,
    output::{Output, complain, is_closed, line},
    plugin_file::PluginFile,
    rollout::{self, Swap},
    upload::Upload,
    views::{SwapText, VerdictText},
};
use clap::Args;
use host_api::verdict::Verdict;
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Uploads a plugin now and each time that its file changes.
///
/// The command prints a failure and waits for the next change. The active revision still serves. Ctrl-C ends the command.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin watch hello.wasm              show what each build would change
  ticketing plugin watch hello.wasm --activate   swap each build in")]
pub(super) struct Watch {
    #[command(flatten)]
    upload: Upload,
    /// Swap each build in
    #[arg(long)]
    activate: bool,
    /// Swap it in even if it is not compatible with the active revision
    #[arg(long, requires = "activate")]
    force: bool,
}

impl Watch {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let file = self.upload.file.local().map(Path::to_owned);
        let file = file.ok_or_else(|| Failure::Usage(format!("{} is in a registry; name a file", self.upload.file)))?;
        let mut changes = Changes::of_file(&file)?;
        // The content that the host has, and the time of the file that failed.
        // Reading a file notifies the watcher too, so a failed file is not sent
        // again before somebody saves it.
        let (mut sent, mut failed) = (None, None);
        loop {
            let saved = modified(&file);
            let content = files::plugin(&file).map(Sha256::digest);
            match content {
                Ok(digest) if sent == Some(digest) || failed.is_some_and(|failed| failed == (digest, saved)) => {}
                Ok(digest) => match self.push(client, output, saved).await {
                    Ok(()) => (sent, failed) = (Some(digest), None),
                    Err(failure) if is_final(&failure) => return Err(failure),
                    Err(failure) => {
                        (sent, failed) = (None, Some((digest, saved)));
                        complain(&format_args!("error: {failure}"));
                    }
                },
                // Between two builds there may be no file.
                Err(failure) => complain(&format_args!("waiting: {failure}")),
            }
            if is_closed() {
                return Ok(());
            }
            changes.next().await?;
        }
    }

    /// A command that swaps each build of this file in.
    pub(super) fn swapping(file: PathBuf, force: bool) -> Self {
        Self { upload: Upload::of(PluginFile::Local(file)), activate: true, force }
    }

    /// Uploads the file once. `saved` is the time of the change that it contains.
    pub(super) async fn push(&self, client: &Client, output: Output, saved: Option<SystemTime>) -> Result<(), Failure> {
        let answer = self.upload.send(client, false).await?;
        let verdict: Verdict = answer.read()?;
        if !self.activate {
            return output.answer::<VerdictText>(&answer);
        }
        for problem in &verdict.problems {
            complain(&format_args!("! {problem}"));
        }
        let swap = Swap { force: self.force, ..Swap::default() };
        let report = rollout::activate(client, &verdict.plugin, &verdict.revision, &swap).await?;
        if output.json {
            return output.answer::<SwapText>(&report);
        }
        let took = saved.and_then(|saved| SystemTime::now().duration_since(saved).ok()).unwrap_or_default();
        line(&format!("{} {} is served, {} ms after it was saved", verdict.plugin, verdict.revision, took.as_millis()));
        Ok(())
    }
}

/// Whether the next upload would fail for the same reason: a token that does not
/// allow an upload will not allow the next one.
pub(super) fn is_final(failure: &Failure) -> bool {
    matches!(failure, Failure::NotAuthorized(_) | Failure::Usage(_))
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}
