//! `ticketing plugin`: creates plugin files, and changes the plugins of a running
//! host.
//!
//! These commands do not read the settings of a host. Its address and the token
//! come from flags, the environment or a profile (`connection`). Every command
//! ends with an exit code of `failure`. A command that fails prints one line, which
//! tells the user the next step.

mod audit;
mod build;
pub(crate) mod changes;
mod check;
pub(crate) mod client;
mod cluster;
mod confirm;
pub(crate) mod connection;
mod data;
mod dead_letters;
mod dev;
mod events;
pub(crate) mod failure;
mod failures;
pub(crate) mod files;
mod logs;
mod new;
pub(crate) mod of_host;
pub(crate) mod output;
mod pack;
pub(crate) mod plugin_file;
mod policy;
mod registry;
pub(crate) mod rollout;
mod settings;
mod show;
mod sources;
mod stream;
mod template;
mod test;
mod timers;
mod token;
mod top;
pub(crate) mod upload;
mod views;
mod watch;

pub use cluster::Cluster;
pub use dead_letters::DeadLetters;
pub use events::Events;
pub use of_host::OfHost;
pub use timers::Timers;

use crate::offline::Offline;
use clap::{Args, Subcommand};
use client::Client;
use connection::Connection;
use failure::Failure;
use of_host::AsksHost;
use output::Output;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  ticketing plugin new hello --template python
  ticketing plugin build hello
  ticketing plugin test hello
  ticketing plugin dev hello
  ticketing plugin push hello.wasm --activate
  ticketing plugin rollback hello
  ticketing plugin list --address https://admin.example.com --token-file ./token

Exit codes: 0 done, 1 failed, 2 usage, 3 refused by the host, 4 not authorized,
5 the host cannot be reached, 6 `check` or `diff` found that the file is not
compatible, 7 `ticketing apply` found changes and made none.

A profile is a table in the file `ticketing/profile.toml` of the user's settings
folder (~/.config on Linux):

  default = \"local\"
  [profiles.local]
  address = \"http://127.0.0.1:8081\"
  token_file = \"/var/lib/ticketing/admin-token\"";

/// Creates plugins, and changes the plugins of a running host.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Plugin {
    #[command(flatten)]
    connection: Connection,
    /// Print the host's answers as JSON, one line each
    #[arg(long, global = true, help_heading = "Output")]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    New(new::New),
    Build(build::Build),
    Dev(dev::Dev),
    Pack(pack::Pack),
    Check(check::Check),
    Test(test::Test),
    Push(upload::Push),
    Publish(registry::Publish),
    Pull(registry::Pull),
    Diff(upload::Diff),
    Watch(watch::Watch),
    List(show::List),
    Top(top::Top),
    Show(show::Show),
    Revisions(show::Revisions),
    Audit(audit::Audit),
    Failures(failures::Failures),
    Logs(logs::Logs),
    Activate(rollout::Activate),
    Promote(rollout::Promote),
    Rollback(rollout::Rollback),
    Pause(rollout::Pause),
    Resume(rollout::Resume),
    Remove(rollout::Remove),
    Reset(data::Reset),
    Purge(data::Purge),
    Config(settings::Config),
    Limits(settings::Limits),
    Policy(Box<policy::Policy>),
    Token(token::Token),
    DeadLetters(DeadLetters),
}

impl Plugin {
    /// Runs the command. If it fails, one line on the error stream says why.
    /// `offline` makes the hosts of `check` and `test`.
    pub fn run(self, offline: &impl Offline) -> ExitCode {
        until_done(self.run_action(offline))
    }

    async fn run_action(self, offline: &impl Offline) -> Result<(), Failure> {
        let output = Output { json: self.json };
        let action = match self.action {
            Action::New(new) => return new.run(),
            Action::Build(build) => return build.run(),
            Action::Pack(pack) => return pack.run(),
            Action::Check(check) => return check.run(output, offline).await,
            Action::Test(test) => return test.run(output, offline).await,
            Action::Publish(publish) => return publish.run(output).await,
            Action::Pull(pull) => return pull.run(output).await,
            action => action,
        };
        let client = Client::new(&self.connection.target()?)?;
        match action {
            Action::New(_) | Action::Build(_) | Action::Pack(_) | Action::Check(_) | Action::Test(_) => Ok(()),
            Action::Publish(_) | Action::Pull(_) => Ok(()),
            Action::Dev(dev) => dev.run(&client, output).await,
            Action::Push(push) => push.run(&client, output).await,
            Action::Diff(diff) => diff.run(&client, output).await,
            Action::Watch(watch) => watch.run(&client, output).await,
            Action::List(list) => list.run(&client, output).await,
            Action::Top(top) => top.run(&client, output).await,
            Action::Show(show) => show.run(&client, output).await,
            Action::Revisions(revisions) => revisions.run(&client, output).await,
            Action::Audit(audit) => audit.run(&client, output).await,
            Action::Failures(failures) => failures.run(&client, output).await,
            Action::Logs(logs) => logs.run(&client, output).await,
            Action::Activate(activate) => activate.run(&client, output).await,
            Action::Promote(promote) => promote.run(&client, output).await,
            Action::Rollback(rollback) => rollback.run(&client, output).await,
            Action::Pause(pause) => pause.run(&client, output).await,
            Action::Resume(resume) => resume.run(&client, output).await,
            Action::Remove(remove) => remove.run(&client, output).await,
            Action::Reset(reset) => reset.run(&client, output).await,
            Action::Purge(purge) => purge.run(&client, output).await,
            Action::Config(config) => config.run(&client, output).await,
            Action::Limits(limits) => limits.run(&client, output).await,
            Action::Policy(policy) => policy.run(&client, output).await,
            Action::Token(token) => token.run(&client, output).await,
            Action::DeadLetters(letters) => letters.ask(&client, output).await,
        }
    }
}

/// Runs a command to its end. If it fails, one line on the error stream says why.
fn until_done(command: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(command),
        Err(error) => Err(Failure::Failed(error.to_string())),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            match &failure {
                // This is no error: the command did what it was told to do.
                Failure::NotMade(message) => output::complain(message),
                failure => output::complain(&format_args!("error: {failure}")),
            }
            ExitCode::from(failure.code())
        }
    }
}
