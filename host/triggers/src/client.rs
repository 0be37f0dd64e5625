//! The client of a request, as far as the host can know it.

mod forwarded;

use forwarded::Reported;
use host_config::http::{HttpConfig, SecureCookies, TrustedProxies};
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
    /// the headers of the proxy. `tls` says whether the connection itself uses TLS.
    pub fn of(peer: SocketAddr, tls: bool, headers: &HeaderMap, config: &HttpConfig) -> Self {
        let peer = peer.ip().to_canonical();
        let own_host = || headers.get(header::HOST).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let seen = match config.trusted_proxies.trusts(peer) {
            true => seen_by_proxies(peer, &Reported::read(headers, config.forwarded_headers), &config.trusted_proxies),
            false => Seen { address: peer, tls: None, host: None },
        };
        Self {
            address: seen.address,
            secure: match config.secure_cookies {
                SecureCookies::Auto => seen.tls.unwrap_or(tls),
                SecureCookies::Always => true,
                SecureCookies::Never => false,
            },
            host: seen.host.or_else(own_host),
        }
    }
}

/// The client, as the proxy saw it that the client reached.
struct Seen {
    address: IpAddr,
    /// None if no proxy says so.
    tls: Option<bool>,
    host: Option<String>,
}

/// Follows the list of addresses from the right, and through trusted proxies alone. A
/// client can write any number of addresses at the left. Each proxy adds one entry
/// to each list, so the entry of the first proxy has the same place in all lists.
fn seen_by_proxies(peer: IpAddr, reported: &Reported, proxies: &TrustedProxies) -> Seen {
    let (mut address, mut place) = (peer, 0);
    for hop in reported.addresses.iter().rev() {
        let Some(hop) = hop.filter(|_| proxies.trusts(address)) else { break };
        (address, place) = (hop, place + 1);
    }
    let entry = |list: &[String]| {
        let place = place.clamp(1, list.len().max(1));
        list.len().checked_sub(place).and_then(|index| list.get(index).cloned()).filter(|text| !text.is_empty())
    };
    Seen {
        address,
        tls: entry(&reported.protocols).map(|protocol| protocol.eq_ignore_ascii_case("https")),
        host: entry(&reported.hosts),
    }
}

#[cfg(test)]
mod tests;
