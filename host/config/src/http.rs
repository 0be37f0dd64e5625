//! `[http]`: the listener that everybody may reach.

use super::{
    listen::{self, Listen},
    problem::{Invalid, within},
};
use ipnet::IpNet;
use serde::Deserialize;
use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

/// Settings of the public listener.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where it listens.
    pub listen: Listen,
    /// The access to the file, if it is a Unix socket.
    pub unix_mode: u32,
    /// The certificate of the listener; none: it speaks HTTP without TLS.
    pub tls: Option<TlsFiles>,
    /// Whose headers about the client are believed.
    pub trusted_proxies: TrustedProxies,
    /// The headers that they set.
    pub forwarded_headers: ForwardedHeaders,
    /// When session cookies carry `Secure`.
    pub secure_cookies: SecureCookies,
    /// Whether texts that are the same for all visitors are compressed.
    pub compression: bool,
    /// Whether answers name the revision that gave them.
    pub revision_header: bool,
    /// Requests in the host at the same time; one more waits.
    pub max_in_flight_requests: usize,
    /// How long a request waits for its turn before it gets 503.
    pub queue_wait: Duration,
    /// The request line and all headers together.
    pub header_bytes: usize,
    /// How long a client may take to send its headers.
    pub header_read_timeout: Duration,
    /// How long a connection stays open between two requests.
    pub keep_alive: Duration,
    /// How long a client may take to send its body.
    pub body_read_timeout: Duration,
    /// How long a client may take no bytes of its answer.
    pub write_timeout: Duration,
    /// The bytes of answers that clients have not taken yet, in the whole host.
    pub unsent_mib: usize,
    /// The same for the answers of one plugin.
    pub unsent_plugin_mib: usize,
    /// The connections that the host holds for live events.
    pub max_listeners: usize,
    /// The same for one plugin.
    pub max_plugin_listeners: usize,
    /// How long requests under way may go on once the host is told to stop.
    pub shutdown_drain: Duration,
}

/// As in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawHttpConfig {
    pub(super) listen: Option<Listen>,
    unix_mode: Option<String>,
    pub(super) tls_certificate: Option<PathBuf>,
    pub(super) tls_key: Option<PathBuf>,
    trusted_proxies: Vec<String>,
    forwarded_headers: ForwardedHeaders,
    secure_cookies: SecureCookies,
    compression: Option<bool>,
    revision_header: bool,
    max_in_flight_requests: Option<usize>,
    queue_wait_ms: Option<u64>,
    header_bytes: Option<usize>,
    header_read_timeout_ms: Option<u64>,
    keep_alive_ms: Option<u64>,
    body_read_timeout_ms: Option<u64>,
    write_timeout_ms: Option<u64>,
    unsent_mib: Option<usize>,
    unsent_plugin_mib: Option<usize>,
    max_listeners: Option<usize>,
    max_plugin_listeners: Option<usize>,
    shutdown_drain_ms: Option<u64>,
}

impl TryFrom<RawHttpConfig> for HttpConfig {
    type Error = Invalid;

    fn try_from(raw: RawHttpConfig) -> Result<Self, Invalid> {
        Ok(Self {
            listen: raw.listen.unwrap_or(Listen::Address((Ipv4Addr::LOCALHOST, 8080).into())),
            unix_mode: listen::mode(raw.unix_mode.as_deref())?,
            tls: TlsFiles::both(raw.tls_certificate, raw.tls_key)?,
            trusted_proxies: TrustedProxies::parse(&raw.trusted_proxies)?,
            forwarded_headers: raw.forwarded_headers,
            secure_cookies: raw.secure_cookies,
            compression: raw.compression.unwrap_or(true),
            revision_header: raw.revision_header,
            max_in_flight_requests: within(
                "http.max_in_flight_requests",
                raw.max_in_flight_requests,
                1024,
                1..=1_000_000,
            )?,
            queue_wait: Duration::from_millis(within("http.queue_wait_ms", raw.queue_wait_ms, 1_000, 0..=60_000)?),
            // hyper refuses a buffer below 8 KiB.
            header_bytes: within("http.header_bytes", raw.header_bytes, 32 << 10, 8 << 10..=1 << 20)?,
            header_read_timeout: Duration::from_millis(within(
                "http.header_read_timeout_ms",
                raw.header_read_timeout_ms,
                10_000,
                1..=600_000,
            )?),
            // Balancers keep connections for 60 s, and must not be the second to close one.
            keep_alive: Duration::from_millis(within("http.keep_alive_ms", raw.keep_alive_ms, 75_000, 1..=3_600_000)?),
            body_read_timeout: Duration::from_millis(within(
                "http.body_read_timeout_ms",
                raw.body_read_timeout_ms,
                30_000,
                1..=600_000,
            )?),
            write_timeout: Duration::from_millis(within(
                "http.write_timeout_ms",
                raw.write_timeout_ms,
                30_000,
                100..=600_000,
            )?),
            unsent_mib: within("http.unsent_mib", raw.unsent_mib, 256, 1..=1 << 20)?,
            unsent_plugin_mib: within("http.unsent_plugin_mib", raw.unsent_plugin_mib, 64, 1..=1 << 20)?,
            max_listeners: within("http.max_listeners", raw.max_listeners, 20_000, 0..=1_000_000)?,
            max_plugin_listeners: within("http.max_plugin_listeners", raw.max_plugin_listeners, 10_000, 0..=1_000_000)?,
            shutdown_drain: Duration::from_millis(within(
                "http.shutdown_drain_ms",
                raw.shutdown_drain_ms,
                25_000,
                0..=600_000,
            )?),
        })
    }
}

/// The files of a certificate, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those of its issuers.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl TlsFiles {
    fn both(certificate: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<Self>, Invalid> {
        match (certificate, key) {
            (Some(certificate), Some(key)) => Ok(Some(Self { certificate, key })),
            (None, None) => Ok(None),
            (Some(_), None) => {
                Err(Invalid::new("http.tls_certificate", "http.tls_key must name the key of this certificate"))
            }
            (None, Some(_)) => {
                Err(Invalid::new("http.tls_key", "http.tls_certificate must name the certificate of this key"))
            }
        }
    }
}

/// When a session cookie carries `Secure`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecureCookies {
    /// When the client used TLS with the host or, as a trusted proxy says, with the proxy.
    #[default]
    Auto,
    /// On every answer.
    Always,
    /// On none.
    Never,
}

/// Networks whose headers about the client are believed.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    fn parse(networks: &[String]) -> Result<Self, Invalid> {
        let parse = |text: &String| {
            text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
                Invalid::new(
                    "http.trusted_proxies",
                    format!("`{text}` is not an address or a network such as `10.0.0.0/8`"),
                )
            })
        };
        networks.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the address belongs to a trusted proxy. An IPv4 address counts as
    /// such in the form of an IPv6 address too.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl FromIterator<IpNet> for TrustedProxies {
    fn from_iter<T: IntoIterator<Item = IpNet>>(networks: T) -> Self {
        Self(networks.into_iter().collect())
    }
}

/// The headers with which proxies tell about the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeaders {
    /// `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`.
    #[default]
    XForwarded,
    /// `Forwarded`, see RFC 7239.
    Forwarded,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trusted_network_holds_for_both_forms_of_an_address() {
        let proxies = TrustedProxies::parse(&["10.0.0.0/8".to_owned(), "::1".to_owned()]).unwrap();
        for (address, trusted) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("::1", true),
            ("11.1.2.3", false),
            ("::ffff:11.1.2.3", false),
            ("::2", false),
        ] {
            assert_eq!(proxies.trusts(address.parse().unwrap()), trusted, "{address}");
        }
        assert!(TrustedProxies::parse(&["10.0.0.0/33".to_owned()]).is_err());
    }
}
