//! The headers in which proxies tell about the client.

use host_config::http::ForwardedHeaders;
use http::{HeaderMap, header};
use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
};

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
                addresses: entries(headers, "x-forwarded-for").iter().map(|entry| address(entry)).collect(),
                protocols: entries(headers, "x-forwarded-proto"),
                hosts: entries(headers, "x-forwarded-host"),
            },
            ForwardedHeaders::Forwarded => {
                let mut reported = Self::default();
                for line in lines(headers, header::FORWARDED.as_str()) {
                    elements(&line).into_iter().for_each(|element| reported.add(element));
                }
                reported
            }
        }
    }

    /// Adds an element of `Forwarded`, such as `for=192.0.2.1;proto=https`. A malformed
    /// element says nothing.
    fn add(&mut self, element: &str) {
        let pairs = pairs(element).unwrap_or_default();
        let value = |name: &str| {
            let found = pairs.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
            found.map(|(_, value)| *value).unwrap_or_default()
        };
        self.addresses.push(address(value("for")));
        self.protocols.push(value("proto").to_owned());
        self.hosts.push(value("host").to_owned());
    }
}

/// The lines of a header. A client may write any bytes into the part that a proxy
/// adds to, and they must not hide what the proxy has added.
fn lines<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
    headers.get_all(name).into_iter().map(|value| String::from_utf8_lossy(value.as_bytes()))
}

/// The entries of all lines of a list without quotes.
fn entries(headers: &HeaderMap, name: &str) -> Vec<String> {
    lines(headers, name)
        .flat_map(|line| line.split(',').map(|entry| entry.trim().to_owned()).collect::<Vec<_>>())
        .collect()
}

/// The elements of a line of `Forwarded`, which may have commas in quotes. They are
/// found from the right, because the proxies wrote the right end. A quote that a client
/// leaves open at the left changes nothing there.
fn elements(line: &str) -> Vec<&str> {
    let mut in_quotes = false;
    let ends = |character: char| {
        in_quotes ^= character == '"';
        character == ',' && !in_quotes
    };
    let mut elements: Vec<&str> = line.rsplit(ends).collect();
    elements.reverse();
    elements
}

/// The parameters of an element. None if it is malformed or has one of them twice. No
/// proxy needs a backslash in a quoted value, so none is allowed.
fn pairs(element: &str) -> Option<Vec<(&str, &str)>> {
    let mut in_quotes = false;
    let ends = |character: char| {
        in_quotes ^= character == '"';
        character == ';' && !in_quotes
    };
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for pair in element.split(ends).map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let is_plain = |text: &str| !text.contains(['"', ',', ' ', '\t']);
        let is_valid = is_plain(name) && quoted.map_or_else(|| is_plain(value), |text| !text.contains('"'));
        if !is_valid || pair.contains('\\') || pairs.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            return None;
        }
        pairs.push((name, quoted.unwrap_or(value)));
    }
    Some(pairs)
}

/// An address, perhaps with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address = text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}
