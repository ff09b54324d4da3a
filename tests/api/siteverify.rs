//! [`Stub`]: an HTTP server that stands for another service. It responds as the service documents,
//! or as a hostile service could respond.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use url::form_urlencoded;

/// The response of the stub.
#[derive(Clone, Debug)]
pub enum Says {
    /// A response with this status and this JSON.
    Json(u16, String),
    /// A response with this status, this content type and this body.
    Body(u16, &'static str, String),
    /// These bytes. After them the connection ends.
    Raw(Vec<u8>),
    /// A header that announces a body. After it, one byte of the body is sent every 20 ms.
    Drip,
    /// The connection is reset.
    Reset,
    /// There is no response.
    Nothing,
}

/// A request that the stub received.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// The header lines of the request, without the request line.
    pub head: String,
    /// The fields of the body, which is decoded as a form.
    pub form: Vec<(String, String)>,
}

impl Asked {
    /// Returns a field of the form, or `None` if it is missing.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

#[derive(Debug)]
struct Script {
    says: Says,
    asked: Vec<Asked>,
}

/// The stub server. It stops when the value is dropped.
pub struct Stub {
    address: std::net::SocketAddr,
    script: Arc<Mutex<Script>>,
    _server: JoinSet<()>,
}

impl Stub {
    /// Listens on a loopback port. The stub does not respond before a test sets a response.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let script = Arc::new(Mutex::new(Script { says: Says::Nothing, asked: Vec::new() }));
        let shared = script.clone();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                // If a client disconnects, only its own connection ends.
                connections.spawn(serve(stream, shared.clone()));
            }
        });
        Self { address, script, _server: server }
    }

    /// Returns the URL of this path on the stub: `http://127.0.0.1:…`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sets the response for all requests from now on.
    pub fn says(&self, says: Says) {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).says = says;
    }

    /// From now on, the stub responds with a 200 and this JSON.
    pub fn says_json(&self, json: &Value) {
        self.says(Says::Json(200, json.to_string()));
    }

    /// Returns all requests that the stub has received so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).asked.clone()
    }
}

/// Returns a success response as the vendor documents it. The challenge was solved at `at` (RFC
/// 3339) on the host of the harness.
pub fn success(at: &str, action: &str) -> Value {
    json!({
        "success": true,
        "challenge_ts": at,
        "hostname": "latchkey.test",
        "error-codes": [],
        "action": action,
        "cdata": "",
    })
}

/// Returns a refusal as the vendor documents it.
pub fn refusal(code: &str) -> Value {
    json!({ "success": false, "error-codes": [code] })
}

async fn serve(mut stream: TcpStream, script: Arc<Mutex<Script>>) {
    while let Some(asked) = read(&mut stream).await {
        let says = {
            let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
            script.asked.push(asked);
            script.says.clone()
        };
        if act(&mut stream, says).await.is_none() {
            return;
        }
    }
}

/// Reads one request. Returns `None` at the end of the connection.
async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let (first, head) = text.split_once("\r\n").unwrap_or((&text, ""));
    let mut words = first.split(' ').map(str::to_owned);
    let mut asked = Asked {
        method: words.next()?,
        path: words.next()?,
        head: head.to_owned(),
        form: Vec::new(),
    };
    let length = asked.header("content-length").map_or(0, |text| text.parse().unwrap_or(0));
    while bytes.len() < head_end + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    asked.form = form_urlencoded::parse(&bytes[head_end + 4..]).into_owned().collect();
    Some(asked)
}

/// Sends the response. Returns `None` if the connection must end.
async fn act(stream: &mut TcpStream, says: Says) -> Option<()> {
    let (status, kind, body) = match says {
        Says::Json(status, body) => (status, "application/json", body),
        Says::Body(status, kind, body) => (status, kind, body),
        Says::Raw(bytes) => {
            stream.write_all(&bytes).await.ok()?;
            return None;
        }
        Says::Drip => return drip(stream).await,
        Says::Reset => {
            // If a socket is closed without lingering, the kernel sends a reset.
            stream.set_zero_linger().ok()?;
            return None;
        }
        Says::Nothing => std::future::pending().await,
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body.as_bytes()).await.ok()
}

async fn drip(stream: &mut TcpStream) -> Option<()> {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.ok()?;
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    loop {
        ticks.tick().await;
        stream.write_all(b" ").await.ok()?;
    }
}
