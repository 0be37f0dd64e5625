//! Commands of a running host that are about no plugin in particular, such as
//! `ticketing timers`.

use super::{client::Client, connection::Connection, failure::Failure, output::Output, until_done};
use clap::Args;
use std::process::ExitCode;

/// A command with the flags of the connection.
#[derive(Debug, Args)]
pub struct OfHost<C: Args> {
    #[command(flatten)]
    connection: Connection,
    /// Print the host's answers as JSON, one line each
    #[arg(long, global = true, help_heading = "Output")]
    json: bool,
    #[command(flatten)]
    command: C,
}

/// A command that sends a request to the host.
pub(crate) trait AsksHost {
    async fn ask(self, client: &Client, output: Output) -> Result<(), Failure>;
}

#[expect(private_bounds, reason = "the commands are those of this crate alone")]
impl<C: Args + AsksHost> OfHost<C> {
    /// Runs the command. If it fails, one line on the error stream says why.
    pub fn run(self) -> ExitCode {
        until_done(async {
            let client = Client::new(&self.connection.target()?)?;
            self.command.ask(&client, Output { json: self.json }).await
        })
    }
}
