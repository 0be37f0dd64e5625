//! The bytes as hyper reads and writes them: which protocol they are, whether the head
//! of a request has begun, and whether the client takes the answers.

use crate::{
    connection::Connection,
    http2::frames::{Frames, PREFACE},
};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// The protocol of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// A stream of bytes that tells its [`Connection`] what has arrived and what has left.
/// It lies above TLS, so that bytes which wait for their encryption have not left.
pub(super) struct Incoming<S> {
    stream: S,
    connection: Arc<Connection>,
    /// The first bytes, until hyper has read them.
    first: Vec<u8>,
    /// None for HTTP/1.1.
    frames: Option<Frames>,
}

impl<S: Unpin> Incoming<S> {
    /// Reads the first bytes, and as few of them as show the protocol.
    ///
    /// # Errors
    /// The stream cannot be read.
    pub(super) async fn open(mut stream: S, connection: Arc<Connection>) -> io::Result<(Protocol, Self)>
    where
        S: AsyncRead,
    {
        let mut first = Vec::with_capacity(PREFACE.len());
        let protocol = loop {
            if first == PREFACE {
                break Protocol::Http2;
            }
            let left = PREFACE.len() - first.len();
            if !PREFACE.starts_with(&first) || (&mut stream).take(left as u64).read_buf(&mut first).await? == 0 {
                break Protocol::Http1;
            }
        };
        let frames = (protocol == Protocol::Http2).then(Frames::new);
        Ok((protocol, Self { stream, connection, first, frames }))
    }

    fn arrived(&mut self, bytes: &[u8]) {
        match &mut self.frames {
            Some(frames) => {
                if frames.read(bytes) {
                    self.connection.set_head_open(false);
                }
                self.connection.set_head_open(frames.is_open());
            }
            None => self.connection.bytes_arrived(),
        }
    }

    /// Notes whether a write of `offered` bytes took all of them.
    fn left(&self, offered: usize, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => self.connection.set_blocked(bytes < offered),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.connection.set_blocked(true),
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Incoming<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        if this.first.is_empty() {
            std::task::ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        } else {
            let rest = this.first.split_off(this.first.len().min(buffer.remaining()));
            buffer.put_slice(&std::mem::replace(&mut this.first, rest));
        }
        let arrived = buffer.filled().get(before..).unwrap_or_default();
        if !arrived.is_empty() {
            this.arrived(arrived);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Incoming<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.left(bytes.len(), written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.left(slices.iter().map(|slice| slice.len()).sum(), written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
