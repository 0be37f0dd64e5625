//! Requests of plugins to other plugins, in the process.

mod answers;
mod bounds;
mod rights;
mod visitors;

use super::{is_well, requesting, send, tell};
use crate::support::{Host, PluginFile, Setup};
use serde_json::{Value, json};

/// The name of the plugin that answers. It is the same guest.
const CALLEE: &str = "answering1";

/// The guest with an entry for these plugins.
fn calling(file: PluginFile, plugins: &[&str]) -> PluginFile {
    file.with("[limits]", &format!("[requests]\nplugins = {plugins:?}\n\n[limits]"))
}

fn caller() -> PluginFile {
    calling(requesting(), &[CALLEE])
}

fn callee() -> PluginFile {
    requesting().renamed("requesting", CALLEE)
}

/// A policy with all that the guest needs, and these plugins.
fn policy(plugins: &[&str]) -> Value {
    json!({ "grants": ["http", "store"], "plugins": plugins })
}

/// A host with both plugins.
async fn host_with(setup: Setup, caller: PluginFile, callee: PluginFile) -> Host {
    let host = setup.start().await;
    let operator = host.operator();
    operator.allow(CALLEE, policy(&["requesting"])).await;
    operator.deploy(CALLEE, callee.bytes()).await;
    operator.allow("requesting", policy(&[CALLEE])).await;
    operator.deploy("requesting", caller.bytes()).await;
    host
}

async fn host_with_both() -> Host {
    host_with(Setup::without_components(), caller(), callee()).await
}

/// The address of a path of the plugin that answers.
fn url(path: &str) -> String {
    format!("http://{CALLEE}.plugin/{CALLEE}/{path}")
}

/// The body of an answer that is JSON itself.
fn told(outcome: &Value) -> Value {
    assert_eq!(outcome["status"], 200, "{outcome}");
    serde_json::from_str(outcome["body"].as_str().unwrap()).unwrap()
}

impl Host {
    /// The sum of the series with these labels.
    async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.outsider().get("/metrics").await.text;
        let is_wanted =
            |line: &&str| line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label));
        text.lines().filter(is_wanted).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}
