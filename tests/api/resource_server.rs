//! Tests of a resource server in Python that admits one team. docs/integrate/python.md shows this
//! server.

use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::app::{Backend, TestApp};
use crate::client::Client;
use crate::people::{claim, id_of, join, people};
use crate::poll::eventually;
use crate::servers::{free_port, must_be_told};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/python/serve.py");

#[test]
fn the_page_shows_the_program_that_is_tested() {
    let (page, program) = (
        include_str!("../../docs/integrate/python.md"),
        include_str!("../../examples/python/serve.py"),
    );
    assert!(page.contains(program), "docs/integrate/python.md has to show serve.py as it is");
}

/// The server process. The process is killed when the value is dropped.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    async fn start(issuer: &str, team: &str, key: Option<&str>) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = Command::new(must_be_told("LATCHKEY_TEST_PYTHON"));
        command.args([PROGRAM, issuer, team, &address.port().to_string()]).stdin(Stdio::null());
        if let Some(key) = key {
            command.env("LATCHKEY_KEY", key);
        }
        let child = command.spawn().expect("Python is installed: scripts/test sees to it");
        let mut server = Self { child, address };
        eventually("the start of the resource server", Duration::from_secs(30), async || {
            let ended = server.child.try_wait().expect("our own child");
            assert!(ended.is_none(), "it ended: has this Python PyJWT?");
            TcpStream::connect(address).ok()
        })
        .await;
        server
    }

    async fn status(&self, token: &str) -> u16 {
        Client::new(self.address).bearer(token).get("/reports").await.status
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_in_python_lets_one_team_in_on_servers() {
    let listen = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let issuer = format!("http://{listen}");
    let app = TestApp::builder(Backend::Servers)
        .set("http.listen", &listen.to_string())
        .set("public_url", &issuer)
        .start()
        .await;
    let [ada, mut bob, eve] = people(&app, ["ada", "bob", "eve"]).await;
    let team = claim(&ada, "tid");
    join(&app, &team, &bob, "viewer").await;
    let nobody = app.register("nobody@example.org").await;
    let (asking, own) = (ada.make_key(&["vault:read"]).await, ada.make_key(&["vault:read"]).await);
    let (writing, theirs) =
        (ada.make_key(&["vault:write"]).await, eve.make_key(&["team:own"]).await);
    let plain = Server::start(&issuer, &team, None).await;
    let live = Server::start(&issuer, &team, Some(&asking.secret)).await;

    let program = own.token(&app).await;
    for server in [&plain, &live] {
        let answer = Client::new(server.address).bearer(&ada.vault_token).get("/reports").await;
        let expected = json!({ "subject": id_of(&ada), "project": claim(&ada, "pid") });
        assert_eq!(answer.expect(200).json(), expected);
        assert_eq!(server.status(&program).await, 200);
        let bare = Client::new(server.address).get("/reports").await.expect(401);
        assert_eq!(bare.header("www-authenticate"), Some("Bearer"));
        for unknown in ["x", "a.b.c", &ada.user_token] {
            assert_eq!(server.status(unknown).await, 401, "{unknown}");
        }
        // These tokens are valid, but they are of another team, of no team, or without the scope.
        let (theirs, writing) = (theirs.token(&app).await, writing.token(&app).await);
        for good in [&eve.vault_token, &theirs, &bob.vault_token, &nobody.vault_token, &writing] {
            assert_eq!(server.status(good).await, 403);
        }
    }
    bob.switch(&team, json!({})).await.expect(200);
    assert_eq!(
        (plain.status(&bob.vault_token).await, live.status(&bob.vault_token).await),
        (200, 200)
    );
    // The resource server that asks latchkey refuses the tokens of an ended session or key at once.
    ada.remove_member(&team, &bob).await.expect(204);
    let keys = format!("/api/teams/{team}/projects/{}/keys", claim(&ada, "pid"));
    ada.as_user().delete(&format!("{keys}/{}", own.id)).await.expect(204);
    for ended in [&bob.vault_token, &program] {
        assert_eq!((plain.status(ended).await, live.status(ended).await), (200, 401));
    }
    drop((plain, live));
    app.finish().await;
}
