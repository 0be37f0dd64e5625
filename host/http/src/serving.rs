//! One connection, from its first byte to its end.

use crate::{
    client_link::{ClientLink, Peer},
    connection::{Connection, Owed},
    error::Refusal,
    host_name,
    http2::{self, PacedBody, Streams},
    incoming::{Incoming, Protocol},
    listener::{ConnectionLimits, Stream},
    request_body::Exchange,
    socket::Socket,
    tls::Tls,
};
use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{Method, StatusCode, header};
use hyper::{
    body::{Body as _, Frame, SizeHint},
    server::conn,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// The time in which a client that owes nothing closes its side after the host has said
/// that it will.
const FAREWELL: Duration = Duration::from_secs(1);

/// The parts that all connections of a listener share.
#[derive(Clone)]
pub(super) struct Serving<A> {
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) limits: ConnectionLimits,
    /// The places for requests of HTTP/2: as many as HTTP/1.1 can have.
    pub(super) places: Arc<Semaphore>,
    pub(super) stop: CancellationToken,
    pub(super) answer: A,
}

impl<A, R> Serving<A>
where
    A: Fn(Peer, Request) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response> + Send + 'static,
{
    /// Serves until one side closes the connection.
    pub(super) async fn run(self, stream: Stream, peer: SocketAddr) -> io::Result<()> {
        if let Stream::Left(stream) = &stream {
            stream.set_nodelay(true)?;
        }
        let connection = Arc::new(Connection::new(self.tls.is_some()));
        let socket = Socket::new(stream, self.limits.write_timeout);
        let Some(tls) = &self.tls else { return self.open(socket, peer, connection).await };
        let accepted = tokio::select! {
            accepted = timeout(self.limits.header_read_timeout, tls.accept(socket)) => accepted??,
            () = self.stop.cancelled() => return Ok(()),
        };
        // In a box, it takes no memory of the connections without TLS.
        Box::pin(self.open(accepted, peer, connection)).await
    }

    async fn open(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: SocketAddr,
        connection: Arc<Connection>,
    ) -> io::Result<()> {
        let opened = timeout(self.limits.header_read_timeout, Incoming::open(stream, connection.clone()));
        let (protocol, stream) = tokio::select! {
            opened = opened => opened??,
            () = self.stop.cancelled() => return Ok(()),
        };
        let stream = TokioIo::new(stream);
        match protocol {
            Protocol::Http1 => self.http1(stream, peer, connection).await,
            Protocol::Http2 => Box::pin(self.http2(stream, peer, connection)).await,
        }
    }

    async fn http1(&self, stream: impl Bytestream, peer: SocketAddr, connection: Arc<Connection>) -> io::Result<()> {
        let (shared, answer) = (connection.clone(), self.answer.clone());
        let service = service_fn(move |request| {
            shared.set_head_open(false);
            let (exchange, request) = Exchange::begin(request, shared.begin_request());
            let answer =
                answered(peer, ClientLink::of_connection(shared.clone()), request.map(Body::new), answer.clone());
            async move { Ok::<_, Infallible>(answer.await.map(|body| AnswerBody { body, _exchange: exchange })) }
        });
        let mut http1 = conn::http1::Builder::new();
        // The connection limits the time for the head, because hyper would not tell it
        // from the time between two requests.
        http1.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(self.limits.header_bytes);
        self.drive(http1.serve_connection(stream, service), &connection).await
    }

    async fn http2(&self, stream: impl Bytestream, peer: SocketAddr, connection: Arc<Connection>) -> io::Result<()> {
        let (shared, answer) = (connection.clone(), self.answer.clone());
        let service = service_fn(move |request| {
            let is_head = *request.method() == Method::HEAD;
            let (shared, answer) = (shared.clone(), answer.clone());
            async move {
                let stream = http2::current();
                let link = ClientLink::of_stream(shared, stream.clone());
                let response = match stream.has_place() {
                    true => answered(peer, link, request.map(Body::new), answer).await,
                    false => Refusal::Busy.into_response(),
                };
                let response = without_forbidden_body(is_head, response);
                Ok::<_, Infallible>(response.map(|body| PacedBody::new(body, stream)))
            }
        });
        let streams = Streams {
            connection: connection.clone(),
            places: self.places.clone(),
            write_timeout: self.limits.write_timeout,
        };
        let mut http2 = conn::http2::Builder::new(streams);
        http2
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(self.limits.header_bytes).unwrap_or(u32::MAX))
            .max_concurrent_streams(http2::CONCURRENT_STREAMS)
            .initial_stream_window_size(http2::STREAM_WINDOW_BYTES)
            .initial_connection_window_size(http2::CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(http2::QUEUED_BYTES)
            .max_pending_accept_reset_streams(http2::PENDING_RESETS)
            .max_local_error_reset_streams(http2::OWN_RESETS);
        self.drive(http2.serve_connection(stream, service), &connection).await
    }

    /// Lets hyper serve the connection within the times of the client.
    async fn drive<C>(&self, served: C, connection: &Connection) -> io::Result<()>
    where
        C: GracefulConnection<Error = hyper::Error>,
    {
        let (mut served, mut is_ending) = (pin!(served), false);
        let ConnectionLimits { header_read_timeout, keep_alive, .. } = self.limits;
        loop {
            let idle_time = if is_ending { FAREWELL } else { keep_alive };
            tokio::select! {
                result = served.as_mut() => return result.map_err(io::Error::other),
                () = self.stop.cancelled(), if !is_ending => {}
                owed = connection.overdue(header_read_timeout, idle_time) => match owed {
                    Owed::Request if !is_ending => {}
                    Owed::Request => return Ok(()),
                    Owed::Head => return Err(late("the head of a request did not arrive in time")),
                },
                () = connection.given_up() => return Err(late("the client does not take what it asks for")),
            }
            // HTTP/1.1 ends at once if it is idle. HTTP/2 tells the client first.
            served.as_mut().graceful_shutdown();
            connection.begin_farewell();
            is_ending = true;
        }
    }
}

/// The two sides of a connection, as hyper needs them.
trait Bytestream: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static {}

impl<S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static> Bytestream for S {}

fn late(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, problem)
}

/// Takes out a body that an answer must not have, see RFC 9110, section 6.4.1. hyper does
/// this for HTTP/1.1 alone.
fn without_forbidden_body(is_head: bool, mut response: Response) -> Response {
    if !is_head && !matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return response;
    }
    let body = std::mem::take(response.body_mut());
    if let Some(bytes) = body.size_hint().exact().filter(|_| is_head) {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(bytes.into());
    }
    response
}

/// The answer to one request, once the client has taken the answers before.
async fn answered<A, R>(address: SocketAddr, link: ClientLink, mut request: Request, answer: A) -> Response
where
    A: Fn(Peer, Request) -> R,
    R: Future<Output = Response>,
{
    link.connection().ready().await;
    match host_name::settle(&mut request) {
        Ok(()) => answer(Peer { address, link: Some(link) }, request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// The body of an answer. The exchange ends when hyper drops it.
struct AnswerBody {
    body: Body,
    _exchange: Arc<Exchange>,
}

impl hyper::body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
