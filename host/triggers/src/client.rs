//! The client of a request, as far as the host can know it.

use host_config::http::{HttpConfig, SecureCookies};
use http::{HeaderMap, header};
use std::net::{IpAddr, SocketAddr};

/// The visitor behind a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Client {
    /// The address of the visitor.
    pub address: IpAddr,
    /// Whether the visitor uses TLS, so that cookies are for TLS only.
    pub secure: bool,
    /// The host name that the visitor addressed, with a port if there is one.
    pub host: Option<String>,
}

impl Client {
    /// Reads the address of the connection and, only behind a trusted proxy,
    /// the headers of the proxy.
    pub fn of(peer: SocketAddr, headers: &HeaderMap, config: &HttpConfig) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let proxies = &config.trusted_proxies;
        let tls = proxies.is_tls(peer.ip(), text("x-forwarded-proto"));
        let forwarded_host = proxies.trusts(peer.ip()).then(|| text("x-forwarded-host")).flatten();
        Self {
            address: proxies.client_address(peer.ip(), text("x-forwarded-for")),
            secure: match config.secure_cookies {
                SecureCookies::Auto => tls,
                SecureCookies::Always => true,
                SecureCookies::Never => false,
            },
            host: forwarded_host.or_else(|| text(header::HOST.as_str())).map(str::to_owned),
        }
    }
}
