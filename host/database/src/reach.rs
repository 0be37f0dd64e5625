//! Connections to the PostgreSQL server, each within a limit of time. A server
//! can accept a connection and never answer.

use crate::connections::is_writable;
use host_base::Secret;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use std::{io, str::FromStr, time::Duration};
use tokio::time::{sleep, timeout};

/// The longest time for a connection, from its start to the server's greeting.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The server starts, recovers, ends, or has no connection to spare.
const TEMPORARY_ERRORS: [&str; 6] = ["53300", "57P01", "57P02", "57P03", "57P05", "25006"];

/// Connects.
///
/// # Errors
/// If the server cannot be reached or refuses the connection, or after
/// [`CONNECT_TIMEOUT`].
pub async fn connect(url: &Secret) -> sqlx::Result<PgConnection> {
    connect_with(&PgConnectOptions::from_str(url.expose())?).await
}

async fn connect_with(options: &PgConnectOptions) -> sqlx::Result<PgConnection> {
    let connected = timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await;
    connected.unwrap_or_else(|_| Err(no_answer()))
}

fn no_answer() -> sqlx::Error {
    let text = format!("the server did not answer within {} s", CONNECT_TIMEOUT.as_secs());
    io::Error::new(io::ErrorKind::TimedOut, text).into()
}

/// Connects once, and checks that the server can write.
async fn try_server(options: &PgConnectOptions) -> sqlx::Result<()> {
    let mut connection = connect_with(options).await?;
    let asked = timeout(CONNECT_TIMEOUT, is_writable(&mut connection)).await;
    let can_write = asked.unwrap_or_else(|_| Err(no_answer()))?;
    // The server notices the end of the connection anyway.
    let _ = timeout(CONNECT_TIMEOUT, connection.close()).await;
    match can_write {
        true => Ok(()),
        false => Err(io::Error::other("the server only reads: it is a standby, or it is set to read only").into()),
    }
}

/// Waits until the server accepts connections and can write. `failed` learns the reason of each
/// attempt that fails.
///
/// # Errors
/// If the server refuses the connection for a reason that does not pass, such as
/// a wrong password.
pub async fn wait_for_server(url: &Secret, failed: impl Fn(&sqlx::Error)) -> sqlx::Result<()> {
    let options = PgConnectOptions::from_str(url.expose())?;
    let mut pause = FIRST_PAUSE;
    loop {
        match try_server(&options).await {
            Ok(()) => return Ok(()),
            Err(error) if is_temporary(&error) => failed(&error),
            Err(error) => return Err(error),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The server of a URL, without its secrets.
pub fn address(url: &Secret) -> String {
    match PgConnectOptions::from_str(url.expose()) {
        Ok(options) => match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        },
        Err(_) => "its address".to_owned(),
    }
}

/// Whether the next attempt may succeed without a change of the settings.
fn is_temporary(error: &sqlx::Error) -> bool {
    match error {
        // A forwarder whose server is away closes the connection in the middle of
        // the greeting.
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| TEMPORARY_ERRORS.contains(&&*code)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    fn url(listener: &TcpListener) -> Secret {
        Secret::new(format!("postgres://someone:hidden@{}/shop", listener.local_addr().unwrap()))
    }

    #[test]
    fn an_address_shows_no_secret() {
        let shown = |url: &str| address(&Secret::new(url));
        assert_eq!(shown("postgres://someone:hidden@db.example:5433/shop"), "db.example:5433");
        assert_eq!(shown("postgres://someone:hidden@[::1]/shop?sslmode=require"), "[::1]:5432");
        assert!(shown("postgres://someone:hidden@%2Frun%2Fpostgresql/shop").starts_with("/run/postgresql"));
        assert_eq!(shown("hidden"), "its address");
    }

    #[tokio::test]
    async fn a_server_that_accepts_and_never_answers_is_given_up_after_the_limit() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let error = connect(&url(&listener)).await.unwrap_err().to_string();
        assert!(error.contains("did not answer within 5 s") && !error.contains("hidden"), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_closes_connections_or_answers_nonsense_is_asked_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = url(&listener);
        let strange = tokio::spawn(async move {
            for round in 0..4 {
                let (mut stream, _) = listener.accept().await.unwrap();
                if round % 2 == 1 {
                    stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
                }
            }
        });
        let failures = AtomicU32::new(0);
        let counted = |_: &sqlx::Error| {
            failures.fetch_add(1, Relaxed);
        };
        tokio::select! {
            ended = wait_for_server(&url, counted) => panic!("it waits for a server: {ended:?}"),
            done = strange => done.unwrap(),
        }
        assert!(failures.load(Relaxed) >= 3, "{failures:?}");
    }
}
