//! A small TCP proxy in front of a real server. A test can make the proxy cut or stall its
//! connections, pass bytes again, or forget its open connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the proxy does with connections and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// The proxy passes all bytes.
    Pass,
    /// The proxy ends all connections, and it ends a new connection at once.
    Cut,
    /// The connections stay open, and the proxy passes no byte.
    Stall,
}

/// The instructions for all connections.
#[derive(Clone, Copy, Debug)]
struct Orders {
    mode: Mode,
    /// The proxy never again passes a byte of a connection whose number is smaller than this
    /// number.
    forgotten: usize,
}

/// The instructions, in the form in which one connection watches them.
#[derive(Clone)]
struct Watched {
    number: usize,
    orders: watch::Receiver<Orders>,
}

/// The proxy. When the value is dropped, the listener and all connections are closed.
pub struct Proxy {
    address: SocketAddr,
    target: watch::Sender<SocketAddr>,
    orders: watch::Sender<Orders>,
    accepted: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl Proxy {
    /// Listens on a free loopback port and forwards each connection to `target`.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let (orders, watched) = watch::channel(Orders { mode: Mode::Pass, forgotten: 0 });
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        let (target, leads_to) = watch::channel(target);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let watched = Watched { number, orders: watched.clone() };
                let target = *leads_to.borrow();
                connections.spawn(async move {
                    // A connection that breaks is no error for the proxy.
                    let _over = pass(client, target, watched).await;
                });
            }
        });
        Self { address, target, orders, accepted, _server: server }
    }

    /// Returns the address to which a client of the proxy connects.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Forwards new connections to another server, as if a DNS name had moved. Open connections
    /// still lead to the old server.
    pub fn move_to(&self, target: SocketAddr) {
        self.target.send_replace(target);
    }

    /// Ends every open connection. From now on, each new connection ends at once.
    pub fn cut(&self) {
        self.set(Mode::Cut);
    }

    /// Keeps connections open and passes no byte. Bytes that are on their way are not lost.
    pub fn stall(&self) {
        self.set(Mode::Stall);
    }

    /// From now on, the proxy passes all bytes again.
    pub fn heal(&self) {
        self.set(Mode::Pass);
    }

    /// Never again passes a byte of the connections that are open now, and does not close them.
    /// They behave as if the machine of the server had lost its power. New connections work.
    pub fn forget(&self) {
        let forgotten = self.accepted.load(Ordering::SeqCst);
        self.orders.send_modify(|orders| orders.forgotten = forgotten);
    }

    fn set(&self, mode: Mode) {
        self.orders.send_modify(|orders| orders.mode = mode);
    }
}

async fn pass(client: TcpStream, target: SocketAddr, mut watched: Watched) -> io::Result<()> {
    watched.open().await?;
    let server = TcpStream::connect(target).await?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        ended = pump(from_client, to_server, watched.clone()) => ended,
        ended = pump(from_server, to_client, watched) => ended,
    }
}

async fn pump(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    mut watched: Watched,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        watched.open().await?;
        let length = tokio::select! {
            read = from.read(&mut buffer) => read?,
            _changed = watched.orders.changed() => continue,
        };
        if length == 0 {
            return to.shutdown().await;
        }
        watched.open().await?;
        to.write_all(&buffer[..length]).await?;
    }
}

impl Watched {
    /// Waits until the proxy passes bytes. Returns an error if the proxy cuts the connection.
    async fn open(&mut self) -> io::Result<()> {
        let number = self.number;
        let moves = |it: &Orders| it.mode != Mode::Stall && it.forgotten <= number;
        let mode = self.orders.wait_for(moves).await.map_err(io::Error::other)?.mode;
        if mode == Mode::Cut { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// Starts a server that sends every received byte back.
    async fn echo() -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    let (mut reader, mut writer) = stream.split();
                    let _copied = tokio::io::copy(&mut reader, &mut writer).await;
                });
            }
        });
        (address, server)
    }

    async fn answer(stream: &mut TcpStream, byte: u8) -> io::Result<u8> {
        stream.write_u8(byte).await?;
        stream.read_u8().await
    }

    #[tokio::test]
    async fn it_forgets_the_present_connections_and_passes_new_ones() {
        let (target, _server) = echo().await;
        let proxy = Proxy::start(target).await;
        let mut old = TcpStream::connect(proxy.address()).await.expect("connected");
        assert_eq!(answer(&mut old, 1).await.expect("passed"), 1);
        proxy.forget();
        let mut new = TcpStream::connect(proxy.address()).await.expect("connected");
        assert_eq!(answer(&mut new, 2).await.expect("passed"), 2);
        let silence = timeout(Duration::from_millis(100), answer(&mut old, 3)).await;
        assert!(silence.is_err(), "it stays open, and nothing moves");
    }

    #[tokio::test]
    async fn it_passes_stalls_heals_and_cuts() {
        let (target, _server) = echo().await;
        let proxy = Proxy::start(target).await;
        let mut stream = TcpStream::connect(proxy.address()).await.expect("connected");
        assert_eq!(answer(&mut stream, 1).await.expect("passed"), 1);

        proxy.stall();
        stream.write_u8(2).await.expect("written");
        let silence = timeout(Duration::from_millis(100), stream.read_u8()).await;
        assert!(silence.is_err(), "nothing moves");
        proxy.heal();
        assert_eq!(stream.read_u8().await.expect("it was kept"), 2);

        proxy.cut();
        assert!(stream.read_u8().await.is_err(), "the connection is gone");
        let mut other = TcpStream::connect(proxy.address()).await.expect("accepted");
        assert!(answer(&mut other, 3).await.is_err(), "and so is every new one");
        proxy.heal();
        let mut third = TcpStream::connect(proxy.address()).await.expect("connected");
        assert_eq!(answer(&mut third, 4).await.expect("passed"), 4);
    }
}
