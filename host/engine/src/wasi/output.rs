//! The output of a component: lines in the host's log, bounded in
//! length and number.

use async_trait::async_trait;
use bytes::Bytes;
use host_capabilities::logging::{Level, LoggingView};
use parking_lot::Mutex;
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamError, StreamResult},
};

/// The longest line. The rest begins another line.
const MAX_LINE_BYTES: usize = 4 << 10;

/// The bytes that a guest writes at once.
const WRITE_BYTES: usize = 64 << 10;

/// Lines of one instance, to both of its outputs.
#[derive(Clone)]
pub(super) struct Output(Arc<Mutex<Lines>>);

struct Lines {
    component: String,
    call: String,
    written: u32,
}

impl Output {
    pub(super) fn new(component: &str) -> Self {
        Self(Arc::new(Mutex::new(Lines { component: component.to_owned(), call: String::new(), written: 0 })))
    }

    /// The next lines belong to this call.
    pub(super) fn begin_call(&self, call: &str) {
        let mut lines = self.0.lock();
        call.clone_into(&mut lines.call);
        lines.written = 0;
    }

    /// One of the two outputs.
    pub(super) fn stream(&self, name: &'static str) -> LineStream {
        LineStream { output: self.clone(), name, line: Arc::default() }
    }

    /// A line in the log, as `wasi:logging` writes them.
    pub(super) fn log(&self, level: Level, context: &str, message: &str) {
        let mut lines = self.0.lock();
        let Lines { component, call, written } = &mut *lines;
        LoggingView { component, call_id: call, lines: written }.write(level, context, message);
    }
}

/// An output that is cut into lines. All handles of the guest to it share the
/// line that is not yet complete.
#[derive(Clone)]
pub(super) struct LineStream {
    output: Output,
    name: &'static str,
    line: Arc<Mutex<Vec<u8>>>,
}

impl LineStream {
    fn take(&self, bytes: &[u8]) {
        let mut line = self.line.lock();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = MAX_LINE_BYTES.saturating_sub(line.len());
            line.extend_from_slice(piece.get(..room).unwrap_or(piece));
            if piece.ends_with(b"\n") || line.len() >= MAX_LINE_BYTES {
                self.flush(&mut line);
            }
        }
    }

    fn flush(&self, line: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if !text.is_empty() {
            self.output.log(Level::Info, self.name, text);
        }
        line.clear();
    }
}

impl IsTerminal for LineStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LineStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    /// Without a task beside the guest, so that the last words before a trap are in
    /// the log.
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for LineStream {
    async fn ready(&mut self) {}
}

impl OutputStream for LineStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > WRITE_BYTES {
            return Err(StreamError::trap("the guest writes more than it may"));
        }
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

impl AsyncWrite for LineStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
