//! A client of the operator API of a host under measurement.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::json;

use crate::build;
use crate::client::{Answer, Connection};

/// A connection to the operator listener.
pub(crate) struct Operator {
    connection: Connection,
    token: String,
}

/// The measured part of the answer to an upload.
#[derive(Deserialize)]
pub(crate) struct Verdict {
    pub(crate) revision: String,
    pub(crate) compile_ms: f64,
    pub(crate) from_cache: bool,
}

/// The measured part of the answer to a swap.
#[derive(Deserialize)]
pub(crate) struct SwapReport {
    pub(crate) swap_us: f64,
    pub(crate) took_ms: f64,
    pub(crate) dropped: u64,
    pub(crate) cut_off: u64,
}

/// A plugin file and its manifest.
#[derive(Clone)]
pub(crate) struct PluginFile {
    pub(crate) component: Vec<u8>,
    pub(crate) manifest: String,
}

impl PluginFile {
    /// The file of a bundled component.
    pub(crate) fn component(name: &str) -> Result<Self> {
        Self::read(&build::file(&format!("components/{name}.wasm"))?, &format!("../../components/{name}/plugin.toml"))
    }

    /// The file of a test guest.
    pub(crate) fn guest(name: &str) -> Result<Self> {
        Self::read(&crate::server::guest(name)?, &format!("../tests/guests/{name}/plugin.toml"))
    }

    fn read(component: &Path, manifest: &str) -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join(manifest);
        Ok(Self { component: std::fs::read(component)?, manifest: std::fs::read_to_string(manifest)? })
    }

    /// The same component with a changed manifest.
    pub(crate) fn with(&self, from: &str, to: &str) -> Result<Self> {
        ensure!(self.manifest.contains(from), "{from:?} is not in the manifest");
        Ok(Self { component: self.component.clone(), manifest: self.manifest.replace(from, to) })
    }

    pub(crate) fn version(&self, version: &str) -> Result<Self> {
        self.with("version = \"1.0.0\"", &format!("version = \"{version}\""))
    }

    /// The same code in a file that no cache contains: the file has one more
    /// custom section, without meaning.
    pub(crate) fn unseen(&self, number: u16) -> Self {
        let mut component = self.component.clone();
        let [high, low] = number.to_be_bytes();
        component.extend_from_slice(&[0, 5, 2, b'n', b'o', high, low]);
        Self { component, manifest: self.manifest.clone() }
    }
}

impl Operator {
    /// Connects with the token that the host generated.
    pub(crate) async fn open(address: SocketAddr, data: &Path) -> Result<Self> {
        let token = std::fs::read_to_string(data.join("admin-token")).context("the operator token")?;
        Self::with_token(address, token.trim()).await
    }

    pub(crate) async fn with_token(address: SocketAddr, token: &str) -> Result<Self> {
        Ok(Self { connection: Connection::open(address).await?, token: token.to_owned() })
    }

    /// Sends a request with JSON, or with nothing.
    pub(crate) async fn call(&mut self, method: &str, path: &str, body: &str) -> Result<Answer<'_>> {
        self.send(method, path, "application/json", body.as_bytes()).await
    }

    pub(crate) async fn upload(&mut self, file: &PluginFile) -> Result<Verdict> {
        const BOUNDARY: &str = "a-boundary-that-is-in-no-component";
        let part = |name: &str, kind: &str| {
            format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\ncontent-type: {kind}\r\n\r\n")
        };
        let mut body = part("manifest", "text/plain").into_bytes();
        body.extend_from_slice(file.manifest.as_bytes());
        body.extend_from_slice(b"\r\n");
        body.extend_from_slice(part("component", "application/wasm").as_bytes());
        body.extend_from_slice(&file.component);
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        let answer = self.send("POST", "/plugins", &format!("multipart/form-data; boundary={BOUNDARY}"), &body).await?;
        let status = if answer.status == 200 { 200 } else { 201 };
        answer.json(status)
    }

    pub(crate) async fn activate(&mut self, plugin: &str, revision: &str) -> Result<SwapReport> {
        let body = json!({ "revision": revision }).to_string();
        self.call("POST", &format!("/plugins/{plugin}/activate"), &body).await?.json(200)
    }

    pub(crate) async fn rollback(&mut self, plugin: &str) -> Result<SwapReport> {
        self.call("POST", &format!("/plugins/{plugin}/rollback"), "").await?.json(200)
    }

    /// Uploads a file and activates its revision.
    pub(crate) async fn deploy(&mut self, plugin: &str, file: &PluginFile) -> Result<SwapReport> {
        let verdict = self.upload(file).await?;
        self.activate(plugin, &verdict.revision).await
    }

    async fn send(&mut self, method: &str, path: &str, kind: &str, body: &[u8]) -> Result<Answer<'_>> {
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            self.token,
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.connection.send(&request).await
    }
}
