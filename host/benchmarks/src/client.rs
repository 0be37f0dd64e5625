//! A small HTTP/1.1 client with one connection and one request at a time. It
//! does little work, because it runs on the machine under measurement.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection that is kept alive.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer. It borrows from its connection. A body in chunks has their lengths in it.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    head: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(64 << 10) })
    }

    /// Sends the bytes of a request and reads no answer.
    pub(crate) async fn send_only(&mut self, request: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(request).await?)
    }

    /// Sends the bytes of a request, see [`request`].
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let (status, head_bytes, end) = loop {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server closed the connection");
            if let Some((status, head_bytes, body)) = read_head(&self.buffer)?
                && let Some(end) = body.end(&self.buffer, head_bytes)?
            {
                break (status, head_bytes, end);
            }
        };
        let head = self.buffer.get(..head_bytes).unwrap_or_default();
        let body = self.buffer.get(head_bytes..end).unwrap_or_default();
        Ok(Answer { status, head, body })
    }
}

impl Answer<'_> {
    /// The body, if the status is the expected one.
    pub(crate) fn json<T: DeserializeOwned>(&self, status: u16) -> Result<T> {
        self.expect(status)?;
        serde_json::from_slice(self.body).context("the answer is not the expected JSON")
    }

    pub(crate) fn expect(&self, status: u16) -> Result<()> {
        if self.status == status {
            return Ok(());
        }
        bail!("{} instead of {status}: {}", self.status, String::from_utf8_lossy(self.body))
    }

    /// The cookie that the answer sets, as `name=value`.
    pub(crate) fn cookie(&self) -> Result<String> {
        let head = std::str::from_utf8(self.head)?;
        let value = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("set-cookie").then(|| value.trim())
        });
        let value = value.context("no cookie is set")?;
        Ok(value.split(';').next().unwrap_or(value).to_owned())
    }
}

/// The bytes of a request. The body is JSON.
pub(crate) fn request(method: &str, path: &str, cookie: Option<&str>, body: Option<&str>) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
    if let Some(cookie) = cookie {
        text.push_str(&format!("cookie: {cookie}\r\n"));
    }
    if let Some(body) = body {
        text.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body.unwrap_or_default());
    text.into_bytes()
}

/// How the end of a body is known.
enum Body {
    Bytes(usize),
    Chunked,
}

impl Body {
    /// The end of the body in the buffer. None until all of it has arrived.
    fn end(&self, buffer: &[u8], begin: usize) -> Result<Option<usize>> {
        if let Self::Bytes(bytes) = self {
            return Ok(Some(begin + bytes).filter(|end| *end <= buffer.len()));
        }
        let mut begin = begin;
        loop {
            let rest = buffer.get(begin..).unwrap_or_default();
            let Some(line) = rest.windows(2).position(|window| window == b"\r\n") else { return Ok(None) };
            let digits = std::str::from_utf8(rest.get(..line).unwrap_or_default())?;
            let bytes = usize::from_str_radix(digits, 16).context("a chunk without its length")?;
            begin += line + 2 + bytes + 2;
            if bytes == 0 {
                return Ok(Some(begin).filter(|end| *end <= buffer.len()));
            }
        }
    }
}

/// The status, the length of the head and the body. None until the whole head has
/// arrived.
fn read_head(buffer: &[u8]) -> Result<Option<(u16, usize, Body)>> {
    let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = buffer.get(..end).unwrap_or_default();
    let status = head.get(9..12).and_then(number).context("no status")?;
    let (mut length, mut is_chunked) = (None, false);
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        const NAME: &[u8] = b"content-length:";
        if line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)) {
            length = line.get(NAME.len()..).and_then(|value| number(value.trim_ascii()));
        }
        is_chunked |= line.trim_ascii().eq_ignore_ascii_case(b"transfer-encoding: chunked");
    }
    match length {
        Some(length) => Ok(Some((u16::try_from(status)?, end + 4, Body::Bytes(length)))),
        None if status == 204 => Ok(Some((204, end + 4, Body::Bytes(0)))),
        None if is_chunked => Ok(Some((u16::try_from(status)?, end + 4, Body::Chunked))),
        None => bail!("an answer whose end cannot be known"),
    }
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}
