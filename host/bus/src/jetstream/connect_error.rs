//! Explains why the client cannot connect. The client's own error says little
//! when the server refuses the host, or when the host does not trust the server.

use async_nats::{ConnectErrorKind, ServerAddr};
use host_config::nats::NatsConfig;
use std::{io, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::TcpStream,
    time::timeout,
};

const GREETING_TIMEOUT: Duration = Duration::from_secs(1);
const GREETING_BYTES: u64 = 64 << 10;

/// The client's error, with the setting that may be wrong if there is one. The
/// text contains no value of a setting.
pub(super) async fn explain(error: &str, settings: &NatsConfig) -> String {
    let is = |kind: ConnectErrorKind| error.contains(&kind.to_string());
    if is(ConnectErrorKind::AuthorizationViolation) || is(ConnectErrorKind::Authentication) {
        let setting = if settings.credentials_file.is_some() { "nats.credentials_file" } else { "nats_url" };
        return format!("{error}; see messaging.{setting}");
    }
    // The client reports a failed handshake as a plain I/O error.
    if is(ConnectErrorKind::Tls) || is(ConnectErrorKind::Io) && expects_tls_handshake(settings).await {
        let settings = "messaging.nats.tls_ca_file, tls_cert_file and tls_key_file";
        return format!("{error}; the server answers, and TLS with it fails; see {settings}");
    }
    error.to_owned()
}

/// Whether a server answers, and the next step is a TLS handshake.
async fn expects_tls_handshake(settings: &NatsConfig) -> bool {
    let is_configured = settings.tls_ca_file.is_some() || settings.tls_identity.is_some();
    for server in settings.servers().unwrap_or_default() {
        let Ok(Ok(greeting)) = timeout(GREETING_TIMEOUT, greeting(&server)).await else { continue };
        if greeting.starts_with("INFO")
            && (is_configured || server.tls_required() || greeting.contains("\"tls_required\":true"))
        {
            return true;
        }
    }
    false
}

/// The line that a server sends to every new client.
async fn greeting(server: &ServerAddr) -> io::Result<String> {
    let stream = TcpStream::connect((server.host(), server.port())).await?;
    let mut line = String::new();
    BufReader::new(stream.take(GREETING_BYTES)).read_line(&mut line).await?;
    Ok(line)
}
