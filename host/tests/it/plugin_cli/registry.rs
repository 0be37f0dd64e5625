//! Plugin files in a registry of OCI.

use super::{Ended, Shell};
use crate::support::{Setup, chameleon};
use axum::{
    Router,
    body::{Body, Bytes},
    response::IntoResponse,
    routing::get,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures::stream;
use host_test_support::OciRegistry;
use http::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::convert::Infallible;

/// A shell with a version of the chameleon, and with a text in the place of its signature.
fn shell_with_files(shell: Shell) -> Shell {
    shell.write("green.wasm", chameleon("1.0.0", "green", "good"));
    shell.write("green.wasm.minisig", "the signature of green\n");
    shell.write("red.wasm", chameleon("2.0.0", "red", "good"));
    shell
}

impl Shell {
    /// Publishes a file. Returns its place by digest.
    async fn publish(&self, file: &str, place: &str) -> String {
        let published = self.plugin(&format!("publish {file} {place}")).await;
        published.done().trim_end().to_owned()
    }

    /// The credentials that `docker login` would have kept.
    fn logged_in(self, registry: &str, user: &str) -> Self {
        let config = json!({ "auths": { registry: { "auth": BASE64_STANDARD.encode(user) } } });
        self.write(".docker/config.json", config.to_string());
        self
    }
}

#[tokio::test]
#[ignore = "needs a registry of OCI"]
async fn a_published_file_comes_back_with_its_signature_by_tag_and_by_digest() {
    let (registry, shell) = (OciRegistry::start(), shell_with_files(Shell::new()));
    let place = format!("oci://{}/plugins/chameleon:1.0.0", registry.name());
    let by_digest = shell.publish("green.wasm", &place).await;
    assert!(by_digest.starts_with(&format!("oci://{}/plugins/chameleon@sha256:", registry.name())), "{by_digest}");
    assert_eq!(shell.publish("green.wasm", &place).await, by_digest, "the same file has the same digest");

    let pulled = shell.plugin(&format!("pull {place} --json")).await.json();
    assert_eq!((&pulled["place"], &pulled["file"]), (&json!(by_digest), &json!("chameleon.wasm")));
    shell.plugin(&format!("pull {by_digest} -o again.wasm")).await.done();
    let green = std::fs::read(shell.path("green.wasm")).unwrap();
    for file in ["chameleon.wasm", "again.wasm"] {
        assert_eq!(std::fs::read(shell.path(file)).unwrap(), green, "{file}");
        let signature = std::fs::read_to_string(shell.path(&format!("{file}.minisig"))).unwrap();
        assert_eq!(signature, "the signature of green\n");
    }

    // The tag moves to another file, and the digest does not.
    let red = shell.publish("red.wasm", &place).await;
    assert_ne!(red, by_digest);
    shell.plugin(&format!("pull {place} -o tagged.wasm")).await.done();
    assert_eq!(std::fs::read(shell.path("tagged.wasm")).unwrap(), std::fs::read(shell.path("red.wasm")).unwrap());
    shell.plugin(&format!("pull {by_digest} -o again.wasm")).await.done();
    assert_eq!(std::fs::read(shell.path("again.wasm")).unwrap(), green);
}

#[tokio::test]
#[ignore = "needs a registry of OCI"]
async fn other_programs_find_a_component_in_the_layout_that_they_know() {
    let (registry, shell) = (OciRegistry::start(), shell_with_files(Shell::new()));
    shell.publish("green.wasm", &format!("oci://{}/chameleon:1.0.0", registry.name())).await;
    let base = format!("http://{}/v2/chameleon", registry.name());
    let accept = "application/vnd.oci.image.manifest.v1+json";
    let manifest = reqwest::Client::new().get(format!("{base}/manifests/1.0.0")).header("accept", accept).send().await;
    let manifest: Value = manifest.unwrap().json().await.unwrap();
    assert_eq!(manifest["mediaType"], accept);
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(manifest["annotations"]["org.opencontainers.image.title"], "chameleon");
    assert_eq!(manifest["annotations"]["org.opencontainers.image.version"], "1.0.0");
    let config = reqwest::get(format!("{base}/blobs/{}", manifest["config"]["digest"].as_str().unwrap())).await;
    let config: Value = config.unwrap().json().await.unwrap();
    assert_eq!((&config["architecture"], &config["os"]), (&json!("wasm"), &json!("wasip2")));
    assert_eq!(config["layerDigests"], json!([manifest["layers"][0]["digest"]]));
    let has = |list: &str, name: &str| {
        config["component"][list].as_array().unwrap().iter().any(|item| item.as_str().unwrap().starts_with(name))
    };
    assert!(has("exports", "platform:packed/packed-handler@1") && has("imports", "platform:store/sql@1"), "{config}");
}

#[tokio::test]
#[ignore = "needs a registry of OCI"]
async fn a_host_serves_a_plugin_of_a_registry() {
    let (registry, host) = (OciRegistry::start(), Setup::without_components().start().await);
    let shell = shell_with_files(Shell::of(&host));
    shell.plugin("policy chameleon --grant store").await.done();
    let place = format!("oci://{}/chameleon:1.0.0", registry.name());
    std::fs::remove_file(shell.path("green.wasm.minisig")).unwrap();
    let green = shell.publish("green.wasm", &place).await;
    assert!(shell.plugin(&format!("check {place}")).await.done().contains("a host can run it"));
    shell.plugin(&format!("diff {place}")).await.done();
    shell.plugin(&format!("push {place} --activate")).await.done();
    assert_eq!(host.visitor().colour().await, "green");
    shell.plugin(&format!("watch {place}")).await.fails(2, "is in a registry; name a file");

    // A desired state names digests.
    let red = shell.publish("red.wasm", &place).await;
    for (place, colour) in [(&red, "red"), (&green, "green")] {
        shell.write("plugins.toml", format!("[[plugin]]\nname = \"chameleon\"\nfile = \"{place}\"\n"));
        shell.host("apply -f plugins.toml --yes").await.done();
        assert_eq!(host.visitor().colour().await, colour);
        assert_eq!(shell.host("apply -f plugins.toml --yes").await.done(), "nothing to change\n");
    }
    shell.write("plugins.toml", format!("[[plugin]]\nname = \"chameleon\"\nfile = \"{place}\"\n"));
    shell.host("apply -f plugins.toml --yes").await.fails(2, "may change; name the digest");
}

#[tokio::test]
#[ignore = "needs a registry of OCI"]
async fn a_host_fetches_a_file_by_itself_only_from_where_the_policy_says() {
    let (registry, host) = (OciRegistry::start(), Setup::without_components().start().await);
    let shell = shell_with_files(Shell::of(&host));
    std::fs::remove_file(shell.path("green.wasm.minisig")).unwrap();
    let place = format!("oci://{}/plugins/chameleon:1.0.0", registry.name());
    shell.publish("green.wasm", &place).await;
    shell.plugin("policy chameleon --grant store").await.done();
    let push = format!("push {place} --by-host chameleon --activate");
    let allow = format!("policy chameleon --registry {}", registry.name());
    let advice = format!("an administrator can: ticketing plugin {allow}/plugins/chameleon");
    for other in ["", "/plugins/chamel", "/plugins/chameleon/x", "/other"] {
        if !other.is_empty() {
            shell.plugin(&format!("{allow}{other}")).await.done();
        }
        shell.plugin(&push).await.fails(4, &advice);
    }
    shell.plugin(&format!("{allow}/plugins")).await.done();
    shell.plugin(&format!("diff {place} --by-host chameleon")).await.done();
    shell.plugin(&push).await.done();
    assert_eq!(host.visitor().colour().await, "green");

    // The policy is that of one name, and the file must have this name.
    shell.plugin(&format!("policy other --registry {}", registry.name())).await.done();
    shell.plugin(&format!("push {place} --by-host other")).await.fails(3, "chameleon");
    shell.plugin("push green.wasm --by-host chameleon").await.fails(2, "leave out --by-host");
    let missing = place.replace("1.0.0", "none");
    shell.plugin(&format!("push {missing} --by-host chameleon")).await.fails(3, "has no oci://");
    let token = shell.plugin("token create robot --role deploy --plugin other --json").await.json();
    let robot = Shell::at(&host).with("TICKETING_ADMIN_TOKEN", token["token"].as_str().unwrap());
    robot.plugin(&push).await.fails(4, "bound to other");
    let audit = shell.plugin("audit --json").await;
    assert!(audit.done().contains("does not let the host fetch from"), "{}", audit.stdout);
}

#[tokio::test]
async fn a_request_that_names_no_place_is_refused() {
    let host = Setup::without_components().start().await;
    for (query, body, status, field) in [
        ("?name=x", "", 400, None),
        ("?name=x", "[]", 400, None),
        ("?name=x", "{\"place\": 1}", 400, Some("place")),
        ("?name=x", "{\"place\": \"ghcr.io/x:1\"}", 400, Some("place")),
        ("?name=x", "{\"place\": \"oci://ghcr.io/x:1\", \"more\": 1}", 400, Some("more")),
        ("", "{\"place\": \"oci://ghcr.io/x:1\"}", 400, Some("name")),
        ("?name=x", "{\"place\": \"oci://ghcr.io/x:1\"}", 403, None),
    ] {
        let reply = host.operator().raw(Method::POST, &format!("/plugins{query}"), body).await;
        assert_eq!((reply.status, reply.errors()[0].1.as_deref()), (status, field), "{query} {body}: {reply:?}");
    }
}

#[tokio::test]
#[ignore = "needs a registry of OCI"]
async fn a_registry_with_users_asks_for_the_credentials_of_docker() {
    let registry = OciRegistry::with_users();
    let place = format!("oci://{}/chameleon:1.0.0", registry.name());
    let author = shell_with_files(Shell::new()).logged_in(&registry.name(), "author:secret");
    author.publish("green.wasm", &place).await;
    author.plugin(&format!("pull {place}")).await.done();
    for stranger in [Shell::new(), Shell::new().logged_in(&registry.name(), "author:wrong")] {
        let stranger = shell_with_files(stranger);
        for command in [format!("publish green.wasm {place}"), format!("pull {place}"), format!("push {place}")] {
            let stranger = stranger.plugin(&command).await;
            stranger.fails(4, &format!("does not allow this for {place}; try `docker login {}`", registry.name()));
            assert!(!stranger.stderr.contains("wrong"), "{}", stranger.stderr);
        }
    }
    let broken = shell_with_files(Shell::new());
    broken.write(".docker/config.json", "{");
    broken.plugin(&format!("pull {place}")).await.fails(4, "the credentials of Docker");
}

#[tokio::test]
#[ignore = "needs a registry of OCI"]
async fn a_wrong_place_or_file_is_refused_with_the_reason() {
    let (registry, shell) = (OciRegistry::start(), shell_with_files(Shell::new()));
    let registry = registry.name();
    shell.write("text.wasm", "no component");
    shell.plugin("publish green.wasm green:1.0").await.fails_to_parse("is no place in a registry");
    shell.plugin("pull oci://chameleon:1.0").await.fails_to_parse("names no registry");
    let digest = "0".repeat(64);
    for (command, code, reason) in [
        (format!("publish text.wasm oci://{registry}/chameleon:1"), 1, "WebAssembly"),
        (format!("publish none.wasm oci://{registry}/chameleon:1"), 1, "none.wasm: No such file"),
        (format!("publish green.wasm oci://{registry}/chameleon@sha256:{digest}"), 2, "replace the digest by :TAG"),
        (format!("pull oci://{registry}/chameleon:none"), 1, "has no oci://"),
        (format!("pull oci://{registry}/chameleon@sha256:{digest}"), 1, "has no oci://"),
        ("pull oci://127.0.0.1:1/chameleon:1".to_owned(), 5, "the registry 127.0.0.1:1 does not answer"),
    ] {
        shell.plugin(&command).await.fails(code, reason);
    }
}

/// A registry that answers each manifest and each file in its own way.
async fn hostile_registry(manifest: Value, blob: fn() -> Body) -> String {
    let manifest = manifest.to_string();
    let answer = move || {
        let manifest = manifest.clone();
        async move { ([(CONTENT_TYPE, "application/vnd.oci.image.manifest.v1+json")], manifest).into_response() }
    };
    let routes = Router::new()
        .route("/v2/", get(async || ""))
        .route("/v2/x/manifests/{reference}", get(answer))
        .route("/v2/x/blobs/{digest}", get(async move || blob()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("oci://{address}/x")
}

/// A manifest with one file of this size, whose digest is that of no bytes.
fn manifest(media_type: &str, size: i64) -> Value {
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(b"")));
    let part = |media_type: &str| json!({ "mediaType": media_type, "digest": digest, "size": size });
    json!({
        "schemaVersion": 2,
        "config": part("application/vnd.wasm.config.v0+json"),
        "layers": [part(media_type)],
    })
}

#[tokio::test]
async fn a_hostile_registry_makes_the_command_fail_and_nothing_else() {
    let endless = || {
        let piece = Ok::<_, Infallible>(Bytes::from_static(&[0; 65_536]));
        Body::from_stream(stream::repeat_with(move || piece.clone()))
    };
    let other = || Body::from("other bytes");
    let wasm = "application/wasm";
    for (manifest, blob, reason) in [
        (manifest(wasm, 1_000_000), endless as fn() -> Body, "sends more than the 1000000 bytes"),
        (manifest(wasm, 11), other, "digest"),
        (manifest(wasm, i64::MAX), endless, "a host accepts at most"),
        (manifest(wasm, -1), other, "-1 bytes"),
        (manifest("application/vnd.oci.image.layer.v1.tar+gzip", 11), other, "a plugin is application/wasm"),
        (json!({ "schemaVersion": 2 }), other, ""),
        (json!({ "schemaVersion": 2, "manifests": [] }), other, ""),
        (json!("text"), other, ""),
    ] {
        let place = format!("{}:1", hostile_registry(manifest, blob).await);
        let shell = Shell::new();
        shell.plugin(&format!("pull {place}")).await.fails(1, reason);
        assert!(!shell.path("x.wasm").exists(), "{place}");
    }
}

#[tokio::test]
async fn a_registry_cannot_send_another_manifest_than_the_digest_says() {
    let registry = hostile_registry(manifest("application/wasm", 0), Body::empty).await;
    let shell = Shell::new();
    shell.plugin(&format!("pull {registry}@sha256:{}", "0".repeat(64))).await.fails(1, "digest");
    assert!(!shell.path("x.wasm").exists());
}

impl Ended {
    /// Asserts that the arguments cannot be read, for this reason.
    #[track_caller]
    fn fails_to_parse(&self, reason: &str) {
        assert_eq!(self.code, 2, "{}{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(reason), "{reason}: {}", self.stderr);
    }
}
