//! Brokers that ask for credentials or prove themselves with a certificate.

use crate::support::{Bus, Host, NatsServer, Setup, eventually};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair as CertificateKey};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Asserts that the host completes a purchase and is ready.
async fn serves(host: &Host) {
    host.makes_a_sale().await;
    assert_eq!(host.outsider().get("/readyz").await.text, "ready\n");
}

/// Waits until the host reports why the broker refuses it. Returns everything
/// that the host has said.
async fn is_refused(host: &Host, reason: &str) -> String {
    let readiness = async || host.outsider().get("/readyz").await;
    let reply = eventually("the host reports the reason", readiness, |reply| reply.text.contains(reason)).await;
    assert_eq!(reply.status, 503, "{reply:?}");
    format!("{}{}", reply.text, host.log())
}

/// A folder for files, removed after the test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

/// A certificate authority.
struct Authority(CertifiedIssuer<'static, CertificateKey>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, CertificateKey::generate().unwrap()).unwrap())
    }

    fn certificate(&self, folder: &Folder, name: &str) -> PathBuf {
        folder.write(name, &self.0.pem())
    }

    /// A certificate for the loopback address, and its key.
    fn issue(&self, folder: &Folder, name: &str) -> [PathBuf; 2] {
        let key = CertificateKey::generate().unwrap();
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &self.0);
        let certificate = folder.write(&format!("{name}.pem"), &certificate.unwrap().pem());
        [certificate, folder.write(&format!("{name}.key"), &key.serialize_pem())]
    }
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
#[ignore = "needs NATS"]
async fn a_broker_with_tls_is_trusted_if_the_settings_name_its_authority() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let ca = authority.certificate(&folder, "ca.pem");
    let stranger = Authority::new().certificate(&folder, "stranger.pem");
    let ([certificate, key], [own, own_key]) = (authority.issue(&folder, "server"), authority.issue(&folder, "host"));
    let tls = ["--tlscert", shown(&certificate), "--tlskey", shown(&key), "--tlscacert", shown(&ca)];
    let server = NatsServer::with(&[&["--tlsverify"], tls.as_slice()].concat());
    let with = |ca: &Path, more: &str| {
        Setup::new().bus(Bus::jetstream(&server.url()).with(&format!("tls_ca_file = {ca:?}\n{more}")))
    };
    let identity = format!("tls_cert_file = {own:?}\ntls_key_file = {own_key:?}");

    serves(&with(&ca, &identity).start().await).await;
    // The server has a certificate of another authority, or the host has none.
    for setup in [with(&stranger, &identity), with(&ca, "")] {
        is_refused(&setup.start().await, "TLS with it fails; see messaging.nats.tls_ca_file").await;
    }
}

#[tokio::test]
#[ignore = "needs NATS"]
async fn a_wrong_password_is_reported_with_its_setting_and_not_shown() {
    let server = NatsServer::with(&["--user", "host", "--pass", "right"]);
    let with = |password: &str| {
        Setup::new().bus(Bus::jetstream(&format!("nats://host:{password}@127.0.0.1:{}", server.port())))
    };
    serves(&with("right").start().await).await;
    let said = is_refused(&with("tell-nobody").start().await, "authorization violation; see messaging.nats_url").await;
    assert!(!said.contains("tell-nobody"), "{said}");
}

/// The keys of a NATS operator and of one account with one user.
struct Realm {
    operator: KeyPair,
    system: KeyPair,
    account: KeyPair,
    user: KeyPair,
}

impl Realm {
    fn new() -> Self {
        Self {
            operator: KeyPair::new_operator(),
            system: KeyPair::new_account(),
            account: KeyPair::new_account(),
            user: KeyPair::new_user(),
        }
    }

    /// The server's configuration file.
    fn settings(&self) -> String {
        let system = self.system.public_key();
        let operator = json!({ "type": "operator", "version": 2, "system_account": system });
        let operator = claims(&self.operator, &self.operator, &operator);
        let unlimited = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1,
            "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
        });
        let account = json!({ "type": "account", "version": 2, "limits": unlimited });
        let mut nothing_stored = account.clone();
        for limit in ["mem_storage", "disk_storage", "streams", "consumer"] {
            nothing_stored["limits"][limit] = json!(0);
        }
        format!(
            "operator: {operator}\nsystem_account: {system}\nresolver: MEMORY\nresolver_preload: {{\n{}: {}\n{system}: {}\n}}\n",
            self.account.public_key(),
            claims(&self.operator, &self.account, &account),
            claims(&self.operator, &self.system, &nothing_stored),
        )
    }

    /// The file that `nsc` makes for the user.
    fn credentials(&self) -> String {
        let user = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {} });
        let (token, seed) = (claims(&self.account, &self.user, &user), self.user.seed().unwrap());
        format!(
            "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
    }
}

/// An issuer's signed statement about a subject: a JWT in NATS's form.
fn claims(issuer: &KeyPair, subject: &KeyPair, nats: &Value) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let (issuer_key, subject) = (issuer.public_key(), subject.public_key());
    let body = json!({ "jti": subject, "iat": now, "iss": issuer_key, "sub": subject, "name": "tests", "nats": nats });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({ "typ": "JWT", "alg": "ed25519-nkey" })), part(&body));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).unwrap()))
}

#[tokio::test]
#[ignore = "needs NATS"]
async fn a_credentials_file_is_accepted_by_the_broker_of_its_account_alone() {
    let (folder, realm, other_realm) = (Folder::new(), Realm::new(), Realm::new());
    let server = NatsServer::with_file(&realm.settings());
    let with = |name: &str, realm: &Realm| {
        let file = folder.write(name, &realm.credentials());
        Setup::new().bus(Bus::jetstream(&server.url()).with(&format!("credentials_file = {file:?}")))
    };
    serves(&with("host.creds", &realm).start().await).await;
    let host = with("other.creds", &other_realm).start().await;
    let said = is_refused(&host, "authorization violation; see messaging.nats.credentials_file").await;
    assert!(!said.contains(&other_realm.user.seed().unwrap()), "{said}");
}
