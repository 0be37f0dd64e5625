//! Takes the steps of one plugin.

use super::{
    file::{Canary, Wanted},
    state::Present,
    steps::{Step, Values},
};
use crate::plugin::{
    client::Client,
    failure::Failure,
    rollout::{Swap, act, activate},
    upload::Upload,
};
use host_api::verdict::Verdict;
use serde_json::{Map, Value, json};

/// The steps of one plugin.
pub(super) struct Run<'a> {
    client: &'a Client,
    wanted: &'a Wanted,
    /// The revision that a verdict has found compatible.
    revision: String,
}

impl<'a> Run<'a> {
    pub(super) fn new(client: &'a Client, wanted: &'a Wanted) -> Self {
        Self { client, wanted, revision: String::new() }
    }

    /// Takes the steps. The first failure ends them.
    pub(super) async fn take_all(mut self, steps: Vec<Step<'_>>) -> Result<(), Failure> {
        for step in steps {
            self.take(step).await?;
        }
        Ok(())
    }

    async fn take(&mut self, step: Step<'_>) -> Result<(), Failure> {
        let name = self.wanted.name.as_str();
        match step {
            Step::Policy { replaces, policy } => self.set_policy(replaces, policy).await,
            Step::Upload => self.upload().await,
            Step::Judge(revision) => self.judge(&revision).await,
            Step::Limits(limits) => self.client.put(&["plugins", name, "limits"], limits).await.map(drop),
            Step::AllSettings(values) => self.client.put(&["plugins", name, "config"], values).await.map(drop),
            Step::Settings(values) => self.set(values).await,
            Step::Activate(canary) => self.activate(canary).await,
            Step::Promote => self.act("promote").await,
            Step::EndCanary => self.end_canary().await,
            Step::Pause => self.act("pause").await,
            Step::Resume => self.act("resume").await,
            Step::Remove => self.client.delete(&["plugins", name]).await.map(drop),
        }
    }

    async fn act(&self, action: &str) -> Result<(), Failure> {
        act(self.client, &self.wanted.name, action).await.map(drop)
    }

    async fn set_policy(&self, replaces: u64, policy: &Map<String, Value>) -> Result<(), Failure> {
        let new = json!({ "replaces": replaces, "policy": policy });
        self.client.put(&["plugins", &self.wanted.name, "policy"], &new).await.map(drop)
    }

    async fn upload(&mut self) -> Result<(), Failure> {
        let Some(content) = &self.wanted.content else { return Ok(()) };
        let verdict: Verdict = Upload::of(content.file.clone()).send(self.client, false).await?.read()?;
        if verdict.digest != content.digest {
            return Err(Failure::Failed(format!("{} has changed meanwhile; run the command again", content.file)));
        }
        self.accept(verdict)
    }

    async fn judge(&mut self, revision: &str) -> Result<(), Failure> {
        let path = ["plugins", &self.wanted.name, "revisions", revision, "verdict"];
        let verdict = self.client.get(&path).await?.read()?;
        self.accept(verdict)
    }

    /// Refuses a revision that the host would activate only by force.
    fn accept(&mut self, verdict: Verdict) -> Result<(), Failure> {
        if verdict.compatible {
            self.revision = verdict.revision;
            return Ok(());
        }
        let excesses = verdict.beyond_policy.iter().map(ToString::to_string);
        let problems: Vec<String> = verdict.problems.into_iter().chain(excesses).collect();
        let advice =
            format!("`ticketing plugin activate {} {} --force` activates it", verdict.plugin, verdict.revision);
        Err(Failure::Refused(format!("{}; {advice}", problems.join("; "))))
    }

    async fn set(&self, values: Values<'_>) -> Result<(), Failure> {
        let set = self.client.patch(&["plugins", &self.wanted.name, "config"], values).await;
        match set {
            // Nobody can see whether a secret differs.
            Err(Failure::Refused(message)) if message.contains("in force already") => Ok(()),
            set => set.map(drop),
        }
    }

    async fn activate(&self, canary: Option<Canary>) -> Result<(), Failure> {
        let swap = Swap {
            canary: canary.map(|canary| canary.percent),
            promote_after: canary.and_then(|canary| canary.promote_after_seconds),
            force: false,
        };
        activate(self.client, &self.wanted.name, &self.revision, &swap).await.map(drop)
    }

    /// A rollback without a canary would go to the previous revision. So it looks again
    /// whether the canary is still there.
    async fn end_canary(&self) -> Result<(), Failure> {
        match Present::read(self.client, &self.wanted.name).await?.canary() {
            Some(_) => self.act("rollback").await,
            None => Ok(()),
        }
    }
}
