//! The way from a request back to its client.

use crate::{connection::Connection, http2::Answer};
use std::{any::Any, net::SocketAddr, sync::Arc};

/// The other end of a connection.
#[derive(Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The way back to it. None for a request that came without a connection.
    pub link: Option<ClientLink>,
}

impl Peer {
    /// Whether it speaks TLS with this host.
    pub fn is_tls(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.connection.is_tls())
    }
}

/// The part of a connection that the answer to one request may use.
#[derive(Clone)]
pub struct ClientLink {
    connection: Arc<Connection>,
    /// The stream of HTTP/2. The streams of a connection end independently.
    stream: Option<Arc<Answer>>,
}

impl ClientLink {
    pub(super) fn of_connection(connection: Arc<Connection>) -> Self {
        Self { connection, stream: None }
    }

    pub(super) fn of_stream(connection: Arc<Connection>, stream: Arc<Answer>) -> Self {
        Self { connection, stream: Some(stream) }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Keeps a value until the client has taken the head of the answer, or until the
    /// connection ends.
    pub fn hold(&self, value: impl Any + Send) {
        match &self.stream {
            Some(stream) => stream.hold(value),
            None => self.connection.hold(value),
        }
    }
}
