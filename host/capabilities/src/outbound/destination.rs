//! The destination of an outgoing request: a host and a port, in one canonical
//! spelling.
//!
//! The host refuses every other spelling of a granted destination and does not
//! try to understand it. There are too many spellings, and each one can be a way
//! around a check.

use http::{Method, Uri, uri::Scheme};
use reqwest::Url;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A host and a port, as an operator grants them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    host: Host,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// In lower case, without a final dot.
    Name(String),
    Address(IpAddr),
}

/// Why the host does not send a request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// The request is well-formed, but its destination is not granted.
    #[error("{0} is not granted")]
    NotGranted(Destination),
    /// The request is not a plain request to a host.
    #[error("{0}")]
    Malformed(&'static str),
}

impl FromStr for Destination {
    type Err = &'static str;

    /// Reads `host:port`, `1.2.3.4:port` or `[::1]:port`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').ok_or("the port is missing: host:port is expected")?;
        Ok(Self { host: host.parse()?, port: canonical_port(port)? })
    }
}

impl FromStr for Host {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            let address: Ipv6Addr = inner.parse().map_err(|_| "the host is not an IPv6 address")?;
            if address.to_ipv4_mapped().is_some() {
                return Err("the host is an IPv4 address that is written as an IPv6 address");
            }
            return Ok(Self::Address(address.into()));
        }
        let text = text.to_ascii_lowercase();
        if text.is_empty() || text.len() > 253 {
            return Err("the host name is empty or longer than 253 bytes");
        }
        if !text.split('.').all(is_label) {
            return Err("the host name must consist of letters, digits, hyphens and underscores");
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        // Some parsers read a name that ends in a number as an address: 127.1,
        // 0x7f.1, 017700000001.
        let last = text.rsplit('.').next().unwrap_or_default();
        if last.starts_with("0x") || last.chars().all(|c| c.is_ascii_digit()) {
            return Err("the host is an IPv4 address that is not written as four decimal numbers");
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
        _ if port.to_string() != text => Err("the port has a leading zero or a sign"),
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

/// Checks a request against the granted destinations. Returns the URL to send it
/// to.
///
/// # Errors
/// Why the host does not send the request.
pub(super) fn check(method: &Method, uri: &Uri, granted: &[Destination]) -> Result<Url, Refusal> {
    if method.as_str().eq_ignore_ascii_case("CONNECT") {
        return Err(Refusal::Malformed("the method is CONNECT"));
    }
    let destination = destination_of(uri).map_err(Refusal::Malformed)?;
    if !granted.contains(&destination) {
        return Err(Refusal::NotGranted(destination));
    }
    url(uri, &destination).map_err(Refusal::Malformed)
}

fn destination_of(uri: &Uri) -> Result<Destination, &'static str> {
    let default_port = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => 443,
        Some(scheme) if *scheme == Scheme::HTTP => 80,
        _ => return Err("the scheme must be http or https"),
    };
    let authority = uri.authority().ok_or("the host is missing")?.as_str();
    if authority.contains('@') {
        return Err("the URL contains a user");
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, canonical_port(port)?),
        _ => (authority, default_port),
    };
    Ok(Destination { host: host.parse()?, port })
}

fn url(uri: &Uri, destination: &Destination) -> Result<Url, &'static str> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    if !path.starts_with('/') {
        return Err("the path must begin with /");
    }
    let scheme = uri.scheme_str().unwrap_or_default();
    let url = Url::parse(&format!("{scheme}://{destination}{path}")).map_err(|_| "the text is not a URL")?;
    // The HTTP client parses the text again, by its own rules.
    let is_same = url.host_str() == Some(destination.host.to_string().as_str())
        && url.port_or_known_default() == Some(destination.port)
        && url.username().is_empty()
        && url.password().is_none();
    if is_same { Ok(url) } else { Err("the URL can be read in two ways") }
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

    fn checked(uri: &str) -> Result<String, Refusal> {
        // The component cannot even express a URI that the standard forbids.
        let uri: Uri = uri.parse().map_err(|_| Refusal::Malformed("not a URI"))?;
        check(&Method::GET, &uri, &granted()).map(String::from)
    }

    #[test]
    fn a_granted_request_is_sent_to_its_destination() {
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
    fn other_spellings_and_destinations_are_refused() {
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
            // A user, so that another parser sees another host.
            "https://api.example.com@evil.com/",
            "https://evil.com@api.example.com/",
            "https://api.example.com:443@evil.com/",
            // Ports that parsers read differently.
            "https://api.example.com:/",
            "https://api.example.com:0443/",
            "https://api.example.com:65979/",
            "https://api.example.com:443:443/",
            // Names that some parsers take for the same name.
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
            // Spellings of 127.0.0.1 as an IPv6 address.
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
    }
}
