//! The headers in which proxies tell about the client.

use host_config::http::ForwardedHeaders;
use http::{HeaderMap, header};
use std::net::{IpAddr, SocketAddr};

/// The lists of the headers. The proxy that is next to the host has the last entry
/// of each. A header may have several lines, and they are one list, see RFC 9110,
/// section 5.3.
#[derive(Default)]
pub(super) struct Reported {
    /// None stands for an entry that is no address.
    pub(super) addresses: Vec<Option<IpAddr>>,
    pub(super) protocols: Vec<String>,
    pub(super) hosts: Vec<String>,
}

impl Reported {
    /// Reads the headers of one kind. A client could send the other kind, and a proxy
    /// that does not know it would pass it on.
    pub(super) fn read(headers: &HeaderMap, kind: ForwardedHeaders) -> Self {
        match kind {
            ForwardedHeaders::XForwarded => Self {
                addresses: entries(headers, "x-forwarded-for").map(|entry| address(&entry)).collect(),
                protocols: entries(headers, "x-forwarded-proto").collect(),
                hosts: entries(headers, "x-forwarded-host").collect(),
            },
            ForwardedHeaders::Forwarded => {
                let mut reported = Self::default();
                entries(headers, header::FORWARDED.as_str()).for_each(|element| reported.add(&element));
                reported
            }
        }
    }

    /// Adds an element of `Forwarded`, such as `for=192.0.2.1;proto=https`.
    fn add(&mut self, element: &str) {
        let value = |name: &str| {
            let pair = |pair: &str| {
                let (found, value) = pair.split_once('=')?;
                found.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
            };
            element.split(';').find_map(pair).unwrap_or_default()
        };
        self.addresses.push(address(&value("for")));
        self.protocols.push(value("proto"));
        self.hosts.push(value("host"));
    }
}

/// The entries of all lines, separated at commas outside of quotes.
fn entries<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = String> + 'a {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| {
        let mut in_quotes = false;
        let entries = line.split(move |character: char| {
            in_quotes ^= character == '"';
            character == ',' && !in_quotes
        });
        entries.map(|entry| entry.trim().to_owned())
    })
}

/// An address, perhaps with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address = text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}
