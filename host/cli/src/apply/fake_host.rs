//! An operator API for tests. It keeps what it is told and judges no file.

use super::samples::{details, id, revision};
use crate::plugin::{client::Client, connection::Target};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{Method, StatusCode, Uri},
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// A host, and a client of it.
pub(super) struct FakeHost {
    pub(super) client: Client,
    api: Arc<Mutex<Api>>,
}

#[derive(Default)]
struct Api {
    plugins: BTreeMap<String, FakePlugin>,
    /// The requests that change something.
    changes: Vec<String>,
}

#[derive(Default)]
struct FakePlugin {
    revisions: Vec<String>,
    /// Those of the revisions that are not compatible.
    incompatible: Vec<String>,
    active: Option<String>,
    canary: Option<Value>,
    config: Map<String, Value>,
    limits: Value,
    policy: Option<Value>,
    is_paused: bool,
}

type Answer = (StatusCode, String);

impl FakeHost {
    pub(super) async fn start() -> Self {
        let api = Arc::new(Mutex::new(Api::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let router = Router::new().fallback(answer).with_state(api.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { client: Client::new(&Target { address, token: None }).unwrap(), api }
    }

    /// The requests since the last call that change something.
    pub(super) fn changes(&self) -> Vec<String> {
        std::mem::take(&mut self.api.lock().unwrap().changes)
    }

    /// The operator removes a setting.
    pub(super) fn forget_settings(&self, plugin: &str) {
        self.api.lock().unwrap().plugins.get_mut(plugin).unwrap().config.clear();
    }
}

async fn answer(State(api): State<Arc<Mutex<Api>>>, method: Method, uri: Uri, body: Bytes) -> Answer {
    let mut api = api.lock().unwrap();
    let path: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    if method == Method::GET {
        return api.read(&path);
    }
    let last = if path.len() > 1 { path[1..].join("/") } else { "upload".to_owned() };
    api.changes.push(format!("{method} {last}"));
    api.change(&method, &path, &body)
}

impl Api {
    fn read(&self, path: &[&str]) -> Answer {
        let plugin = path.get(1).and_then(|name| self.plugins.get(*name));
        let found = match (path, plugin) {
            (["audit"], _) => Some(json!([])),
            (["plugins", _], Some(plugin)) => plugin.details(),
            (["plugins", _, "revisions"], Some(plugin)) => {
                Some(plugin.revisions.iter().map(|digest| revision(digest)).collect())
            }
            (["plugins", _, "revisions", _, "verdict"], Some(plugin)) => {
                Some(plugin.verdict(path[1], &plugin.digest_of(&json!({ "revision": path[3] }))))
            }
            (["plugins", name, "policy"], Some(plugin)) => {
                plugin.policy.as_ref().map(|policy| json!({ "plugin": name, "version": 1, "policy": policy }))
            }
            _ => None,
        };
        found.map_or_else(|| refusal(StatusCode::NOT_FOUND, "there is no such thing"), |value| done(&value))
    }

    fn change(&mut self, method: &Method, path: &[&str], body: &Bytes) -> Answer {
        let Some(name) = path.get(1) else { return self.upload(body) };
        let plugin = self.plugins.entry((*name).to_owned()).or_default();
        let json = || serde_json::from_slice::<Value>(body).unwrap();
        match (method.as_str(), path.get(2).copied()) {
            ("PUT", Some("policy")) => plugin.policy = Some(json()["policy"].clone()),
            ("PUT", Some("limits")) => plugin.limits = json(),
            ("PUT", Some("config")) => plugin.config = json().as_object().unwrap().clone(),
            ("PATCH", Some("config")) => plugin.config.extend(json().as_object().unwrap().clone()),
            ("POST", Some("activate")) => return plugin.activate(&json()),
            ("POST", Some("promote")) => plugin.active = Some(plugin.digest_of(&plugin.canary.clone().unwrap())),
            ("POST", Some("rollback")) => plugin.canary = None,
            ("POST", Some("pause")) => plugin.is_paused = true,
            ("POST", Some("resume")) => plugin.is_paused = false,
            ("DELETE", None) => plugin.active = None,
            _ => return refusal(StatusCode::BAD_REQUEST, "unknown request"),
        }
        done(&Value::Null)
    }

    /// The first word of a file is the name of its plugin. A file with the word `broken`
    /// is refused, and one with the word `other` is not compatible.
    fn upload(&mut self, body: &Bytes) -> Answer {
        let text = std::str::from_utf8(body).unwrap();
        if text.contains("broken") {
            return refusal(StatusCode::UNPROCESSABLE_ENTITY, "the file is not WebAssembly");
        }
        let name = text.split(' ').next().unwrap();
        let digest = hex::encode(Sha256::digest(body));
        let plugin = self.plugins.entry(name.to_owned()).or_default();
        plugin.revisions.insert(0, digest.clone());
        plugin.incompatible.extend(text.contains("other").then(|| digest.clone()));
        done(&plugin.verdict(name, &digest))
    }
}

impl FakePlugin {
    fn details(&self) -> Option<Value> {
        let mut details = details(self.active.as_ref()?);
        let set: Map<String, Value> = self.config.clone().into_iter().filter(|(_, value)| !value.is_null()).collect();
        let sources: Map<String, Value> = set.keys().map(|key| (key.clone(), "operator".into())).collect();
        details["config_set"] = set.into_iter().filter(|(key, _)| key != "key").collect::<Map<_, _>>().into();
        details["config_sources"] = sources.into();
        details["limits"] = if self.limits.is_null() { json!({}) } else { self.limits.clone() };
        if let Some(canary) = &self.canary {
            details["canary"] = canary.clone();
        }
        if self.is_paused {
            details["status"] = "paused".into();
        }
        Some(details)
    }

    fn activate(&mut self, activation: &Value) -> Answer {
        self.is_paused = false;
        match &activation["canary_percent"] {
            Value::Null => {
                self.active = Some(self.digest_of(activation));
                self.canary = None;
            }
            percent => {
                let revision = &activation["revision"];
                self.canary =
                    Some(json!({ "revision": revision, "percent": percent, "calls": 0, "errors": 0, "failures": 0 }));
            }
        }
        done(&json!({}))
    }

    fn verdict(&self, name: &str, digest: &str) -> Value {
        let changes = json!({ "added": [], "removed": [] });
        let problems: &[_] =
            if self.incompatible.iter().any(|it| it == digest) { &["it renames a table"] } else { &[] };
        json!({
            "plugin": name, "version": "1.0.0", "revision": id(digest), "digest": digest, "size_bytes": 1,
            "compile_ms": 1, "from_cache": false, "imports": [], "exports": [],
            "capabilities": { "wanted": [], "new": [] }, "routes": changes, "subscribes": changes,
            "publishes": changes, "types": [], "migrations": [], "compatible": problems.is_empty(),
            "problems": problems,
        })
    }

    fn digest_of(&self, with_revision: &Value) -> String {
        let is_it = |digest: &&String| with_revision["revision"] == id(digest);
        self.revisions.iter().find(is_it).unwrap().clone()
    }
}

fn done(value: &Value) -> Answer {
    (StatusCode::OK, value.to_string())
}

fn refusal(status: StatusCode, message: &str) -> Answer {
    (status, json!({ "errors": [{ "message": message }] }).to_string())
}
