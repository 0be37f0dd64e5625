//! Requests of the platform's components to other hosts and plugins
//! (`platform:requests`).

mod destinations;
mod limits;
mod plugins;
mod servers;

use crate::support::{Client, Host, LocalServer, PluginFile, Setup, guest};
use http::Method;
use serde_json::{Value, json};

/// The guest that sends requests on demand.
fn requesting() -> PluginFile {
    PluginFile::read(&guest("requesting"))
}

/// A host with the guest, which may send requests to these hosts.
async fn requesting_host(hosts: &[String]) -> Host {
    host_with(requesting(), hosts).await
}

async fn host_with(file: PluginFile, hosts: &[String]) -> Host {
    let host = Setup::without_components().start().await;
    let operator = host.operator();
    operator.allow("requesting", json!({ "grants": ["http", "store"], "http_hosts": hosts })).await;
    operator.deploy("requesting", file.bytes()).await;
    host
}

/// A host whose guest may send requests to this server alone.
async fn host_for(server: &LocalServer) -> Host {
    requesting_host(&[server.address.to_string()]).await
}

impl LocalServer {
    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

/// Lets the guest send a request, and returns the outcome that it tells.
async fn send(visitor: &Client, wanted: Value) -> Value {
    tell(visitor, "/requesting/send", wanted).await
}

async fn tell(visitor: &Client, path: &str, wanted: Value) -> Value {
    let reply = visitor.send(Method::POST, path, Some(wanted)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

/// Asserts that no call of the guest failed, and that it still answers.
async fn is_well(host: &Host) {
    assert_eq!(host.visitor().get("/requesting/version").await.text, "requesting-one");
    let plugin = host.operator().plugin("requesting").await;
    assert_eq!(plugin["failures"], 0, "{plugin}");
}
