//! A pooler of PostgreSQL connections that stands in for pgbouncer.
//!
//! Each client brings a connection to the server with it, and logs in through
//! it. In session mode the client keeps it. In transaction mode all clients share
//! the connections: each transaction takes the one that was used longest ago.

use std::{collections::VecDeque, io, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Mutex, Notify},
    task::JoinHandle,
};

const SSL_REQUEST: i32 = 80_877_103;

/// When a client gets another connection to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// Never.
    Session,
    /// With each transaction.
    Transaction,
    /// With each statement. It refuses transactions.
    Statement,
}

/// Pools connections until this value is dropped.
#[derive(Debug)]
pub struct Pooler {
    port: u16,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Servers {
    idle: Mutex<VecDeque<TcpStream>>,
    returned: Notify,
}

struct Message {
    kind: u8,
    bytes: Vec<u8>,
}

impl Pooler {
    /// Pools connections to this port of the loopback interface.
    pub async fn before(port: u16, mode: PoolMode) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let servers = Arc::new(Servers::default());
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let servers = servers.clone();
                // A client that ends is no failure of the pooler.
                tokio::spawn(async move { drop(serve(client, port, mode, &servers).await) });
            }
        });
        Self { port: own, accepting }
    }

    /// The port of the pooler.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut client: TcpStream, port: u16, mode: PoolMode, servers: &Servers) -> io::Result<()> {
    let Some(server) = log_in(&mut client, port).await? else { return Ok(()) };
    let mut own = match mode {
        PoolMode::Session => Some(server),
        _ => {
            servers.give_back(server).await;
            None
        }
    };
    loop {
        let message = read_message(&mut client).await?;
        if message.kind == b'X' {
            return Ok(());
        }
        if mode == PoolMode::Statement && message.bytes[5..].to_ascii_uppercase().starts_with(b"BEGIN") {
            refuse(&mut client, "transaction blocks not allowed in statement pooling mode").await?;
            client.write_all(b"Z\0\0\0\x05I").await?;
            continue;
        }
        let mut server = match own.take() {
            Some(server) => server,
            None => servers.take().await,
        };
        server.write_all(&message.bytes).await?;
        let mut is_idle = false;
        if matches!(message.kind, b'Q' | b'S') {
            is_idle = relay_answer(&mut server, &mut client).await?;
        }
        match is_idle && mode != PoolMode::Session {
            true => servers.give_back(server).await,
            false => own = Some(server),
        }
    }
}

/// Passes the log-in through to a new connection. None if the client is refused.
async fn log_in(client: &mut TcpStream, port: u16) -> io::Result<Option<TcpStream>> {
    let mut startup = read_startup(client).await?;
    if startup[4..] == SSL_REQUEST.to_be_bytes() {
        client.write_all(b"N").await?;
        startup = read_startup(client).await?;
    }
    if startup.windows(9).any(|part| part == b"\0options\0") {
        refuse(client, "unsupported startup parameter: options").await?;
        return Ok(None);
    }
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    server.write_all(&startup).await?;
    loop {
        let message = read_message(&mut server).await?;
        client.write_all(&message.bytes).await?;
        match message.kind {
            b'Z' => return Ok(Some(server)),
            b'E' => return Ok(None),
            // The server waits for the client, unless it says that all is well
            // or that it has the last word.
            b'R' if !matches!(message.bytes[8], 0 | 12) => {
                let answer = read_message(client).await?;
                server.write_all(&answer.bytes).await?;
            }
            _ => {}
        }
    }
}

/// Relays messages up to the next `ReadyForQuery`. Returns whether the session is
/// in no transaction then.
async fn relay_answer(server: &mut TcpStream, client: &mut TcpStream) -> io::Result<bool> {
    loop {
        let message = read_message(server).await?;
        client.write_all(&message.bytes).await?;
        if message.kind == b'Z' {
            return Ok(message.bytes[5] == b'I');
        }
    }
}

async fn read_startup(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_i32().await?;
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.resize(usize::try_from(length).unwrap(), 0);
    stream.read_exact(&mut bytes[4..]).await?;
    Ok(bytes)
}

async fn read_message(stream: &mut TcpStream) -> io::Result<Message> {
    let kind = stream.read_u8().await?;
    let rest = read_startup(stream).await?;
    Ok(Message { kind, bytes: [&[kind], rest.as_slice()].concat() })
}

async fn refuse(client: &mut TcpStream, problem: &str) -> io::Result<()> {
    let fields = format!("SERROR\0VERROR\0C08P01\0M{problem}\0\0");
    let length = i32::try_from(fields.len() + 4).unwrap();
    client.write_all(&[b"E".as_slice(), &length.to_be_bytes(), fields.as_bytes()].concat()).await
}

impl Servers {
    /// Takes the connection that was used longest ago.
    async fn take(&self) -> TcpStream {
        loop {
            let returned = self.returned.notified();
            let oldest = self.idle.lock().await.pop_front();
            match oldest {
                Some(server) => return server,
                None => returned.await,
            }
        }
    }

    async fn give_back(&self, server: TcpStream) {
        self.idle.lock().await.push_back(server);
        self.returned.notify_one();
    }
}
