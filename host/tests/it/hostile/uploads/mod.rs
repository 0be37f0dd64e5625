//! Hostile uploads. The host refuses each with its reason, keeps nothing of it,
//! and goes on with everything else.

mod files;
mod footprint;
mod migrating;
mod mutated;
mod signatures;
mod transfers;

use crate::support::{Host, chameleon, files_below};
use serde_json::Value;
use std::collections::BTreeSet;

/// Everything that is installed. A refused upload must leave it as it was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    /// Each plugin with its revision and status.
    plugins: Vec<[String; 3]>,
    revisions: String,
    /// In the data directory and the compile cache, except the databases.
    pub(crate) files: BTreeSet<String>,
}

impl Host {
    pub(crate) async fn installed(&self) -> Installed {
        let operator = self.operator();
        let text = |plugin: &Value, key: &str| plugin[key].as_str().unwrap().to_owned();
        let plugins = operator.get("/plugins").await.json();
        let plugins = plugins.as_array().unwrap().iter();
        let (data, cache) = (self.setup.data(), self.setup.cache());
        let files = [files_below(&data), files_below(cache)].concat().into_iter();
        let files = files.map(|file| file.display().to_string()).filter(|file| !file.contains(".db"));
        Installed {
            plugins: plugins.map(|plugin| ["name", "revision", "status"].map(|key| text(plugin, key))).collect(),
            revisions: operator.get("/plugins/chameleon/revisions").await.text,
            files: files.collect::<BTreeSet<_>>(),
        }
    }
}

/// A plugin file without a fault.
fn good() -> Vec<u8> {
    chameleon("1.0.0", "green", "good")
}
