//! Where the public listener listens.

use super::Invalid;
use serde::Deserialize;
use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
};

/// The most bytes in the path of a socket, on every system.
const MAX_PATH_BYTES: usize = 103;
const DEFAULT_MODE: u32 = 0o660;

/// A place at which clients reach the public listener.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Listen {
    /// An address with a port.
    Address(SocketAddr),
    /// A Unix socket at this path.
    Unix(PathBuf),
    /// A socket that systemd has opened: the one of this name (`FileDescriptorName`), or
    /// the only one.
    Systemd(Option<String>),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path);
        }
        match text.strip_prefix("systemd") {
            Some("") => return Ok(Self::Systemd(None)),
            Some(rest) => return systemd(rest),
            None => {}
        }
        text.parse().map(Self::Address).map_err(|_| {
            format!(
                "`{text}` is not an address with a port, such as 127.0.0.1:8080, and not `unix:/PATH`, `systemd` or \
                 `systemd:NAME`"
            )
        })
    }
}

fn unix(path: &str) -> Result<Listen, String> {
    let is_file = Path::new(path).file_name().is_some() && !path.ends_with('/');
    if !path.starts_with('/') || !is_file || path.contains('\0') {
        return Err(format!("`unix:{path}` needs the whole path of a file, such as unix:/run/ticketing/http.sock"));
    }
    if path.len() > MAX_PATH_BYTES {
        return Err(format!("the path of a Unix socket has at most {MAX_PATH_BYTES} bytes, and `{path}` has more"));
    }
    Ok(Listen::Unix(path.into()))
}

fn systemd(rest: &str) -> Result<Listen, String> {
    // See systemd.socket(5), FileDescriptorName.
    let is_name = |name: &&str| {
        (1..=255).contains(&name.len()) && name.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b':')
    };
    let name = rest.strip_prefix(':').filter(is_name);
    name.map(|name| Listen::Systemd(Some(name.to_owned())))
        .ok_or_else(|| format!("`systemd{rest}` is neither `systemd` nor `systemd:NAME`"))
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
            Self::Systemd(None) => formatter.write_str("systemd"),
            Self::Systemd(Some(name)) => write!(formatter, "systemd:{name}"),
        }
    }
}

/// The access to the file of a Unix socket, as `chmod` takes it.
pub(super) fn mode(text: Option<&str>) -> Result<u32, Invalid> {
    let Some(text) = text else { return Ok(DEFAULT_MODE) };
    let is_octal = (3..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= 0o777);
    mode.ok_or_else(|| Invalid::new("http.unix_mode", format!("`{text}` is not an access mode such as `660`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_address_a_path_or_a_socket_of_systemd() {
        for text in ["127.0.0.1:8080", "[::1]:0", "unix:/run/a b/http.sock", "systemd", "systemd:http", "systemd:a b"] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
        assert_eq!("unix:/a".parse(), Ok(Listen::Unix("/a".into())));
        assert_eq!("systemd:x".parse(), Ok(Listen::Systemd(Some("x".to_owned()))));
        let long = format!("unix:/{}", "a".repeat(MAX_PATH_BYTES));
        for text in [
            "",
            "8080",
            "localhost",
            "unix:",
            "unix:a",
            "unix:./a",
            "unix:/",
            "unix:/a/",
            "unix:/a/..",
            "unix:/a\0b",
            &long,
            "systemd:",
            "systemd:a:b",
            "systemdx",
            "systemd: \n",
            "UNIX:/a",
            "unix//a",
        ] {
            assert!(text.parse::<Listen>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_mode_has_three_or_four_octal_digits() {
        for (text, expected) in
            [(None, Some(0o660)), (Some("600"), Some(0o600)), (Some("0666"), Some(0o666)), (Some("777"), Some(0o777))]
        {
            assert_eq!(mode(text).ok(), expected, "{text:?}");
        }
        for text in ["", "66", "0o660", "888", "1777", "00660", "+66", "rw-"] {
            assert!(mode(Some(text)).is_err(), "{text}");
        }
    }
}
