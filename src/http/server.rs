//! The listener: it accepts, limits, serves and drains connections.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::Answer;
use super::body::BODY_BYTES_MAX;
use super::cx::{Peer, Transport};
use super::head::HEADERS_MAX;
use super::idle::IdleTimeouts;
use super::sources::Sources;
use super::tls::Tls;
use super::watch::{LOOK_EVERY, QUIET_LOOK_EVERY, Sent, Watch, Watched};
use crate::actor::Task;

/// The maximum size of a header block in bytes. The buffer of an HTTP/1.1 connection has the same
/// size.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// The maximum number of concurrent requests on one HTTP/2 connection.
const HTTP_2_STREAMS_MAX: u32 = 100;
/// The maximum number of bytes that a client is allowed to send on an HTTP/2 stream before latchkey
/// reads them. The value is the maximum size of a body, because latchkey never reads more.
const HTTP_2_STREAM_WINDOW: usize = BODY_BYTES_MAX;
/// The maximum number of bytes that a client is allowed to send on all streams of an HTTP/2
/// connection together before latchkey reads them. The value is the default of HTTP/2, and a server
/// cannot announce a lower value (RFC 9113 §6.9.2). It limits the memory for bodies that have
/// arrived but are not read yet. With hyper's default of 1 MiB, all connections together could use
/// 20 GB.
const HTTP_2_CONNECTION_WINDOW: u32 = 65_535;
/// The maximum number of streams that a client is allowed to open and reset before the daemon
/// handles them. If a client opens and resets more streams, its connection is closed. This stops
/// rapid reset attacks.
const HTTP_2_PENDING_RESETS_MAX: usize = 20;
/// The time limit of a TLS handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// The pause after an error of `accept` that does not concern one connection, for example if all
/// file descriptors are used up. During the pause, open connections perhaps end and free their file
/// descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A service that responds to requests.
pub trait Service: Send + Sync + 'static {
    fn call(
        &self,
        peer: Peer,
        request: hyper::Request<Incoming>,
    ) -> impl Future<Output = Answer> + Send;
}

impl Service for super::dispatch::Dispatcher {
    async fn call(&self, peer: Peer, request: hyper::Request<Incoming>) -> Answer {
        self.serve(peer, request).await
    }
}

/// A bound listener.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    connections_max: usize,
    sources: Arc<Sources>,
    idle: IdleTimeouts,
}

impl Server {
    pub async fn bind(
        address: SocketAddr,
        tls: Option<Arc<Tls>>,
        connections_max: usize,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let sources = Sources::new(usize::MAX, Vec::new());
        let idle = IdleTimeouts::default();
        Ok(Self { listener, tls, connections_max, sources, idle })
    }

    /// Limits the connections of each source, so that one source cannot use up `connections_max`.
    /// The further connections of a source are closed.
    #[must_use]
    pub fn sharing(mut self, sources: Arc<Sources>) -> Self {
        self.sources = sources;
        self
    }

    /// Closes connections that are without a request for longer than these timeouts.
    #[must_use]
    pub fn closing_idle(mut self, idle: IdleTimeouts) -> Self {
        self.idle = idle;
        self
    }

    /// For how long a connection from this IP address may be without a request.
    pub fn idle_within(&self, address: IpAddr) -> Duration {
        self.idle.of(address)
    }

    /// The address of the listener. If port 0 was requested, the address contains the real port.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Runs [`Server::run`] on the runtime.
    pub fn spawn<S: Service>(
        self,
        service: Arc<S>,
        task: Task,
        patience: Duration,
    ) -> JoinHandle<()> {
        task.spawn(move |task| self.run(service, task, patience))
    }

    /// Serves until `task` is stopped. Then it waits until the requests in progress have ended, but
    /// not longer than `patience`. Each step of the task accepts one connection. A panic in a step
    /// ends neither the listener nor the open connections.
    pub async fn run<S: Service>(self, service: Arc<S>, mut task: Task, patience: Duration) {
        let stop = task.stop().clone();
        let open = TaskTracker::new();
        let permits = Arc::new(Semaphore::new(self.connections_max));
        let begin = |permit: OwnedSemaphorePermit, stream: TcpStream, address: SocketAddr| {
            let Some(share) = self.sources.admit(address.ip()) else { return };
            let (service, tls, stop) = (service.clone(), self.tls.clone(), stop.clone());
            let idle_within = self.idle.of(address.ip());
            // The permits limit the number of these tasks. The tasks end when `stop` is cancelled.
            open.spawn(async move {
                let _place = (permit, share);
                connect(stream, address, tls, service, (idle_within, stop)).await;
            });
        };
        while !stop.is_cancelled() {
            task.step(async {
                let accepted = tokio::select! {
                    () = stop.cancelled() => None,
                    accepted = self.accept(&permits) => accepted,
                };
                if let Some((permit, stream, address)) = accepted {
                    begin(permit, stream, address);
                }
            })
            .await;
        }
        // The kernel may already have accepted further connections. They are also served, because
        // otherwise they would be reset when the listener closes.
        if let Ok(listener) = self.listener.into_std() {
            while let (Ok(permit), Ok((stream, address))) =
                (permits.clone().try_acquire_owned(), listener.accept())
            {
                let stream =
                    stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
                if let Ok(stream) = stream {
                    begin(permit, stream, address);
                }
            }
        }
        open.close();
        if tokio::time::timeout(patience, open.wait()).await.is_err() {
            tracing::warn!("connections were cut: their requests did not end in time");
        }
    }

    /// Waits for a permit and then accepts the next connection. Connections that are not accepted
    /// yet wait in the backlog of the kernel. If the backlog is full, the kernel refuses further
    /// connections.
    async fn accept(
        &self,
        permits: &Arc<Semaphore>,
    ) -> Option<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
        let permit = permits.clone().acquire_owned().await.ok()?;
        match self.listener.accept().await {
            Ok((stream, address)) => Some((permit, stream, address)),
            Err(error) => {
                if !is_of_one_connection(&error) {
                    tracing::error!(error = %error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                None
            }
        }
    }
}

/// Whether an error concerns only the new connection and not the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

async fn connect<S: Service>(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    service: Arc<S>,
    until: (Duration, CancellationToken),
) {
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        let peer = Peer { address: address.ip(), transport: Transport::Plain };
        return serve(stream, peer, service, until).await;
    };
    let handshake = tls.acceptor().accept(stream);
    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_WITHIN, handshake).await {
        let peer = Peer { address: address.ip(), transport: Transport::Tls };
        serve(stream, peer, service, until).await;
    }
}

/// Serves a connection until its peer closes it, it is idle for too long, or the listener stops.
async fn serve<S: Service, I>(
    stream: I,
    peer: Peer,
    service: Arc<S>,
    (idle_within, stop): (Duration, CancellationToken),
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let watch = Watch::new(idle_within);
    let io = TokioIo::new(Watched::new(stream, watch.clone()));
    let in_work = watch.clone();
    let handler = service_fn(move |request: hyper::Request<Incoming>| {
        let (service, work) = (service.clone(), in_work.begin(Sent::by(&request)));
        async move {
            let answer = service.call(peer, request).await;
            drop(work);
            Ok::<_, Infallible>(answer)
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // hyper's timer is not used, because the timers in `watch.rs` are stricter and distinguish
        // an idle connection from a slow head.
        .header_read_timeout(None)
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP_2_STREAMS_MAX)
        .initial_stream_window_size(u32::try_from(HTTP_2_STREAM_WINDOW).ok())
        .initial_connection_window_size(HTTP_2_CONNECTION_WINDOW)
        .max_pending_accept_reset_streams(HTTP_2_PENDING_RESETS_MAX)
        .max_header_list_size(u32::try_from(HEADER_BYTES_MAX).unwrap_or(u32::MAX))
        .keep_alive_interval(Some(Duration::from_secs(20)))
        .keep_alive_timeout(Duration::from_secs(10));
    let connection = builder.serve_connection(io, handler).into_owned();
    let mut connection = std::pin::pin!(connection);
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            // The connection comes first. A request that has already arrived is then read before
            // the timeouts are checked.
            biased;
            // An error is not logged, because it only means that the client has broken off the
            // connection.
            _ = connection.as_mut() => return,
            _ = look.tick() => if watch.overdue() { return },
            () = stop.cancelled() => break,
        }
    }
    // The listener is stopping. An HTTP/2 connection gets its GOAWAY at once. On HTTP/1, a response
    // that has not begun gets `connection: close`. A quiet connection is closed. A connection that
    // is not quiet yet stays open, because a request is perhaps on its way.
    let mut look = tokio::time::interval(QUIET_LOOK_EVERY);
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = look.tick() => {
                if watch.overdue() { return }
                if watch.may_end() { connection.as_mut().graceful_shutdown() }
            }
        }
    }
}
