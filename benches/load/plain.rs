//! The limit of HTTP: a hyper server that reads the request and sends a fixed response. It runs in
//! a process of its own, so that its CPU time is not mixed with the generator's.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::Result;

/// The argument with which the generator starts itself as this server.
pub const ARGUMENT: &str = "plain-server";

/// The length of the body of each response. Most responses of latchkey have between 100 and 1 200
/// bytes.
const BODY_BYTES: usize = 600;

/// The server, as a child process. It ends when its stdin is closed, so also when the generator is
/// killed.
pub struct PlainServer {
    child: Child,
    pub address: SocketAddr,
}

impl PlainServer {
    pub fn start() -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the plain server has no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().parse().map_err(|_| "the plain server did not start")?;
        Ok(Self { child, address })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for PlainServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the server until stdin is closed.
pub async fn serve() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?);
    let ends = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
    let accept = async {
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let _ = stream.set_nodelay(true);
            connections.spawn(async move {
                let service = service_fn(respond);
                let builder = Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    };
    tokio::select! {
        ended = ends => drop(ended?),
        () = accept => {}
    }
    Ok(())
}

async fn respond(
    request: Request<Incoming>,
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    static BODY: [u8; BODY_BYTES] = [b'7'; BODY_BYTES];
    let _ = request.into_body().collect().await;
    let mut response = Response::new(Full::new(Bytes::from_static(&BODY)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
