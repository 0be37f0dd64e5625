//! Components that attack the host, beside a good component that must not notice.

mod attacks;
mod instance_pool;
mod loading;
mod neighbour;
mod packed;
mod statements;
pub(crate) mod uploads;
mod waits;

use crate::support::{Client, Host, Reply, Setup, guest};
use serde_json::Value;
use std::path::Path;

fn with_plugin(setup: Setup, path: &Path, grants: &[&str]) -> Setup {
    setup.toml(&format!("[[plugin]]\npath = {path:?}\ngrants = {grants:?}"))
}

/// A host with the hostile guest and the good one.
pub(crate) fn hostile() -> Setup {
    with_plugin(with_plugin(Setup::without_components(), &guest("hello"), &[]), &guest("hostile"), &["store"])
}

impl Host {
    /// The number of failures of this kind that the host has counted for a component.
    pub(crate) async fn failures(&self, component: &str, kind: &str) -> u64 {
        let reply = self.outsider().get("/metrics").await;
        let wanted = [format!("component=\"{component}\""), format!("kind=\"{kind}\"")];
        reply
            .text
            .lines()
            .filter(|line| line.starts_with("plugin_failures_total"))
            .filter(|line| wanted.iter().all(|label| line.contains(label)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }
}

impl Client {
    async fn attack(&self, attack: &str) -> Reply {
        self.get(&format!("/hostile/{attack}")).await
    }

    /// Lets the attacker execute a statement. Returns the store's answer.
    async fn statement(&self, call: &str, statement: &str) -> Value {
        let body = serde_json::json!({ "call": call, "statement": statement });
        let reply = self.post("/hostile/sql", body).await;
        assert_eq!(reply.status, 200, "{statement}: {reply:?}");
        reply.json()
    }

    /// The row that attacks must not change.
    async fn treasure(&self) -> Value {
        self.statement("query", "SELECT id, note FROM treasure").await["result"].clone()
    }

    pub(crate) async fn says_hello(&self) {
        let reply = self.get("/hello").await;
        assert_eq!((reply.status, reply.text.as_str()), (200, r#"{"message":"Hello","recipient":"world"}"#));
    }
}
