//! A small HTTP/2 client that sends one request again and again, without TLS. Like the
//! client of HTTP/1.1 it does little work: it knows the bytes of its request and looks
//! at the frames and the status of the answers. The formats are those of RFC 9113 and,
//! for the headers, RFC 7541.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `:status: 200` of the static table.
const STATUS_200: u8 = 0x88;
/// The client takes this number of bytes before it allows the server more.
const WINDOW_STEP: u32 = 16 << 10;

/// A connection with a request that it repeats.
pub(crate) struct Streams {
    stream: TcpStream,
    /// The bytes that have arrived and are not read yet.
    arrived: Vec<u8>,
    /// The header block of the request.
    block: Vec<u8>,
    next_stream: u32,
    taken: u32,
}

impl Streams {
    /// Opens a connection for `GET` requests of this path.
    pub(crate) async fn open(address: SocketAddr, path: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await?;
        // `:method: GET` and `:scheme: http` of the static table, then `:path` and
        // `:authority` with values that are not indexed.
        let mut block = vec![0x82, 0x86, 0x04, u8::try_from(path.len())?];
        block.extend_from_slice(path.as_bytes());
        block.extend_from_slice(&[0x01, 9]);
        block.extend_from_slice(b"localhost");
        Ok(Self { stream, arrived: Vec::with_capacity(64 << 10), block, next_stream: 1, taken: 0 })
    }

    /// Keeps this number of requests under way until the time is over, and returns the
    /// number of answers.
    pub(crate) async fn ask_until(mut self, end: Instant, at_once: usize) -> Result<usize> {
        let (mut answers, mut out) = (0, Vec::new());
        (0..at_once).for_each(|_| self.ask(&mut out));
        loop {
            self.stream.write_all(&out).await?;
            out.clear();
            if Instant::now() >= end {
                return Ok(answers);
            }
            ensure!(self.stream.read_buf(&mut self.arrived).await? > 0, "the server closed the connection");
            let ended = self.read_frames(&mut out)?;
            (0..ended).for_each(|_| self.ask(&mut out));
            answers += ended;
        }
    }

    fn ask(&mut self, out: &mut Vec<u8>) {
        out.extend(frame(HEADERS, END_STREAM | END_HEADERS, self.next_stream, &self.block));
        self.next_stream += 2;
    }

    /// Reads the whole frames that have arrived, writes what the server needs to know,
    /// and returns the number of answers that have ended.
    fn read_frames(&mut self, out: &mut Vec<u8>) -> Result<usize> {
        let (mut ended, mut read) = (0, 0);
        while let Some((head, rest)) = self.arrived.get(read..).and_then(|rest| rest.split_at_checked(FRAME_HEAD)) {
            let &[a, b, c, kind, flags, ..] = head else { bail!("no head of a frame") };
            let length = u32::from_be_bytes([0, a, b, c]);
            let Some(payload) = rest.get(..length as usize) else { break };
            match kind {
                SETTINGS if flags & ACK == 0 => out.extend(frame(SETTINGS, ACK, 0, &[])),
                HEADERS => ensure!(payload.first() == Some(&STATUS_200), "an answer that is not 200"),
                DATA => self.taken += length,
                RST_STREAM | GOAWAY => bail!("the server ended a stream or the connection"),
                _ => {}
            }
            ended += usize::from(matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0);
            read += FRAME_HEAD + payload.len();
        }
        self.arrived.drain(..read);
        if self.taken >= WINDOW_STEP {
            out.extend(frame(WINDOW_UPDATE, 0, 0, &self.taken.to_be_bytes()));
            self.taken = 0;
        }
        Ok(ended)
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut bytes = Vec::with_capacity(FRAME_HEAD + payload.len());
    bytes.extend_from_slice(length.get(1..).unwrap_or_default());
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}
