//! The differences of all plugins of a file: compared, shown and made.

use super::{
    difference::{Change, Difference},
    file::Wanted,
    run::Run,
    state::Present,
    steps::steps,
};
use crate::plugin::{client::Client, failure::Failure, output::Output};
use serde::Serialize;
use std::fmt::{self, Display, Formatter};

/// A plugin with its difference.
pub(super) struct Plan<'a> {
    pub(super) wanted: &'a Wanted,
    present: Present,
    pub(super) difference: Difference<'a>,
}

/// The failure of one plugin. The others are applied nevertheless.
pub(super) struct Failed {
    pub(super) plugin: String,
    pub(super) failure: Failure,
}

/// A line of the difference.
#[derive(Serialize)]
struct ChangeLine<'a> {
    plugin: &'a str,
    #[serde(flatten)]
    change: &'a Change,
}

/// The end of the changes of one plugin.
#[derive(Serialize)]
struct DoneLine<'a> {
    plugin: &'a str,
    done: usize,
}

impl<'a> Plan<'a> {
    async fn make(client: &Client, wanted: &'a Wanted, send_secrets: bool) -> Result<Self, Failure> {
        let present = Present::read(client, &wanted.name).await?;
        let difference = Difference::between(wanted, &present, send_secrets)?;
        Ok(Self { wanted, present, difference })
    }

    async fn take(&self, client: &Client) -> Result<(), Failure> {
        Run::new(client, self.wanted).take_all(steps(self.wanted, &self.present, &self.difference)).await
    }
}

/// Compares each plugin with the host. Returns the plugins that differ, and the failures.
///
/// # Errors
/// The host cannot be reached.
pub(super) async fn compare<'a>(
    client: &Client,
    plugins: impl IntoIterator<Item = &'a Wanted>,
    send_secrets: bool,
) -> Result<(Vec<Plan<'a>>, Vec<Failed>), Failure> {
    let (mut plans, mut failures) = (Vec::new(), Vec::new());
    for wanted in plugins {
        match Plan::make(client, wanted, send_secrets).await {
            Ok(plan) if plan.difference.changes.is_empty() => {}
            Ok(plan) => plans.push(plan),
            Err(failure) => failures.push(Failed::of(wanted, failure)?),
        }
    }
    Ok((plans, failures))
}

/// Prints the lines of the differences. Returns their number.
pub(super) fn show(plans: &[Plan<'_>], output: Output) -> Result<usize, Failure> {
    let mut lines = 0;
    for Plan { wanted, difference, .. } in plans {
        for change in &difference.changes {
            output.value(&ChangeLine { plugin: &wanted.name, change })?;
            lines += 1;
        }
    }
    Ok(lines)
}

/// Takes the steps of each plugin. A failure ends those of its plugin alone. Returns
/// the failures.
///
/// # Errors
/// The host cannot be reached.
pub(super) async fn make(plans: &[Plan<'_>], client: &Client, output: Output) -> Result<Vec<Failed>, Failure> {
    let mut failures = Vec::new();
    for plan in plans {
        match plan.take(client).await {
            Ok(()) => output.value(&DoneLine { plugin: &plan.wanted.name, done: plan.difference.changes.len() })?,
            Err(failure) => failures.push(Failed::of(plan.wanted, failure)?),
        }
    }
    Ok(failures)
}

impl Failed {
    /// # Errors
    /// The failure is not of the plugin but of the connection.
    fn of(wanted: &Wanted, failure: Failure) -> Result<Self, Failure> {
        match failure {
            Failure::Unreachable(_) => Err(failure),
            failure => Ok(Self { plugin: wanted.name.clone(), failure }),
        }
    }

    /// Whether the host would refuse the same again.
    pub(super) fn is_refusal(&self) -> bool {
        !matches!(self.failure, Failure::Failed(_))
    }
}

/// The result of the command. The exit code is that of the first failure.
pub(super) fn end(failures: &[Failed], plugins: usize) -> Result<(), Failure> {
    let Some(first) = failures.first() else { return Ok(()) };
    let message = format!("{} of {plugins} plugins failed, and the host is not as the file says", failures.len());
    Err(Failure::OfPlugins { message, code: first.failure.code() })
}

impl Display for Failed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}: {}", self.plugin, self.failure)
    }
}

impl Display for ChangeLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.change.change.as_str(), self.plugin, self.change.what)
    }
}

impl Display for DoneLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} is as the file says", self.plugin)
    }
}
