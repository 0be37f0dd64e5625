//! TLS on the public listener.

use super::{PATIENCE, greeter, rest, sent};
use crate::{
    adversary::{scripted_request, with_hostile_guest},
    support::{Host, Setup, eventually},
};
use serde_json::json;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
        crypto::aws_lc_rs,
        pki_types::CertificateDer,
        version::{TLS12, TLS13},
    },
};

const BOTH: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];

/// A certificate for `localhost` and its key, in files.
struct Pair {
    folder: TempDir,
}

impl Pair {
    fn new() -> Self {
        let pair = Self { folder: tempfile::tempdir().unwrap() };
        pair.renew();
        pair
    }

    /// Writes another certificate.
    fn renew(&self) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(self.certificate(), made.cert.pem()).unwrap();
        write_key(&self.key(), &made.signing_key.serialize_pem());
        made.cert.der().clone()
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    fn settings(&self) -> String {
        format!("tls_certificate = {:?}\ntls_key = {:?}\n", self.certificate(), self.key())
    }
}

fn write_key(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

async fn connect(
    host: &Host,
    trusted: &CertificateDer<'static>,
    alpn: &[&str],
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots);
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(host.address()).await?;
    let name = "localhost".try_into().unwrap();
    timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap()
}

/// The answer to a request of HTTP/1.1 that asks for the end of the connection.
async fn answer(mut stream: TlsStream<TcpStream>, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

const HELLO: &str = "GET /hello HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn clients_agree_on_a_version_of_tls_and_of_http() {
    let pair = Pair::new();
    let certificate = pair.renew();
    let host = greeter().http(&pair.settings()).start().await;
    for (versions, expected) in [(&[&TLS12][..], ProtocolVersion::TLSv1_2), (BOTH, ProtocolVersion::TLSv1_3)] {
        for alpn in [&["http/1.1"][..], &[]] {
            let stream = connect(&host, &certificate, alpn, versions).await.unwrap();
            assert_eq!(stream.get_ref().1.protocol_version(), Some(expected));
            assert_eq!(stream.get_ref().1.alpn_protocol(), alpn.first().map(|name| name.as_bytes()));
            let text = answer(stream, HELLO).await;
            assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
        }
        let stream = connect(&host, &certificate, &["http/1.1", "h2"], versions).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = http::Request::get("https://localhost/hello").body(()).unwrap();
        let (status, text) = super::ask(&client, request).await.unwrap();
        assert_eq!((status.as_u16(), text.as_str()), (200, r#"{"message":"Hello","recipient":"world"}"#));
        drop(client);
        timeout(PATIENCE, connection).await.unwrap().unwrap().unwrap();
    }
    let no_protocol = connect(&host, &certificate, &["spdy/3"], BOTH).await;
    assert!(no_protocol.is_err());
}

#[tokio::test]
async fn cookies_over_tls_are_for_tls_alone() {
    let pair = Pair::new();
    let certificate = pair.renew();
    let host = Setup::new().http(&pair.settings()).start().await;
    let body = json!({ "email": "anna@example.com", "password": "correct horse" }).to_string();
    let request = format!(
        "POST /api/users/signup HTTP/1.1\r\nhost: localhost\r\norigin: https://localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let text = answer(connect(&host, &certificate, &[], BOTH).await.unwrap(), &request).await;
    assert!(text.starts_with("HTTP/1.1 201 "), "{text}");
    let cookie = text.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap().to_owned();
    assert!(cookie.starts_with("__Host-session=") && cookie.contains("; Secure"), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    let request = format!(
        "GET /api/users/currentuser HTTP/1.1\r\nhost: localhost\r\ncookie: {pair}\r\nconnection: close\r\n\r\n"
    );
    let text = answer(connect(&host, &certificate, &[], BOTH).await.unwrap(), &request).await;
    assert!(text.contains("anna@example.com"), "{text}");
}

#[tokio::test]
async fn sighup_changes_the_certificate_and_a_bad_file_changes_nothing() {
    let pair = Pair::new();
    let first = pair.renew();
    let mut host = greeter().http(&pair.settings()).start().await;
    let open = connect(&host, &first, &[], BOTH).await.unwrap();

    let second = pair.renew();
    assert!(connect(&host, &second, &[], BOTH).await.is_err(), "nothing has told the host");
    host.signal("HUP").await;
    let changed = async || connect(&host, &second, &[], BOTH).await.is_ok();
    eventually("new connections get the other certificate", changed, |changed| *changed).await;
    assert!(answer(open, HELLO).await.starts_with("HTTP/1.1 200"), "a connection outlives the change");

    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let good = (fs::read_to_string(pair.certificate()).unwrap(), fs::read_to_string(pair.key()).unwrap());
    let key_of_other = other.signing_key.serialize_pem();
    for (number, (certificate, key)) in
        [("nonsense", good.1.as_str()), (&good.0, ""), (&good.0, &key_of_other), ("", "")].into_iter().enumerate()
    {
        fs::write(pair.certificate(), certificate).unwrap();
        write_key(&pair.key(), key);
        host.signal("HUP").await;
        let log = async || host.log().matches("the host keeps its certificate").count();
        eventually("the host says why", log, |count| *count > number).await;
        let stream = connect(&host, &second, &[], BOTH).await.unwrap();
        assert!(answer(stream, HELLO).await.starts_with("HTTP/1.1 200"));
    }
    assert!(!host.has_ended());
    for part in ["http.tls_certificate", "http.tls_key", "the file has no certificate", "the file has no private key"] {
        assert!(host.log().contains(part), "{part} is not in {}", host.log());
    }
}

#[tokio::test]
async fn a_certificate_that_the_host_cannot_use_is_named_at_the_start() {
    let (pair, other) = (Pair::new(), Pair::new());
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("empty"), "").unwrap();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    fs::write(at("encrypted"), encrypted).unwrap();
    fs::write(at("large"), vec![b'x'; 2 << 20]).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    for (certificate, key, parts) in [
        (at("missing"), pair.key(), ["http.tls_certificate", "missing: No such file", "name a file in PEM"]),
        (at("empty"), pair.key(), ["http.tls_certificate", "has no certificate", "name a file in PEM"]),
        (at("large"), pair.key(), ["http.tls_certificate", "more than 1 MiB", "name a file in PEM"]),
        (at("pipe"), pair.key(), ["http.tls_certificate", "not a file", "name a file in PEM"]),
        (folder.path().to_owned(), pair.key(), ["http.tls_certificate", "not a file", "name a file in PEM"]),
        (pair.key(), pair.key(), ["http.tls_certificate", "has no certificate", "name a file in PEM"]),
        (pair.certificate(), at("missing"), ["http.tls_key", "missing: No such file", "without a passphrase"]),
        (pair.certificate(), at("encrypted"), ["http.tls_key", "no private key", "without a passphrase"]),
        (pair.certificate(), pair.certificate(), ["http.tls_key", "no private key", "without a passphrase"]),
        (pair.certificate(), other.key(), ["http.tls_certificate", "certificate.pem", "its own key"]),
    ] {
        let settings = format!("tls_certificate = {certificate:?}\ntls_key = {key:?}\n");
        for command in ["serve", "check"] {
            let setup = greeter().http(&settings);
            let output = setup.output(command).await;
            let message = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{message}");
            let line = message.lines().last().unwrap();
            for part in parts {
                assert!(line.starts_with("error: ") && line.contains(part), "{part} is not in {message}");
            }
            assert!(!setup.data().exists(), "a start that fails leaves nothing behind");
        }
    }
    let alone = greeter().http(&format!("tls_certificate = {:?}\n", pair.certificate())).output("check").await;
    assert_eq!(alone.status.code(), Some(78));
    let message = String::from_utf8(alone.stderr).unwrap();
    assert!(message.contains("http.tls_certificate") && message.contains("http.tls_key"), "{message}");
}

#[tokio::test]
async fn a_key_that_everybody_can_read_is_named_in_the_log() {
    let pair = Pair::new();
    for (mode, warns) in [(0o600, false), (0o640, false), (0o644, true)] {
        fs::set_permissions(pair.key(), fs::Permissions::from_mode(mode)).unwrap();
        let host = greeter().http(&pair.settings()).start().await;
        assert_eq!(host.log().contains("http.tls_key"), warns, "{mode:o}: {}", host.log());
    }
}

#[tokio::test]
async fn handshakes_that_do_not_end_are_cut_and_harm_nobody() {
    let pair = Pair::new();
    let certificate = pair.renew();
    let settings = format!("{}header_read_timeout_ms = 1000\nkeep_alive_ms = 60000\n", pair.settings());
    let mut host = greeter().http(&settings).start().await;
    let begun = Instant::now();
    let slow: [&[u8]; 3] = [b"", &[0x16, 3, 1], &[0x16, 3, 1, 2, 0, 1, 0]];
    for bytes in slow {
        assert_eq!(rest(&mut sent(&host, bytes).await).await, b"");
    }
    // A client without TLS.
    rest(&mut sent(&host, HELLO.as_bytes()).await).await;
    // The handshake alone.
    let mut idle = connect(&host, &certificate, &[], BOTH).await.unwrap();
    let _ = timeout(PATIENCE, idle.read_to_end(&mut Vec::new())).await.expect("the host should close the connection");
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    let waiting = sent(&host, b"").await;
    assert!(answer(connect(&host, &certificate, &[], BOTH).await.unwrap(), HELLO).await.contains("Hello"));
    host.terminate().await;
    assert_eq!(host.ended().await.code(), Some(0));
    assert!(!host.log().contains("the drain deadline passed"), "{}", host.log());
    drop(waiting);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped_over_tls_too() {
    let pair = Pair::new();
    let certificate = pair.renew();
    let host = with_hostile_guest(&format!("{}write_timeout_ms = 1000\n", pair.settings())).await;
    let mut stream = connect(&host, &certificate, &["http/1.1"], BOTH).await.unwrap();
    stream.write_all(&scripted_request(&json!({ "body_bytes": 8 << 20 }))).await.unwrap();
    let mut bytes = vec![0; 1 << 10];
    stream.read_exact(&mut bytes).await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let mut read = bytes.len();
    while let Ok(Ok(more @ 1..)) = timeout(PATIENCE, stream.read(&mut bytes)).await {
        read += more;
    }
    assert!(read < 8 << 20, "{read}");
}
