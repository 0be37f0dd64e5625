//! Components of `wasi:http`: they answer requests by the standard's interface. They
//! are written in Rust, JavaScript and Python.

mod outgoing_requests;
mod scripts;
mod streaming;
mod whole;

use crate::support::{Client, Host, PluginFile, Reply, eventually, guest};
use http::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// The longest that the compilation of a script's interpreter may take on a busy
/// machine.
const COMPILING: Duration = Duration::from_secs(300);

/// A `wasi:http` component, with its manifest in a file of its own.
#[derive(Clone)]
pub(crate) struct WasiHttp {
    name: &'static str,
    component: Vec<u8>,
    manifest: String,
}

impl WasiHttp {
    /// A component made from a script.
    fn script(name: &'static str, manifest: &str) -> Self {
        Self { name, component: std::fs::read(guest(name)).unwrap(), manifest: manifest.to_owned() }
    }

    /// A component in Rust, whose plugin file contains the manifest.
    pub(crate) fn rust(name: &'static str) -> Self {
        let path = guest(name);
        let manifest = PluginFile::read(&path).manifest;
        Self { name, component: std::fs::read(path).unwrap(), manifest }
    }

    /// A second version, as if from another source: its answers contain `two`
    /// instead of `one`.
    fn second(mut self) -> Self {
        let (from, to) = (format!("{}-one", self.name), format!("{}-two", self.name));
        let mut found = 0;
        for at in 0..self.component.len() - from.len() {
            if self.component[at..].starts_with(from.as_bytes()) {
                self.component[at..at + to.len()].copy_from_slice(to.as_bytes());
                found += 1;
            }
        }
        assert!(found > 0, "the component does not contain its version's text");
        self.manifest = self.manifest.replacen("version = \"1.0.0\"", "version = \"2.0.0\"", 1);
        self
    }

    /// Uploads the component with its manifest.
    async fn upload(self, operator: &Client) -> Reply {
        let form = Form::new().part("component", Part::bytes(self.component)).text("manifest", self.manifest);
        Reply::of(operator.request(Method::POST, "/plugins").multipart(form).timeout(COMPILING)).await.unwrap()
    }

    /// Uploads the component and activates its revision.
    pub(crate) async fn deploy(self, operator: &Client) -> Value {
        let name = self.name;
        let reply = self.upload(operator).await;
        assert!([200, 201].contains(&reply.status), "{reply:?}");
        let verdict = reply.json();
        let revision = json!({ "revision": verdict["revision"] });
        let reply = operator.request(Method::POST, &format!("/plugins/{name}/activate")).json(&revision);
        let reply = Reply::of(reply.timeout(COMPILING)).await.unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }
}

/// Grants a component that is not uploaded yet requests to these hosts.
pub(crate) async fn grant(operator: &Client, plugin: &str, hosts: &[String]) {
    let grants = json!({ "grants": ["http"], "http_hosts": hosts });
    let reply = operator.set_policy(plugin, grants).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// Swaps to the second version while several clients send requests. Asserts that
/// one of the two versions answers each request.
async fn swaps_under_requests(host: &Host, first: WasiHttp, path: &'static str) {
    let name = first.name;
    let second = first.clone().second();
    first.deploy(&host.operator()).await;
    let (old, new) = (format!("{name}-one"), format!("{name}-two"));
    assert!(host.visitor().get(path).await.text.contains(&old));
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (visitor, stop, old, new) = (host.visitor(), stop.clone(), old.clone(), new.clone());
            tokio::spawn(async move {
                let mut swapped = 0;
                while !stop.load(Ordering::Relaxed) || swapped == 0 {
                    let reply = visitor.get(path).await;
                    assert_eq!(reply.status, 200, "{reply:?}");
                    assert!(reply.text.contains(&new) || (reply.text.contains(&old) && swapped == 0), "{reply:?}");
                    swapped += usize::from(reply.text.contains(&new));
                }
                swapped
            })
        })
        .collect();
    let report = second.deploy(&host.operator()).await;
    assert_eq!((&report["dropped"], &report["cut_off"]), (&json!(0), &json!(0)), "{report}");
    assert!(report["old"].as_str().unwrap().starts_with("1.0.0+"), "{report}");
    assert!(host.visitor().get(path).await.text.contains(&new));
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(client.await.unwrap() > 0);
    }
    let plugin = host.operator().plugin(name).await;
    assert_eq!((&plugin["failures"], &plugin["in_flight"]), (&json!(0), &json!(0)), "{plugin}");
}

/// Waits until a plugin has no request in flight.
async fn idle(host: &Host, plugin: &str) {
    let operator = host.operator();
    let in_flight = async || operator.plugin(plugin).await["in_flight"].as_u64();
    eventually("no request is in flight", in_flight, |count| *count == Some(0)).await;
}

pub(crate) fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let encoded =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let pairs: Vec<_> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    format!("{path}?{}", pairs.join("&"))
}
