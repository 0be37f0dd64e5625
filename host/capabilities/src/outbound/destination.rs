//! Where a request may go: a host and a port, in one spelling.
//!
//! Other spellings of an allowed destination are refused and not understood:
//! there are too many of them, and each is a way around somebody's check.

use super::address::is_public;
use http::{Method, Uri, uri::Scheme};
use reqwest::Url;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A host and a port that an operator grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// In lower case, without a dot at its end.
    Name(String),
    Address(IpAddr),
}

/// Why a request is not sent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// It is well-formed and its destination is not among those granted.
    #[error("{0} is not granted")]
    NotGranted(Destination),
    /// It is not a plain request to a host, for this reason.
    #[error("{0}")]
    Malformed(&'static str),
}

impl FromStr for Destination {
    type Err = &'static str;

    /// Reads `host:port`, `1.2.3.4:port` or `[::1]:port`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').ok_or("it has no port: host:port is expected")?;
        Ok(Self { host: host.parse()?, port: canonical_port(port)? })
    }
}

impl FromStr for Host {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            let address: Ipv6Addr = inner.parse().map_err(|_| "the host is not an IPv6 address")?;
            if address.to_ipv4_mapped().is_some() {
                return Err("the host is an IPv4 address in the form of an IPv6 one");
            }
            return Ok(Self::Address(address.into()));
        }
        let text = text.to_ascii_lowercase();
        if text.is_empty() || text.len() > 253 {
            return Err("the host has no name or one that is too long");
        }
        if !text.split('.').all(is_label) {
            return Err("the host is not a name in letters, digits and hyphens");
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        // What ends in a number is an address for some readers: 127.1, 0x7f.1,
        // 017700000001.
        let last = text.rsplit('.').next().unwrap_or_default();
        if last.starts_with("0x") || last.chars().all(|c| c.is_ascii_digit()) {
            return Err("the host is an IPv4 address that is not written as four numbers");
        }
        Ok(Self::Name(text))
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn canonical_port(text: &str) -> Result<u16, &'static str> {
    let port: u16 = text.parse().map_err(|_| "the port is not a number up to 65535")?;
    match port {
        0 => Err("the port is 0"),
        _ if port.to_string() != text => Err("the port is not written in plain digits"),
        _ => Ok(port),
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(formatter, "{name}"),
            Self::Address(IpAddr::V4(address)) => write!(formatter, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

impl Destination {
    /// Whether it is within a private network, which nobody reaches by a name.
    pub fn is_private(&self) -> bool {
        matches!(self.host, Host::Address(address) if !is_public(address))
    }
}

/// The address of a request that may be sent.
///
/// # Errors
/// Says why it may not.
pub(super) fn check(method: &Method, uri: &Uri, granted: &[Destination]) -> Result<Url, Refused> {
    if method.as_str().eq_ignore_ascii_case("CONNECT") {
        return Err(Refused::Malformed("CONNECT asks for a tunnel"));
    }
    let default_port = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => 443,
        Some(scheme) if *scheme == Scheme::HTTP => 80,
        _ => return Err(Refused::Malformed("the scheme is neither http nor https")),
    };
    let authority = uri.authority().ok_or(Refused::Malformed("it names no host"))?.as_str();
    if authority.contains('@') {
        return Err(Refused::Malformed("the host comes with a user"));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, canonical_port(port).map_err(Refused::Malformed)?),
        _ => (authority, default_port),
    };
    let wanted = Destination { host: host.parse().map_err(Refused::Malformed)?, port };
    if !granted.contains(&wanted) {
        return Err(Refused::NotGranted(wanted));
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    if !path.starts_with('/') {
        return Err(Refused::Malformed("the path does not begin with /"));
    }
    let scheme = uri.scheme_str().unwrap_or_default();
    let url = Url::parse(&format!("{scheme}://{wanted}{path}")).map_err(|_| Refused::Malformed("it is no URL"))?;
    // The client reads the text again, by rules of its own.
    let same = url.host_str() == Some(wanted.host.to_string().as_str())
        && url.port_or_known_default() == Some(wanted.port)
        && url.username().is_empty()
        && url.password().is_none();
    if same { Ok(url) } else { Err(Refused::Malformed("it can be read in two ways")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted() -> Vec<Destination> {
        ["api.example.com:443", "127.0.0.1:9000", "[::1]:9000", "plain.example.com:80"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect()
    }

    fn checked(uri: &str) -> Result<String, Refused> {
        // What the standard's text forbids cannot even be asked for.
        let uri: Uri = uri.parse().map_err(|_| Refused::Malformed("not a URI"))?;
        check(&Method::GET, &uri, &granted()).map(String::from)
    }

    #[test]
    fn what_is_granted_is_sent_where_it_says() {
        for (uri, sent) in [
            ("https://api.example.com/a?b=c", "https://api.example.com/a?b=c"),
            ("https://api.example.com:443", "https://api.example.com/"),
            ("https://API.Example.COM/", "https://api.example.com/"),
            ("http://plain.example.com//evil.example.com/", "http://plain.example.com//evil.example.com/"),
            ("http://127.0.0.1:9000/x", "http://127.0.0.1:9000/x"),
            ("http://[::1]:9000/x", "http://[::1]:9000/x"),
            ("http://[0:0:0:0:0:0:0:1]:9000/x", "http://[::1]:9000/x"),
        ] {
            assert_eq!(checked(uri).unwrap(), sent, "{uri}");
        }
    }

    #[test]
    fn tricks_are_refused() {
        for uri in [
            // Another port, scheme or host.
            "http://api.example.com/",
            "https://api.example.com:8443/",
            "http://127.0.0.1/",
            "http://127.0.0.1:9001/",
            "https://example.com/",
            "https://xapi.example.com/",
            "https://api.example.com.evil.com/",
            "ftp://api.example.com:443/",
            "/relative",
            // A user, so that one reader sees another host.
            "https://api.example.com@evil.com/",
            "https://evil.com@api.example.com/",
            "https://api.example.com:443@evil.com/",
            // Ports that are read differently.
            "https://api.example.com:/",
            "https://api.example.com:0443/",
            "https://api.example.com:65979/",
            "https://api.example.com:443:443/",
            // Names that are the same to some.
            "https://api.example.com./",
            "https://api.example.com%2eevil.com/",
            "https://api%2eexample.com/",
            "https://.api.example.com/",
            "http://localhost:9000/",
            // Other spellings of 127.0.0.1.
            "http://2130706433:9000/",
            "http://0x7f000001:9000/",
            "http://0x7f.1:9000/",
            "http://017700000001:9000/",
            "http://0177.0.0.1:9000/",
            "http://127.1:9000/",
            "http://127.0.0.1.:9000/",
            "http://127.0.0.01:9000/",
            "http://0:9000/",
            "http://0.0.0.0:9000/",
            // And of it in version 6.
            "http://[::ffff:127.0.0.1]:9000/",
            "http://[::ffff:7f00:1]:9000/",
            "http://[::127.0.0.1]:9000/",
            "http://[64:ff9b::7f00:1]:9000/",
            "http://[::1%25lo]:9000/",
            "http://[::]:9000/",
            "http://::1:9000/",
        ] {
            assert!(checked(uri).is_err(), "{uri} is sent to {:?}", checked(uri));
        }
        let uri: Uri = "https://api.example.com/".parse().unwrap();
        for method in ["CONNECT", "connect"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert!(check(&method, &uri, &granted()).is_err());
        }
        assert!(check(&Method::GET, &uri, &[]).is_err(), "nothing is granted");
    }

    #[test]
    fn a_grant_is_a_host_and_a_port() {
        for wrong in [
            "",
            "api.example.com",
            "api.example.com:",
            "api.example.com:0",
            "api.example.com:99999",
            "*:443",
            "*.example.com:443",
            "https://api.example.com:443",
            "api.example.com.:443",
            "2130706433:80",
            "0x7f.1:80",
            "127.1:80",
            "[::ffff:127.0.0.1]:80",
            "[::1:80",
            "::1:80",
            "a b:80",
            "user@host:80",
            ":80",
        ] {
            assert!(wrong.parse::<Destination>().is_err(), "{wrong:?}");
        }
        assert_eq!("API.example.com:443".parse::<Destination>().unwrap().to_string(), "api.example.com:443");
        assert_eq!("[0:0::1]:80".parse::<Destination>().unwrap().to_string(), "[::1]:80");
        assert!("10.0.0.1:80".parse::<Destination>().unwrap().is_private());
        assert!(!"8.8.8.8:80".parse::<Destination>().unwrap().is_private());
    }
}
