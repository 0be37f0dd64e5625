//! The socket of the public listener: at an address, at a path, or one that systemd
//! has opened.

use super::systemd_sockets::SystemdSockets;
use anyhow::bail;
use host_config::{http::HttpConfig, listen::Listen};
use host_http::listener::Listener;
use rustix::{
    io::Errno,
    net::{self, SocketAddrUnix},
};
use std::{
    fs,
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};
use tokio::net::{TcpSocket, UnixSocket};

/// Connections that wait in the kernel.
pub(super) const BACKLOG: u32 = 1_024;
const SETTING: &str = "http.listen";
const FLAG: &str = "--listen";

/// A socket that belongs to this process. It does not listen yet, unless systemd has
/// opened it.
pub(super) enum PublicSocket {
    Address(TcpSocket, SocketAddr),
    File(UnixSocket, SocketFile),
    Open(Listener),
}

/// The public listener.
pub(super) struct PublicListener {
    pub(super) listener: Listener,
    /// Where clients reach it, for people.
    pub(super) address: String,
    /// Its file, if the host has made it.
    pub(super) file: Option<SocketFile>,
}

/// The file of a Unix socket. Its end removes the file, unless another process has put its
/// own in the place.
pub(super) struct SocketFile {
    path: PathBuf,
    /// The device and the number of the file.
    id: (u64, u64),
}

impl PublicSocket {
    /// Takes the place that the settings name.
    ///
    /// # Errors
    /// Names the setting, the place and the cure.
    pub(super) fn take(config: &HttpConfig, systemd: SystemdSockets) -> anyhow::Result<Self> {
        match &config.listen {
            Listen::Address(address) => Ok(Self::Address(socket(SETTING, FLAG, *address)?, *address)),
            Listen::Unix(path) => {
                let taken = SocketFile::make(path, config.unix_mode);
                let (socket, file) = taken.or_else(|error| refused_path(path, &error))?;
                Ok(Self::File(socket, file))
            }
            Listen::Systemd(name) => match systemd.listener(name.as_deref()) {
                Ok(listener) => Ok(Self::Open(listener)),
                Err(problem) => bail!("cannot listen on {} ({SETTING}): {problem} ({FLAG})", config.listen),
            },
        }
    }

    /// Begins to listen.
    ///
    /// # Errors
    /// Another process has taken the place since this one did.
    pub(super) fn listen(self) -> anyhow::Result<PublicListener> {
        let (listener, file) = match self {
            Self::Address(socket, address) => {
                let listener = socket.listen(BACKLOG).or_else(|error| refused(SETTING, FLAG, address, &error))?;
                (Listener::Tcp(listener), None)
            }
            Self::File(socket, file) => {
                let listener = socket.listen(BACKLOG).and_then(|listener| file.still_ours().map(|()| listener));
                (Listener::Unix(listener.or_else(|error| refused_path(&file.path, &error))?), Some(file))
            }
            Self::Open(listener) => (listener, None),
        };
        Ok(PublicListener { address: shown(&listener)?, listener, file })
    }
}

/// As clients such as nginx write it.
fn shown(listener: &Listener) -> io::Result<String> {
    Ok(match listener {
        Listener::Tcp(listener) => listener.local_addr()?.to_string(),
        Listener::Unix(listener) => match listener.local_addr()?.as_pathname() {
            Some(path) => format!("unix:{}", path.display()),
            None => "unix:".to_owned(),
        },
    })
}

impl SocketFile {
    fn make(path: &Path, mode: u32) -> io::Result<(UnixSocket, Self)> {
        remove_unused(path)?;
        let socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
        // Only the owner could reach the file so far.
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        let file = Self { path: path.to_owned(), id: id(path)? };
        Ok((socket, file))
    }

    /// Two hosts that start at the same time can both find the path free.
    fn still_ours(&self) -> io::Result<()> {
        if id(&self.path)? == self.id { Ok(()) } else { Err(ErrorKind::AddrInUse.into()) }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.still_ours().is_ok()
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(%error, path = %self.path.display(), "the file of the socket stays");
        }
    }
}

fn id(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|data| (data.dev(), data.ino()))
}

/// Removes a socket that its process has left behind. Any other file stays.
fn remove_unused(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(data) if !data.file_type().is_socket() => return Err(ErrorKind::AlreadyExists.into()),
        Ok(_) => {}
    }
    // It does not wait, so the answer is that the queue of the socket is full, or another.
    match net::connect(UnixSocket::new_stream()?, &SocketAddrUnix::new(path)?) {
        Ok(()) | Err(Errno::AGAIN) => Err(ErrorKind::AddrInUse.into()),
        Err(Errno::CONNREFUSED) => fs::remove_file(path),
        Err(error) => Err(error.into()),
    }
}

fn refused_path<T>(path: &Path, error: &io::Error) -> anyhow::Result<T> {
    let cure = match error.kind() {
        ErrorKind::AddrInUse => "stop the program that uses the socket, or choose another path",
        ErrorKind::AlreadyExists => "the path is no socket: remove the file, or choose another path",
        ErrorKind::NotFound | ErrorKind::NotADirectory => "make the folder of the path first",
        ErrorKind::PermissionDenied => "choose a folder in which the host may write",
        _ => "choose another path",
    };
    bail!("cannot listen on unix:{} ({SETTING}): {error}; {cure} ({FLAG})", path.display())
}

/// Takes an address.
///
/// # Errors
/// Names the setting, the address and the cure.
pub(super) fn socket(setting: &str, flag: &str, address: SocketAddr) -> anyhow::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let bound = socket.and_then(|socket| {
        // The system would take these, and no client could reach them.
        if address.ip().is_multicast() || address.ip() == Ipv4Addr::BROADCAST {
            return Err(ErrorKind::AddrNotAvailable.into());
        }
        // An address is free again at once after its process has ended.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    });
    bound.or_else(|error| refused(setting, flag, address, &error))
}

pub(super) fn refused<T>(setting: &str, flag: &str, address: SocketAddr, error: &io::Error) -> anyhow::Result<T> {
    let cure = match error.kind() {
        ErrorKind::AddrInUse => "stop the program that uses the port, or choose another port",
        ErrorKind::AddrNotAvailable => "choose an address of this machine, or 0.0.0.0 for all of them",
        ErrorKind::PermissionDenied => "choose a port above 1023, or allow the host to use this one",
        _ => "choose another address",
    };
    bail!("cannot listen on {address} ({setting}): {error}; {cure} ({flag})")
}
