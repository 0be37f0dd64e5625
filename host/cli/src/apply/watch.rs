//! `--watch`: applies the file now, when a file changes, and at an interval.

mod saves;

use super::{
    NOTHING,
    file::Desired,
    plan::{self, Failed, Plan},
    release::Release,
};
use crate::{
    output::{complain, is_closed, line},
    plugin::{client::Client, failure::Failure, output::Output},
};
use host_api::audit::AuditRow;
use http::Method;
use saves::Saves;
use std::{collections::BTreeSet, fmt::Display, path::Path, time::Duration};

/// The actor of the steps that the host takes by itself, in the audit.
const HOST: &str = "host";
/// Its steps that undo a release.
const TAKEN_BACK: [&str; 2] = ["roll back", "quarantine"];
/// The steps that change the revision that serves.
const RELEASES: [&str; 5] = ["activate", "promote", "rollback", "roll back", "quarantine"];
/// The newest entries of the audit that the command looks at.
const AUDIT_ROWS: &str = "50";

/// What the command knows about a state of the files. It forgets this when somebody
/// saves one of them.
#[derive(Default)]
struct Memory {
    /// The plugins that the host has refused.
    refused: BTreeSet<String>,
    /// The plugins whose file this command has activated or tried.
    released: BTreeSet<String>,
    /// The lines that are printed once.
    said: BTreeSet<String>,
}

/// Applies the file again and again, until the reader of the output leaves.
///
/// # Errors
/// The host refuses the token for all plugins, or the files cannot be watched.
pub(super) async fn watch(client: &Client, output: Output, file: &Path, interval: Duration) -> Result<(), Failure> {
    loop {
        let mut saves = Saves::of(file)?;
        let mut memory = Memory::default();
        let desired =
            Desired::read(file).await.map_err(|failure| memory.complain(&format_args!("error: {failure}"))).ok();
        loop {
            if let Some(desired) = &desired {
                memory.round(client, output, desired).await?;
            }
            if is_closed() {
                return Ok(());
            }
            if saves.within(interval).await? {
                break;
            }
        }
    }
}

impl Memory {
    /// Compares once and makes the changes. A plugin that the host has refused is left
    /// out, because the host would refuse it again.
    async fn round(&mut self, client: &Client, output: Output, desired: &Desired) -> Result<(), Failure> {
        let wanted = desired.plugins.iter().filter(|wanted| !self.refused.contains(&wanted.name));
        let (plans, failures) = match plan::compare(client, wanted, false).await {
            Ok(compared) => compared,
            Err(failure) => {
                self.complain(&format_args!("error: {failure}"));
                return Ok(());
            }
        };
        let is_unauthorized = |failed: &Failed| matches!(failed.failure, Failure::NotAuthorized(_));
        if failures.len() == desired.plugins.len() && failures.iter().all(is_unauthorized) {
            return failures.into_iter().next().map_or(Ok(()), |failed| Err(failed.failure));
        }
        let plans = self.without_taken_back(client, plans).await;
        let is_applied = plans.is_empty() && failures.is_empty() && self.refused.is_empty();
        if is_applied && !output.json && self.said.insert(NOTHING.to_owned()) {
            line(&NOTHING);
        }
        failures.into_iter().for_each(|failed| self.note_failure(failed));
        plan::show(&plans, output)?;
        match plan::make(&plans, client, output).await {
            Ok(failures) => {
                self.note_releases(&plans, &failures);
                failures.into_iter().for_each(|failed| self.note_failure(failed));
            }
            Err(failure) => self.complain(&format_args!("error: {failure}")),
        }
        Ok(())
    }

    /// Leaves out each plugin whose new revision the host has taken back by itself. It
    /// would take it back again.
    async fn without_taken_back<'a>(&mut self, client: &Client, plans: Vec<Plan<'a>>) -> Vec<Plan<'a>> {
        let mut kept = Vec::new();
        for plan in plans {
            let name = &plan.wanted.name;
            let again = is_release(&plan) && self.released.contains(name);
            match if again { taken_back(client, name).await } else { None } {
                Some(reason) => {
                    let advice = "it is not activated again before a file changes";
                    self.complain(&format_args!(
                        "error: {name}: the host has taken its new revision back ({reason}); {advice}"
                    ));
                    self.refused.insert(name.clone());
                }
                None => kept.push(plan),
            }
        }
        kept
    }

    fn note_releases(&mut self, plans: &[Plan<'_>], failures: &[Failed]) {
        let has_failed = |plan: &Plan<'_>| failures.iter().any(|failed| failed.plugin == plan.wanted.name);
        let released = plans.iter().filter(|plan| is_release(plan) && !has_failed(plan));
        self.released.extend(released.map(|plan| plan.wanted.name.clone()));
    }

    fn note_failure(&mut self, failed: Failed) {
        self.complain(&failed);
        if failed.is_refusal() {
            self.refused.insert(failed.plugin);
        }
    }

    fn complain(&mut self, problem: &dyn Display) {
        if self.said.insert(problem.to_string()) {
            complain(problem);
        }
    }
}

fn is_release(plan: &Plan<'_>) -> bool {
    matches!(plan.difference.release, Some(Release::Activate | Release::Try(_)))
}

/// Why the host has taken the newest release of a plugin back. None if it has not, or
/// if the audit cannot be read.
async fn taken_back(client: &Client, plugin: &str) -> Option<String> {
    let query = [("plugin", plugin), ("limit", AUDIT_ROWS)];
    let request = client.request_with(Method::GET, &["audit"], &query).ok()?;
    let rows: Vec<AuditRow> = client.send(request).await.ok()?.read().ok()?;
    reason_of(rows)
}

fn reason_of(rows: Vec<AuditRow>) -> Option<String> {
    let newest = rows.into_iter().find(|row| row.outcome == "done" && RELEASES.contains(&row.action.as_str()))?;
    let is_taken_back = newest.actor == HOST && TAKEN_BACK.contains(&newest.action.as_str());
    is_taken_back.then(|| newest.detail.unwrap_or(newest.action))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(actor: &str, action: &str) -> AuditRow {
        serde_json::from_value(serde_json::json!({
            "id": 1, "time_ms": 0, "actor": actor, "action": action, "outcome": "done", "detail": "9 % errors"
        }))
        .unwrap()
    }

    #[test]
    fn a_rollback_of_the_host_is_told_from_one_of_an_operator() {
        let reason = |rows: &[(&str, &str)]| reason_of(rows.iter().map(|(actor, action)| row(actor, action)).collect());
        assert_eq!(reason(&[("host", "roll back"), ("ci", "activate")]).as_deref(), Some("9 % errors"));
        assert_eq!(reason(&[("ci", "config"), ("host", "quarantine")]).as_deref(), Some("9 % errors"));
        assert_eq!(reason(&[("ci", "rollback"), ("host", "roll back")]), None);
        assert_eq!(reason(&[("host", "promote")]), None);
        assert_eq!(reason(&[]), None);
    }
}
