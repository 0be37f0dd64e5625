//! Plugin files, and the operator's requests with them.

use super::{Client, Host, Reply, Setup};
use host_test_support::wasm::{section, sized};
use http::Method;
use plugin_pack::{EVENTS_SECTION, MANIFEST_SECTION, MIGRATIONS_SECTION, OPENAPI_SECTION};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use wasmparser::{Parser, Payload};

/// The id of a custom section.
const CUSTOM: u8 = 0;

/// The folder of the components that are bundled into the host.
fn components() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("components")
}

/// The plugin file of a test guest.
pub(crate) fn guest(name: &str) -> PathBuf {
    file(components().join("test").join(format!("{name}.wasm")))
}

/// The plugin file of a bundled component.
pub(crate) fn component(name: &str) -> PathBuf {
    file(components().join(format!("{name}.wasm")))
}

fn file(path: PathBuf) -> PathBuf {
    assert!(path.is_file(), "{} is missing: `cargo xtask build --components` makes it", path.display());
    path
}

/// The parts of a plugin file.
#[derive(Clone)]
pub(crate) struct PluginFile {
    component: Vec<u8>,
    pub(crate) manifest: String,
    pub(crate) migrations: Vec<(String, String)>,
    pub(crate) openapi: Option<Vec<u8>>,
    pub(crate) events: Option<Vec<u8>>,
}

impl PluginFile {
    /// Adds a manifest to a component that has none.
    pub(crate) fn of(component: Vec<u8>, manifest: &str) -> Self {
        Self { component, manifest: manifest.to_owned(), migrations: Vec::new(), openapi: None, events: None }
    }

    pub(crate) fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let (mut manifest, mut migrations, mut openapi, mut events) = (None, Vec::new(), None, None);
        // The platform's sections are at the end of the file.
        let (mut position, mut component_end) = (0, bytes.len());
        for payload in Parser::new(0).parse_all(&bytes) {
            let payload = payload.unwrap();
            let section_end = payload.as_section().map(|(_, range)| range.end);
            if let Payload::CustomSection(section) = payload {
                match section.name() {
                    MANIFEST_SECTION => {
                        manifest = Some(String::from_utf8(section.data().to_vec()).unwrap());
                        component_end = position;
                    }
                    MIGRATIONS_SECTION => {
                        let list: Vec<Value> = serde_json::from_slice(section.data()).unwrap();
                        let text = |value: &Value| value.as_str().unwrap().to_owned();
                        migrations = list.iter().map(|one| (text(&one["name"]), text(&one["sql"]))).collect();
                    }
                    OPENAPI_SECTION => openapi = Some(section.data().to_vec()),
                    EVENTS_SECTION => events = Some(section.data().to_vec()),
                    _ => {}
                }
            }
            position = section_end.map_or(position, |end| position.max(end));
        }
        let component = bytes[..component_end].to_vec();
        Self { component, manifest: manifest.expect("a manifest"), migrations, openapi, events }
    }

    /// Replaces the first occurrence of a text in the manifest.
    pub(crate) fn with(mut self, from: &str, to: &str) -> Self {
        assert!(self.manifest.contains(from), "{from:?} is not in {}", self.manifest);
        self.manifest = self.manifest.replacen(from, to, 1);
        self
    }

    /// Adds text to the end of the manifest.
    pub(crate) fn manifest_end(mut self, text: &str) -> Self {
        self.manifest.push_str(text);
        self
    }

    /// Changes the bytes of the component.
    pub(crate) fn map_component(mut self, change: impl FnOnce(&[u8]) -> Vec<u8>) -> Self {
        self.component = change(&self.component);
        self
    }

    /// Replaces a name by another one of the same length, everywhere in the file.
    pub(crate) fn renamed(self, from: &str, to: &str) -> Self {
        assert_eq!(from.len(), to.len());
        let replace = |text: &str| text.replace(from, to);
        Self {
            component: replace_bytes(&self.component, from.as_bytes(), to.as_bytes()),
            manifest: replace(&self.manifest),
            migrations: self.migrations.iter().map(|(name, sql)| (name.clone(), replace(sql))).collect(),
            openapi: self.openapi,
            events: self.events,
        }
    }

    pub(crate) fn version(self, version: &str) -> Self {
        self.with("version = \"1.0.0\"", &format!("version = \"{version}\""))
    }

    pub(crate) fn migration(mut self, name: &str, sql: &str) -> Self {
        self.migrations.push((name.to_owned(), sql.to_owned()));
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let migrations: Vec<_> =
            self.migrations.iter().map(|(name, sql)| json!({ "name": name, "sql": sql })).collect();
        let mut bytes = self.component.clone();
        append(&mut bytes, MANIFEST_SECTION, self.manifest.as_bytes());
        append(&mut bytes, MIGRATIONS_SECTION, &serde_json::to_vec(&migrations).unwrap());
        for (section, json) in [(OPENAPI_SECTION, &self.openapi), (EVENTS_SECTION, &self.events)] {
            if let Some(json) = json {
                append(&mut bytes, section, json);
            }
        }
        bytes
    }
}

fn replace_bytes(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut replaced = bytes.to_vec();
    let mut at = 0;
    while let Some(found) = replaced[at..].windows(from.len()).position(|window| window == from) {
        replaced[at + found..at + found + from.len()].copy_from_slice(to);
        at += found + from.len();
    }
    replaced
}

/// Appends a custom section. It does not look at the bytes before, because a
/// hostile component is not valid.
fn append(bytes: &mut Vec<u8>, name: &str, data: &[u8]) {
    bytes.extend(section(CUSTOM, &[sized(name.as_bytes()).as_slice(), data].concat()));
}

/// The plugin file of the chameleon, a guest whose settings decide its answers
/// and its faults.
pub(crate) fn chameleon(version: &str, colour: &str, mood: &str) -> Vec<u8> {
    PluginFile::read(&guest("chameleon"))
        .version(version)
        .with("default = \"green\"", &format!("default = {colour:?}"))
        .with("default = \"good\"", &format!("default = {mood:?}"))
        .bytes()
}

/// Starts a host and grants the chameleon the store.
pub(crate) async fn chameleon_host(setup: Setup) -> Host {
    let host = setup.start().await;
    host.operator().allow("chameleon", json!({ "grants": ["store"] })).await;
    host
}

impl Client {
    /// Sets the policy of a plugin, with the default for each field that is not
    /// named.
    pub(crate) async fn allow(&self, plugin: &str, policy: Value) {
        let reply = self.set_policy(plugin, policy).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// The same, whatever the host answers.
    pub(crate) async fn set_policy(&self, plugin: &str, policy: Value) -> Reply {
        self.put(&format!("/plugins/{plugin}/policy"), json!({ "policy": policy })).await
    }

    /// Uploads a plugin file.
    pub(crate) async fn upload(&self, bytes: impl Into<reqwest::Body>) -> Reply {
        self.upload_to("/plugins", bytes).await.unwrap()
    }

    /// Uploads a plugin file to a path with a query. Fails when the connection
    /// does.
    pub(crate) async fn upload_to(&self, path: &str, bytes: impl Into<reqwest::Body>) -> reqwest::Result<Reply> {
        let request = self.request(Method::POST, path).header("content-type", "application/wasm").body(bytes);
        Reply::of(request).await
    }

    /// Uploads a component with its manifest beside it.
    pub(crate) async fn upload_with(&self, component: Vec<u8>, manifest: &str) -> Reply {
        let form = Form::new().part("component", Part::bytes(component)).text("manifest", manifest.to_owned());
        Reply::of(self.request(Method::POST, "/plugins").multipart(form)).await.unwrap()
    }

    /// Uploads a plugin file that must be accepted. Returns its revision.
    pub(crate) async fn stage(&self, bytes: Vec<u8>) -> String {
        let reply = self.upload(bytes).await;
        assert!([200, 201].contains(&reply.status), "{reply:?}");
        reply.json()["revision"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn activate(&self, plugin: &str, revision: &str) -> Reply {
        self.post(&format!("/plugins/{plugin}/activate"), json!({ "revision": revision })).await
    }

    /// Uploads a plugin file and activates its revision. Returns the report.
    pub(crate) async fn deploy(&self, plugin: &str, bytes: Vec<u8>) -> Value {
        let revision = self.stage(bytes).await;
        let reply = self.activate(plugin, &revision).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    /// The colour of the chameleon's answer, which tells its revisions apart.
    pub(crate) async fn colour(&self) -> String {
        let reply = self.get("/chameleon").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["colour"].as_str().unwrap().to_owned()
    }

    /// A plugin as the operator API shows it.
    pub(crate) async fn plugin(&self, name: &str) -> Value {
        let reply = self.get(&format!("/plugins/{name}")).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }
}
