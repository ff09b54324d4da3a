//! Tests of Debian's nginx with `auth_request` in front of an application, with the configuration
//! in docs/integrate/nginx.md. The module also has an nginx for other tests, which only passes
//! every request to latchkey.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hyper::Method;
use tempfile::TempDir;

use crate::app::{Backend, TestApp};
use crate::client::{Client, Person, claims};
use crate::poll::eventually;
use crate::servers::free_port;

/// The files of the example. docs/integrate/nginx.md shows the same files.
const FILES: [(&str, &str); 3] = [
    ("nginx.conf", include_str!("../../examples/nginx/nginx.conf")),
    ("latchkey_headers.conf", include_str!("../../examples/nginx/latchkey_headers.conf")),
    ("latchkey_ask.conf", include_str!("../../examples/nginx/latchkey_ask.conf")),
];
const PAGE: &str = include_str!("../../docs/integrate/nginx.md");
/// The team whose members are allowed to read `/reports/` in the example.
const EXAMPLE_TEAM: &str = "0199d2f0-3c5e-7a10-8f00-5d2f6a1b9c33";

#[test]
fn the_page_shows_the_files_that_are_tested() {
    for (name, text) in FILES {
        assert!(PAGE.contains(text), "docs/integrate/nginx.md has to show {name}:\n{text}");
    }
}

/// Starts an application that returns the header of each request that it receives.
fn application() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            echo(stream.expect("accepted"));
        }
    });
    address
}

fn echo(mut stream: TcpStream) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    let length = head.len();
    let _gone = write!(stream, "HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n")
        .and_then(|()| stream.write_all(&head));
}

fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

/// An nginx process of the test. The process is killed when the value is dropped.
pub struct Nginx {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Nginx {
    async fn start(latchkey: SocketAddr, app: SocketAddr, team: &str) -> Self {
        let address = free_address();
        let files = FILES.map(|(name, text)| {
            let text = text
                .replace("127.0.0.1:8080", &latchkey.to_string())
                .replace("127.0.0.1:3000", &app.to_string())
                .replace("127.0.0.1:8000", &address.to_string())
                .replace(EXAMPLE_TEAM, team);
            (name, text)
        });
        Self::with(address, &files).await
    }

    /// Starts an nginx that passes every request to `target`. Its server block has `proxy_pass` and
    /// nothing else.
    pub async fn bare(target: SocketAddr) -> Self {
        let address = free_address();
        let text = format!(
            "server {{ listen {address}; location / {{ proxy_pass http://{target}; }} }}\n"
        );
        Self::with(address, &[("nginx.conf", text)]).await
    }

    async fn with(address: SocketAddr, files: &[(&str, String)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, text) in files {
            fs::write(directory.path().join(name), text).expect("written");
        }
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {name}_temp;"))
            .join("\n");
        let main = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log error.log;\nevents {{}}\n\
             http {{\naccess_log off;\n{temporary}\ninclude nginx.conf;\n}}\n"
        );
        fs::write(directory.path().join("main.conf"), main).expect("written");
        let program =
            if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" };
        let at = |name: &str| directory.path().join(name);
        let child = Command::new(program)
            .arg("-p")
            .arg(directory.path())
            .arg("-c")
            .arg(at("main.conf"))
            .arg("-e")
            .arg(at("error.log"))
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx is installed: scripts/test sees to it");
        let mut nginx = Self { child, address, directory };
        eventually("the start of nginx", Duration::from_secs(20), async || {
            let ended = nginx.child.try_wait().expect("our own child");
            let log = fs::read_to_string(nginx.directory.path().join("error.log"));
            assert!(ended.is_none(), "nginx ended: {log:?}");
            TcpStream::connect(address).ok()
        })
        .await;
        nginx
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn caller(&self, person: &Person) -> Client {
        Client::new(self.address).bearer(&person.vault_token)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_lets_live_tokens_through_and_no_header_of_the_clients_own_on_servers() {
    let app = TestApp::builder(Backend::Servers)
        .set("http.trusted_proxies", "127.0.0.1/32")
        .start()
        .await;
    let ada = app.verified("ada@example.org").await;
    let eve = app.verified("eve@example.org").await;
    let token = claims(&ada.vault_token);
    let claim = |name: &str| token[name].as_str().expect("a text");
    let nginx = Nginx::start(app.public_addr(), application(), claim("tid")).await;

    let nobody = Client::new(nginx.address).get("/").await.expect(401);
    assert_eq!(nobody.header("www-authenticate"), Some("Bearer realm=\"latchkey\""));
    Client::new(nginx.address).bearer("x").get("/").await.expect(401);
    Client::new(nginx.address).bearer(&ada.user_token).get("/").await.expect(401);
    Client::new(nginx.address).get("/_latchkey").await.expect(404);

    let liar = nginx
        .caller(&ada)
        .header("x-latchkey-subject", "root")
        .header("x-latchkey-team", "another")
        .header("x-latchkey-scope", "everything");
    for (method, path) in [(Method::GET, "/v1/a?team=another"), (Method::POST, "/v1/b")] {
        let head = liar.bare(method, path).await.expect(200).text().to_lowercase();
        for (name, value) in [
            ("subject", claim("sub")),
            ("team", claim("tid")),
            ("project", claim("pid")),
            ("role", claim("role")),
            ("scope", claim("scope")),
        ] {
            let line = format!("\r\nx-latchkey-{name}: {value}\r\n");
            assert_eq!(head.matches(&format!("\r\nx-latchkey-{name}:")).count(), 1, "{head}");
            assert!(head.contains(&line), "{head}");
        }
        assert!(!head.contains("authorization:"), "{head}");
    }

    nginx.caller(&ada).get("/reports/1").await.expect(200);
    nginx.caller(&eve).get("/").await.expect(200);
    nginx.caller(&eve).get("/reports/1").await.expect(403);

    // A program of the team has access like a member. A program of another team has no access. The
    // token of a revoked key is refused at once.
    let (key, other) = (ada.make_key(&["vault:read"]).await, eve.make_key(&["vault:read"]).await);
    let caller = |token: &str| Client::new(nginx.address).bearer(token);
    let (program, stranger) = (key.token(&app).await, other.token(&app).await);
    let head = caller(&program).get("/reports/1").await.expect(200).text().to_lowercase();
    assert!(head.contains(&format!("\r\nx-latchkey-subject: {}\r\n", key.id)), "{head}");
    assert!(!head.contains("x-latchkey-role:"), "a key has no role: {head}");
    caller(&stranger).get("/reports/1").await.expect(403);
    caller(&stranger).get("/").await.expect(200);
    let keys = format!("/api/teams/{}/projects/{}/keys", claim("tid"), claim("pid"));
    ada.as_user().delete(&format!("{keys}/{}", key.id)).await.expect(204);
    caller(&program).get("/reports/1").await.expect(401);

    ada.logout().await.expect(204);
    nginx.caller(&ada).get("/").await.expect(401);
    nginx.caller(&ada).get("/reports/1").await.expect(401);
    nginx.caller(&eve).get("/").await.expect(200);
    app.finish().await;
}
