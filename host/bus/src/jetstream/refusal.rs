//! Why there is no connection, where the client says little of it: a server
//! that does not let the host in, or that it does not trust.

use async_nats::{ConnectErrorKind, ServerAddr};
use host_config::nats::NatsConfig;
use std::{io, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::TcpStream,
    time::timeout,
};

const GREETING_WAIT: Duration = Duration::from_secs(1);
const GREETING_BYTES: u64 = 64 << 10;

/// What the client says, with the setting to look at where there is one. No
/// value of a setting is in it.
pub(super) async fn explained(trouble: &str, settings: &NatsConfig) -> String {
    let is = |kind: ConnectErrorKind| trouble.contains(&kind.to_string());
    if is(ConnectErrorKind::AuthorizationViolation) || is(ConnectErrorKind::Authentication) {
        let setting = if settings.credentials_file.is_some() { "nats.credentials_file" } else { "nats_url" };
        return format!("{trouble}; see messaging.{setting}");
    }
    // A handshake that fails is an error of input and output like any other.
    if is(ConnectErrorKind::Tls) || is(ConnectErrorKind::Io) && handshake_is_due(settings).await {
        let settings = "messaging.nats.tls_ca_file, tls_cert_file and tls_key_file";
        return format!("{trouble}; the server answers, and TLS with it fails; see {settings}");
    }
    trouble.to_owned()
}

/// Whether a server is there, and TLS is what comes next.
async fn handshake_is_due(settings: &NatsConfig) -> bool {
    let wanted = settings.tls_ca_file.is_some() || settings.tls_identity.is_some();
    for server in settings.servers().unwrap_or_default() {
        let Ok(Ok(greeting)) = timeout(GREETING_WAIT, greeting(&server)).await else { continue };
        if greeting.starts_with("INFO")
            && (wanted || server.tls_required() || greeting.contains("\"tls_required\":true"))
        {
            return true;
        }
    }
    false
}

/// The line that a server sends to whoever connects.
async fn greeting(server: &ServerAddr) -> io::Result<String> {
    let stream = TcpStream::connect((server.host(), server.port())).await?;
    let mut line = String::new();
    BufReader::new(stream.take(GREETING_BYTES)).read_line(&mut line).await?;
    Ok(line)
}
