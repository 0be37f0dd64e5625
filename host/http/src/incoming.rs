//! The bytes that a client sends: which protocol they are, and whether the head of a
//! request has begun.

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

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// A stream of bytes that tells its [`Connection`] what has arrived.
pub(super) struct Incoming<S> {
    stream: S,
    connection: Arc<Connection>,
    /// The first bytes, until hyper has read them.
    first: Vec<u8>,
    /// None for HTTP/1.1.
    frames: Option<Frames>,
}

impl<S: AsyncRead + Unpin> Incoming<S> {
    /// Reads the first bytes, and as few of them as show the protocol.
    ///
    /// # Errors
    /// The stream cannot be read.
    pub(super) async fn open(mut stream: S, connection: Arc<Connection>) -> io::Result<(Protocol, Self)> {
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
                frames.read(bytes);
                self.connection.set_head_open(frames.is_open());
            }
            None if self.connection.is_idle() => self.connection.set_head_open(true),
            None => {}
        }
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
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
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
