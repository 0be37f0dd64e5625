//! `[messaging.nats]`: the broker that carries events between hosts.

use super::problem::{Invalid, within};
use async_nats::ServerAddr;
use host_base::secret::Secret;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use std::{path::PathBuf, time::Duration};

const URL: &str = "messaging.nats_url";
const PREFIX: &str = "messaging.nats.subject_prefix";
const PREFIX_CHARACTERS: usize = 32;

/// Settings of the bus on NATS JetStream.
#[derive(Debug, Clone)]
pub struct NatsConfig {
    /// One server or several, separated by commas, possibly with credentials.
    url: Secret,
    /// The first word of every subject, and of the names of the streams.
    pub subject_prefix: String,
    /// Servers that keep each event: 1, 3 or 5.
    pub stream_replicas: usize,
    /// The most that the events may take; none: as much as the server has.
    pub max_bytes: Option<i64>,
    /// How long the broker knows the ids of events that it has taken.
    pub deduplication: Duration,
    /// How long the broker waits for word of a delivery before it makes
    /// another one.
    pub ack_wait: Duration,
    /// Events of one component that are delivered and neither applied nor
    /// given up, those that wait for another attempt included.
    pub max_ack_pending: i64,
    /// The first words of the subjects for answers to this host. None for the
    /// client's default, `_INBOX`.
    pub inbox_prefix: Option<String>,
    /// The JetStream domain of the streams. None for the server's own.
    pub jetstream_domain: Option<String>,
    /// A file with a user's JWT and key, as `nsc` makes it.
    pub credentials_file: Option<PathBuf>,
    /// Certificates of authorities to trust, in PEM.
    pub tls_ca_file: Option<PathBuf>,
    /// The host's own certificate and its key, in PEM.
    pub tls_identity: Option<(PathBuf, PathBuf)>,
}

impl NatsConfig {
    /// The servers to connect to.
    ///
    /// # Errors
    /// When one of them is not an address; never for settings that were
    /// validated.
    pub fn servers(&self) -> Result<Vec<ServerAddr>, std::io::Error> {
        self.url.expose().split(',').map(|server| server.trim().parse()).collect()
    }

    /// The name and password in the first address that has any, or a token
    /// where there is no password. The client itself does not look for them.
    pub fn credentials(&self) -> Option<(String, Option<String>)> {
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let servers = self.servers().ok()?;
        let named = servers.iter().find_map(|server| Some((server.username()?, server.password())))?;
        Some((decoded(named.0), named.1.map(decoded)))
    }

    /// The servers without their credentials, for people.
    pub fn servers_shown(&self) -> String {
        let servers = self.servers().unwrap_or_default();
        let shown = servers.iter().map(|server| format!("{}:{}", server.host(), server.port()));
        shown.collect::<Vec<_>>().join(", ")
    }
}

/// As in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawNatsConfig {
    subject_prefix: Option<String>,
    stream_replicas: Option<usize>,
    max_bytes: Option<i64>,
    deduplication_seconds: Option<u64>,
    ack_wait_ms: Option<u64>,
    max_ack_pending: Option<i64>,
    inbox_prefix: Option<String>,
    jetstream_domain: Option<String>,
    credentials_file: Option<PathBuf>,
    tls_ca_file: Option<PathBuf>,
    tls_cert_file: Option<PathBuf>,
    tls_key_file: Option<PathBuf>,
}

impl RawNatsConfig {
    pub(super) fn with_url(self, url: Secret) -> Result<NatsConfig, Invalid> {
        check(&url)?;
        let subject_prefix = self.subject_prefix.unwrap_or_else(|| "ticketing".to_owned());
        one_word(PREFIX, &subject_prefix)?;
        if let Some(domain) = &self.jetstream_domain {
            one_word("messaging.nats.jetstream_domain", domain)?;
        }
        for word in self.inbox_prefix.iter().flat_map(|prefix| prefix.split('.')) {
            one_word("messaging.nats.inbox_prefix", word)?;
        }
        let stream_replicas = within("messaging.nats.stream_replicas", self.stream_replicas, 1, 1..=5)?;
        if stream_replicas % 2 == 0 {
            return Err(Invalid::new("messaging.nats.stream_replicas", "must be 1, 3 or 5"));
        }
        let max_bytes = match self.max_bytes {
            None => None,
            set => Some(within("messaging.nats.max_bytes", set, 0, 1 << 20..=i64::MAX)?),
        };
        let tls_identity = match (self.tls_cert_file, self.tls_key_file) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(Invalid::new("messaging.nats.tls_cert_file", "and tls_key_file go together")),
        };
        let deduplication =
            within("messaging.nats.deduplication_seconds", self.deduplication_seconds, 120, 1..=86_400)?;
        Ok(NatsConfig {
            url,
            subject_prefix,
            stream_replicas,
            max_bytes,
            deduplication: Duration::from_secs(deduplication),
            ack_wait: Duration::from_millis(within(
                "messaging.nats.ack_wait_ms",
                self.ack_wait_ms,
                500,
                200..=600_000,
            )?),
            max_ack_pending: within("messaging.nats.max_ack_pending", self.max_ack_pending, 1_000, 1..=100_000)?,
            inbox_prefix: self.inbox_prefix,
            jetstream_domain: self.jetstream_domain,
            credentials_file: self.credentials_file,
            tls_ca_file: self.tls_ca_file,
            tls_identity,
        })
    }
}

/// Refuses a text that is no word of a subject.
fn one_word(setting: &'static str, text: &str) -> Result<(), Invalid> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if (1..=PREFIX_CHARACTERS).contains(&text.len()) && text.chars().all(fits) {
        return Ok(());
    }
    Err(Invalid::new(setting, format!("must be one word of 1 to {PREFIX_CHARACTERS} of the characters A-Za-z0-9_-")))
}

/// What is wrong is said without the address: it may hold a password.
fn check(url: &Secret) -> Result<(), Invalid> {
    for server in url.expose().split(',').map(str::trim) {
        if server.is_empty() {
            return Err(Invalid::new(URL, "is empty, or has an empty part"));
        }
        let scheme = server.split_once("://").map(|(scheme, _)| scheme);
        if !matches!(scheme, None | Some("nats" | "tls")) {
            return Err(Invalid::new(URL, "must begin with nats:// or tls://"));
        }
        if !server.parse::<ServerAddr>().is_ok_and(|server| !server.host().is_empty()) {
            return Err(Invalid::new(URL, "is not the address of a server, such as nats://127.0.0.1:4222"));
        }
    }
    Ok(())
}
