//! `dev`: builds a plugin, swaps it in and shows its log, each time that a file is
//! saved.

use super::{
    build::{Profile, build, require_plugin},
    client::Client,
    failure::Failure,
    files,
    logs::Logs,
    output::{Output, complain, is_closed},
    pack::Packed,
    sources::{self, Sources},
    watch::{Watch, is_final},
};
use clap::Args;
use sha2::{Digest, Sha256, digest::Output as Hash};
use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};
use tokio::task::JoinHandle;

/// The pause before the command asks for the log again.
const LOG_PAUSE: Duration = Duration::from_millis(500);

/// Builds a plugin and swaps it in, now and each time that you save a file; shows its log.
///
/// The command builds a plugin in Rust with a fast profile, in the folder `target`. Run `ticketing plugin build` to make
/// the smaller file that you publish.
///
/// A build that fails, or that the host refuses, changes nothing: the active revision still serves, and the command
/// waits for the next saved file. Ctrl-C ends the command.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin dev
  ticketing plugin dev ~/plugins/hello
  ticketing plugin dev --force    swap it in even if it is not compatible")]
pub(super) struct Dev {
    /// The folder with plugin.toml
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Swap it in even if it is not compatible with the active revision
    #[arg(long)]
    force: bool,
}

/// The work between two changes.
struct Session {
    dev: Dev,
    client: Client,
    output: Output,
    /// The digest of the file that the host serves.
    served: Option<Hash<Sha256>>,
    /// The plugin whose log is shown, and the task that shows it.
    log: Option<(String, JoinHandle<()>)>,
}

impl Dev {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        require_plugin(&self.folder)?;
        let mut sources = Sources::watch(&self.folder)?;
        let mut session = Session { dev: self, client: client.clone(), output, served: None, log: None };
        let mut state = sources.state();
        loop {
            session.attempt(sources::saved(&state)).await?;
            if is_closed() {
                return Ok(());
            }
            state = sources.changed(&state).await?;
        }
    }
}

impl Session {
    /// Builds the plugin and swaps it in. Prints a failure, and returns one only if
    /// the next attempt would fail for the same reason.
    async fn attempt(&mut self, saved: Option<SystemTime>) -> Result<(), Failure> {
        let failure = match self.build().await {
            Err(failure) => failure,
            Ok(packed) => match self.swap_in(packed, saved).await {
                Ok(()) => return Ok(()),
                Err(failure) if is_final(&failure) => return Err(failure),
                Err(failure) => failure,
            },
        };
        complain(&format_args!("error: {failure}"));
        Ok(())
    }

    async fn build(&self) -> Result<Packed, Failure> {
        let folder = self.dev.folder.clone();
        let built = tokio::task::spawn_blocking(move || build(&folder, Profile::Quick)).await;
        built.map_err(|error| Failure::Failed(error.to_string()))?
    }

    /// Swaps the plugin in if the file is another one than before.
    async fn swap_in(&mut self, packed: Packed, saved: Option<SystemTime>) -> Result<(), Failure> {
        let digest = Sha256::digest(files::plugin(&packed.file)?);
        if self.served == Some(digest) {
            return Ok(());
        }
        self.served = None;
        let watch = Watch::swapping(packed.file, self.dev.force);
        self.follow_log(&packed.name);
        watch.push(&self.client, self.output, saved).await?;
        self.served = Some(digest);
        Ok(())
    }

    /// Shows the log of the plugin of this name, beside all other work.
    fn follow_log(&mut self, name: &str) {
        if self.log.as_ref().is_some_and(|(followed, task)| followed == name && !task.is_finished()) {
            return;
        }
        if let Some((_, task)) = self.log.take() {
            task.abort();
        }
        let task = tokio::spawn(show_log(self.client.clone(), self.output, name.to_owned()));
        self.log = Some((name.to_owned(), task));
    }
}

/// Shows the log of a plugin, again when the host was away.
async fn show_log(client: Client, output: Output, name: String) {
    loop {
        match Logs::of(name.clone()).run(&client, output).await {
            Ok(()) => return,
            // The host does not know the plugin before its first upload. The upload tells whether the host is away.
            Err(Failure::NotFound(_) | Failure::Unreachable(_)) => {}
            Err(failure) => {
                complain(&format_args!("log: {failure}"));
                if is_final(&failure) {
                    return;
                }
            }
        }
        tokio::time::sleep(LOG_PAUSE).await;
    }
}
