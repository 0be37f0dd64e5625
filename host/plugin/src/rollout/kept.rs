//! Revisions that are kept and not in use: their verdict, and their end.

use super::{Rollout, RolloutError};
use host_api::{revisions::Source, verdict::Verdict};
use std::sync::Arc;

impl Rollout {
    /// Compares a revision that is kept with what is active now.
    ///
    /// # Errors
    /// There is no such revision; see [`RolloutError`].
    pub async fn verdict_of(&self, plugin: &str, revision: &str) -> Result<Verdict, RolloutError> {
        let record = self.preparer.record(plugin, revision).await?;
        let compiled = self.preparer.compile(&record).await?;
        self.verdict(&compiled, &record).await
    }

    /// Deletes an uploaded revision that is not in use.
    ///
    /// # Errors
    /// The revision is in use or built in; see [`RolloutError`].
    pub async fn discard(self: &Arc<Self>, plugin: &str, revision: &str) -> Result<(), RolloutError> {
        let _guard = self.lock(plugin).await?;
        let record = self.preparer.record(plugin, revision).await?;
        let state = self.archive.state(plugin).await?.unwrap_or_default();
        if state.uses(revision) {
            return Err(RolloutError::State(format!("the revision {revision} of {plugin} is in use")));
        }
        if record.source != Source::Upload {
            return Err(RolloutError::State(format!("the revision {revision} of {plugin} is not an upload")));
        }
        if self.archive.remove(&record).await? {
            self.preparer.loader.forget(&record.digest);
        }
        Ok(())
    }
}
