//! The sockets that systemd has opened for this process, see sd_listen_fds(3).

use host_http::listener::Listener;
use listenfd::ListenFd;
use rustix::{fd::AsFd, net::sockopt::socket_acceptconn};
use std::{env, io, net::TcpListener, os::unix::net::UnixListener};

/// Sockets that the process had at its start, each with a name.
pub struct SystemdSockets {
    /// None for a file that is no stream socket.
    sockets: Vec<Option<Socket>>,
    /// In the order of the sockets.
    names: Vec<String>,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl SystemdSockets {
    /// Takes all of them, and removes the variables that tell of them, so that no process
    /// that the host starts gets them. Call it before the process opens a file or starts
    /// a thread.
    pub fn take() -> Self {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut opened = ListenFd::from_env();
        let count = opened.len();
        let socket = |number| match opened.take_tcp_listener(number) {
            Ok(tcp) => tcp.map(Socket::Tcp),
            Err(_) => opened.take_unix_listener(number).ok().flatten().map(Socket::Unix),
        };
        Self { sockets: (0..count).map(socket).collect(), names: names.split(':').map(str::to_owned).collect() }
    }

    /// The socket of this name, or the only one.
    ///
    /// # Errors
    /// The problem and the cure, for people.
    pub(super) fn listener(mut self, name: Option<&str>) -> Result<Listener, String> {
        let number = self.number(name)?;
        let Some(socket) = self.sockets.get_mut(number).and_then(Option::take) else {
            return Err("the file of systemd is no stream socket; set ListenStream in the socket unit".to_owned());
        };
        if !socket.accepts().map_err(|error| error.to_string())? {
            return Err("the socket of systemd does not listen; set Accept=no in the socket unit".to_owned());
        }
        socket.listener().map_err(|error| error.to_string())
    }

    fn number(&self, name: Option<&str>) -> Result<usize, String> {
        let count = self.sockets.len();
        match name {
            _ if count == 0 => {
                Err("systemd has opened no socket for this process; start it by its socket unit".to_owned())
            }
            None if count == 1 => Ok(0),
            None => Err(format!("systemd has opened {count} sockets; choose one with systemd:NAME")),
            Some(name) => self.names.iter().take(count).position(|other| other == name).ok_or_else(|| {
                format!("systemd has opened no socket with this name; set FileDescriptorName={name} in the socket unit")
            }),
        }
    }
}

impl Socket {
    /// systemd also hands connections over, if its unit says `Accept=yes`.
    fn accepts(&self) -> io::Result<bool> {
        let socket = match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        };
        Ok(socket_acceptconn(socket)?)
    }

    fn listener(self) -> io::Result<Listener> {
        match self {
            Self::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                tokio::net::TcpListener::from_std(listener).map(Listener::Tcp)
            }
            Self::Unix(listener) => {
                listener.set_nonblocking(true)?;
                tokio::net::UnixListener::from_std(listener).map(Listener::Unix)
            }
        }
    }
}
