//! Hostile uploads. The host refuses each with its reason, keeps nothing of it,
//! and goes on with everything else.

mod files;
mod migrating;
mod mutated;
mod signatures;
mod transfers;

use crate::support::{Host, chameleon};
use serde_json::Value;
use std::path::Path;

/// Everything that is installed. A refused upload must leave it as it was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    /// Each plugin with its revision and status.
    plugins: Vec<[String; 3]>,
    revisions: String,
    /// In the data directory and the compile cache, except the databases.
    files: Vec<String>,
}

impl Host {
    pub(crate) async fn installed(&self) -> Installed {
        let operator = self.operator();
        let text = |plugin: &Value, key: &str| plugin[key].as_str().unwrap().to_owned();
        let plugins = operator.get("/plugins").await.json();
        let plugins = plugins.as_array().unwrap().iter();
        let mut files = Vec::new();
        list(&self.setup.data(), &mut files);
        list(self.setup.cache(), &mut files);
        files.sort();
        Installed {
            plugins: plugins.map(|plugin| ["name", "revision", "status"].map(|key| text(plugin, key))).collect(),
            revisions: operator.get("/plugins/chameleon/revisions").await.text,
            files,
        }
    }
}

fn list(folder: &Path, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        match path.is_dir() {
            true => list(&path, files),
            false if name.contains(".db") => {}
            false => files.push(name),
        }
    }
}

/// A plugin file without a fault.
fn good() -> Vec<u8> {
    chameleon("1.0.0", "green", "good")
}
