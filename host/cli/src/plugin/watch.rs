//! `watch`: uploads a file, and swaps it in, each time that the file changes.

use super::{
    changes::{changes, folder_of},
    client::Client,
    failure::Failure,
    files,
    output::{Output, complain, is_closed, line},
    rollout::{self, Swap},
    upload::Upload,
    views::{SwapText, VerdictText},
};
use clap::Args;
use host_api::verdict::Verdict;
use sha2::{Digest, Sha256};
use std::{ffi::OsStr, fs, path::Path, time::SystemTime};

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
        let name = self.upload.file.file_name().map(OsStr::to_owned);
        let is_ours = move |path: &Path| path.file_name() == name.as_deref();
        // A build replaces the file, so the command watches its folder.
        let (_watcher, mut changes) = changes([folder_of(&self.upload.file)], is_ours)?;
        // The content that the host has, and the time of the file that failed.
        // Reading a file notifies the watcher too, so a failed file is not sent
        // again before somebody saves it.
        let (mut sent, mut failed) = (None, None);
        loop {
            let saved = modified(&self.upload.file);
            let content = files::plugin(&self.upload.file).map(Sha256::digest);
            match content {
                Ok(digest) if sent == Some(digest) || failed.is_some_and(|failed| failed == (digest, saved)) => {}
                Ok(digest) => match self.push(client, output).await {
                    Ok(()) => (sent, failed) = (Some(digest), None),
                    // A token that does not allow an upload will not allow the next one.
                    Err(failure @ (Failure::NotAuthorized(_) | Failure::Usage(_))) => return Err(failure),
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
            if changes.recv().await.is_none() {
                return Err(Failure::Failed("the command can no longer watch the file".to_owned()));
            }
        }
    }

    async fn push(&self, client: &Client, output: Output) -> Result<(), Failure> {
        let saved = modified(&self.upload.file);
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

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}
