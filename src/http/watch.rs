//! The timeouts of a connection.
//!
//! hyper's `header_read_timeout` also ends idle keep-alive connections, and hyper's auto builder
//! waits forever for a first byte. So this module has its own timers. A head has to be complete
//! within 10 seconds after its first byte. For how long a connection may be idle is decided by
//! [`IdleTimeouts`](super::idle::IdleTimeouts). [`Watched`] reports the bytes that arrive, and the
//! service reports when a request begins and ends. [`Watch::overdue`] decides whether a timeout has
//! passed. If a head arrives before the previous request has ended, its 10 seconds begin at the end
//! of that request, because latchkey cannot read the head earlier.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

pub use super::lead::Sent;
use super::lead::{Lead, Speaks};

/// The head of a request has to arrive within this time, from its first byte to its last byte.
pub const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How often a connection is checked. So a timeout can take effect later, by this time at most.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);
/// When the listener stops, it closes a connection that has been without a request for this time.
/// Until then, a request is perhaps on its way, for example directly after the client has connected
/// or between two requests of one batch.
pub const QUIET: Duration = Duration::from_millis(500);
/// How often a connection is checked while the listener stops.
pub const QUIET_LOOK_EVERY: Duration = Duration::from_millis(100);

/// The state of a connection.
#[derive(Debug)]
pub struct Watch {
    born: Instant,
    /// The connection may be without a request for this time.
    idle_within: Duration,
    requests: AtomicU32,
    /// When the last request ended or the connection began, in milliseconds since `born`.
    idle_since_ms: AtomicU64,
    /// When the first byte of a head arrived, in milliseconds since `born`. It is 0 if no head is
    /// on its way.
    head_since_ms: AtomicU64,
    /// Counts the bytes that are ahead of the current request. A task holds the lock only for some
    /// nanoseconds.
    lead: Mutex<Lead>,
}

impl Watch {
    pub fn new(idle_within: Duration) -> Arc<Self> {
        Arc::new(Self {
            born: Instant::now(),
            idle_within,
            requests: AtomicU32::new(0),
            idle_since_ms: AtomicU64::new(0),
            head_since_ms: AtomicU64::new(0),
            lead: Mutex::new(Lead::new()),
        })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Notes that a request's head is complete. The request is in progress until the returned guard
    /// is dropped.
    pub fn begin(self: &Arc<Self>, sent: Sent) -> InWork {
        self.requests.fetch_add(1, Ordering::AcqRel);
        self.lead().begins(sent);
        self.head_since_ms.store(0, Ordering::Release);
        InWork(self.clone())
    }

    fn saw(&self, bytes: &[u8]) {
        let speaks = {
            let mut lead = self.lead();
            lead.saw(bytes);
            lead.speaks()
        };
        if speaks == Speaks::Http2 {
            // The time for the head of an HTTP/2 request is limited by the idle timeout, because
            // pings do not count as requests. It is also limited by the keep-alive ping, because a
            // client cannot respond to a ping in the middle of a head.
            self.head_since_ms.store(0, Ordering::Release);
        } else if self.requests.load(Ordering::Acquire) == 0 {
            self.a_head_begins();
        }
    }

    fn a_head_begins(&self) {
        let now = self.now_ms().max(1);
        let _ = self.head_since_ms.compare_exchange(0, now, Ordering::AcqRel, Ordering::Acquire);
    }

    /// A poisoned lock is used as if it were not poisoned, because a panic cannot leave the data
    /// that it protects in an invalid state.
    fn lead(&self) -> MutexGuard<'_, Lead> {
        self.lead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a timeout has passed. A connection on which a head arrives is not idle. Otherwise a
    /// request that begins just before the idle timeout would be lost.
    pub fn overdue(&self) -> bool {
        if self.requests.load(Ordering::Acquire) > 0 {
            return false;
        }
        let head = self.head_since_ms.load(Ordering::Acquire);
        if head > 0 {
            return self.over(head, HEAD_WITHIN);
        }
        self.over(self.idle_since_ms.load(Ordering::Acquire), self.idle_within)
    }

    /// Whether a stopping listener may end this connection. If it ends the connection, a request in
    /// progress still gets its response, but a request whose head is still arriving does not. The
    /// listener may always end an HTTP/2 connection: if a request is refused after the GOAWAY, the
    /// client sends it again on another connection.
    pub fn may_end(&self) -> bool {
        let is_quiet = || {
            self.head_since_ms.load(Ordering::Acquire) == 0
                && self.over(self.idle_since_ms.load(Ordering::Acquire), QUIET)
        };
        self.is_http_2() || self.requests.load(Ordering::Acquire) > 0 || is_quiet()
    }

    fn is_http_2(&self) -> bool {
        self.lead().speaks() == Speaks::Http2
    }

    fn over(&self, since_ms: u64, limit: Duration) -> bool {
        u128::from(self.now_ms().saturating_sub(since_ms)) > limit.as_millis()
    }
}

/// A request in progress.
#[derive(Debug)]
pub struct InWork(Arc<Watch>);

impl Drop for InWork {
    fn drop(&mut self) {
        let watch = &self.0;
        watch.idle_since_ms.store(watch.now_ms(), Ordering::Release);
        let is_last = watch.requests.fetch_sub(1, Ordering::AcqRel) == 1;
        let mut lead = watch.lead();
        if is_last && lead.speaks() != Speaks::Http2 && lead.ends() {
            drop(lead);
            watch.a_head_begins();
        }
    }
}

/// A stream that reports its incoming bytes to a [`Watch`].
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    watch: Arc<Watch>,
}

impl<S> Watched<S> {
    pub fn new(stream: S, watch: Arc<Watch>) -> Self {
        Self { stream, watch }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Some(bytes) = buf.filled().get(before..).filter(|bytes| !bytes.is_empty()) {
            self.watch.saw(bytes);
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const NONE: Sent = Sent::Length(0);
    const IDLE: Duration = Duration::from_secs(75);

    #[tokio::test(start_paused = true)]
    async fn a_head_has_ten_seconds_from_its_first_byte() {
        let watch = Watch::new(IDLE);
        tokio::time::advance(Duration::from_secs(30)).await;
        watch.saw(b"G");
        tokio::time::advance(Duration::from_secs(9)).await;
        watch.saw(b"E");
        assert!(!watch.overdue());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(watch.overdue());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_may_be_idle_for_its_timeout_between_requests() {
        let watch = Watch::new(IDLE);
        watch.saw(GET);
        let work = watch.begin(NONE);
        tokio::time::advance(Duration::from_secs(100)).await;
        assert!(!watch.overdue(), "a connection with a request in progress is not idle");
        drop(work);
        tokio::time::advance(Duration::from_secs(74)).await;
        assert!(!watch.overdue());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(watch.overdue());
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_begins_before_the_idle_timeout_may_end_after_it() {
        let watch = Watch::new(IDLE);
        watch.saw(GET);
        drop(watch.begin(NONE));
        tokio::time::advance(Duration::from_secs(74)).await;
        watch.saw(&GET[..8]);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(!watch.overdue(), "its 10 seconds have not passed");
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(watch.overdue());
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_ahead_of_its_turn_has_ten_seconds_from_its_turn() {
        for ahead in [true, false] {
            let watch = Watch::new(IDLE);
            let behind: &[u8] = if ahead { b"GET / HT" } else { b"" };
            watch.saw(&[GET, behind].concat());
            let work = watch.begin(NONE);
            if !ahead {
                watch.saw(b"GET / HT");
            }
            tokio::time::advance(Duration::from_secs(30)).await;
            assert!(!watch.overdue(), "the previous request is in progress");
            drop(work);
            tokio::time::advance(Duration::from_secs(9)).await;
            assert!(!watch.overdue());
            tokio::time::advance(Duration::from_secs(2)).await;
            assert!(watch.overdue(), "ahead: {ahead}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_only_begins_like_http_2_has_a_heads_time() {
        for bytes in [b"PRIVATE / HTTP/1.1\r\n".as_slice(), b"PRI", &PREFACE[..20]] {
            let watch = Watch::new(IDLE);
            watch.saw(bytes);
            tokio::time::advance(Duration::from_secs(11)).await;
            assert!(watch.overdue(), "{bytes:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn http_2_is_bounded_by_idleness_alone() {
        let watch = Watch::new(IDLE);
        watch.saw(PREFACE);
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(!watch.overdue());
        tokio::time::advance(Duration::from_secs(46)).await;
        assert!(watch.overdue());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_may_end_in_a_request_or_when_quiet_but_not_in_a_head() {
        let watch = Watch::new(IDLE);
        assert!(!watch.may_end(), "the first request may be on its way");
        tokio::time::advance(Duration::from_millis(501)).await;
        assert!(watch.may_end());
        watch.saw(&GET[..8]);
        assert!(!watch.may_end());
        watch.saw(&GET[8..]);
        let work = watch.begin(NONE);
        assert!(watch.may_end(), "the response is still sent");
        drop(work);
        assert!(!watch.may_end(), "the next request may be on its way");
        tokio::time::advance(Duration::from_millis(501)).await;
        assert!(watch.may_end());
    }

    #[tokio::test(start_paused = true)]
    async fn http_2_may_end_at_any_time() {
        let watch = Watch::new(IDLE);
        watch.saw(PREFACE);
        assert!(watch.may_end());
    }
}
