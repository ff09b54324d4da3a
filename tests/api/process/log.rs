//! Tests of the log of a complete session. The log must contain certain events, and it must not
//! contain a secret or the IP address of a client.

use std::process::{Command, Stdio};

use hyper::Method;
use serde_json::{Value, json};

use super::{Place, Running};
use crate::client::{Person, encoded};

const LOCAL_PART: &str = "planted-person";
const ADDRESS: &str = "planted-person@log.example";
const PASSWORD: &str = "planted-password-1 Qx";
const NEW_PASSWORD: &str = "planted-password-2 Qx";
const WRONG_PASSWORD: &str = "planted-password-3 Qx";
const CAPTCHA: &str = "planted-captcha-Qx";
const BAD_TOKEN: &str = "planted-bad-token-Qx";
const NAME: &str = "Planted Name Qx";

/// Sends the requests of a typical user, and some requests that fail. Returns every secret in these
/// requests.
pub(super) async fn live(running: &Running) -> Vec<String> {
    let nobody = running.anonymous();
    let client = &running.client;
    let mut secrets: Vec<String> =
        [LOCAL_PART, PASSWORD, NEW_PASSWORD, WRONG_PASSWORD, CAPTCHA, BAD_TOKEN, NAME, "Bearer ey"]
            .map(str::to_owned)
            .into();
    let mut keep = |tokens: &crate::client::Tokens| {
        secrets.extend(tokens.user.split('.').chain(tokens.vault.split('.')).map(str::to_owned));
    };
    let registered = nobody.register(ADDRESS, PASSWORD, NAME).await.tokens();
    keep(&registered);
    nobody.register(ADDRESS, PASSWORD, NAME).await.expect(409);
    let mail = running.mail_to(ADDRESS, 0).await;
    let resend = format!("/api/resend-email-verification?capcha={}", encoded(CAPTCHA));
    client.bearer(&registered.user).get(&resend).await.expect(400);
    client.get(&format!("/verify-email?token={}", encoded(mail.token()))).await.expect(200);
    let verified = nobody.verify(mail.token()).await.tokens();
    keep(&verified);
    nobody.verify(mail.token()).await.expect(409);
    nobody.verify(BAD_TOKEN).await.expect(400);
    nobody.login(ADDRESS, WRONG_PASSWORD).await.expect(401);
    nobody.login(&ADDRESS.to_uppercase(), PASSWORD).await.expect(200);
    nobody.exists(ADDRESS).await.expect(200);
    nobody.exists(&format!("{LOCAL_PART}@@")).await.expect(422);
    let refreshed = client.bearer(&verified.user).get("/api/refresh").await.tokens();
    keep(&refreshed);
    nobody.forgot(ADDRESS).await.expect(200);
    let recovery = running.mail_to(ADDRESS, 1).await;
    nobody.reset(BAD_TOKEN, NEW_PASSWORD).await.expect(400);
    nobody.reset(recovery.token(), "short").await.expect(422);
    nobody.reset(recovery.token(), NEW_PASSWORD).await.expect(200);
    for scheme in ["Bearer", "Basic", "Planted"] {
        let client = client.header("Authorization", &format!("{scheme} {BAD_TOKEN}"));
        client.get("/api/me").await.expect(401);
        client.get("/api/refresh").await.expect(401);
    }
    client.bearer(&refreshed.user).get("/api/me").await.expect(401);
    let malformed = format!("{{\"password\":\"{WRONG_PASSWORD}\"");
    let malformed = malformed.into_bytes().into();
    client.send(Method::POST, "/api/login", Some("application/json"), malformed).await.expect(400);
    client.get(&format!("/nowhere/{BAD_TOKEN}?token={BAD_TOKEN}")).await.expect(404);
    let mut person = Person::register(client, &format!("{LOCAL_PART}-2@log.example")).await;
    person.change_password(NEW_PASSWORD).await.expect(200);
    let change =
        json!({ "password": NEW_PASSWORD, "email": format!("{LOCAL_PART}-3@log.example") });
    let _either = person.as_user().post_json("/api/change-email", change).await;
    person.leave().await.expect(204);
    secrets.extend([mail.token().to_owned(), recovery.token().to_owned()]);
    secrets.extend([person.user_token.clone(), person.vault_token.clone()]);
    secrets
}

async fn says_no_secret(filter: &str) -> String {
    let mut place = Place::new().set("log.filter", filter);
    let running = place.start().await;
    let secrets = live(&running).await;
    let key = std::fs::read_to_string(place.path("data/master.key")).expect("a key");
    let log = running.stop().await;
    for secret in secrets.iter().map(String::as_str).chain([key.trim()]) {
        let line = log.lines().find(|line| line.to_lowercase().contains(&secret.to_lowercase()));
        assert!(line.is_none(), "`{secret}` is in the log: {line:?}");
    }
    log
}

#[tokio::test]
async fn the_log_of_a_whole_life_holds_no_secret_and_no_address_embedded() {
    let log = says_no_secret("info").await;
    let lines: Vec<Value> =
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let access: Vec<_> =
        lines.iter().filter(|line| line["message"] == "request answered").collect();
    assert!(access.len() > 20);
    for line in &access {
        assert!(line["request_id"].is_string() && line["trace_id"].is_string(), "{line}");
        assert!(line["http.response.status_code"].is_u64(), "{line}");
    }
    let routes = || access.iter().filter_map(|line| line["http.route"].as_str());
    assert!(routes().any(|route| route == "/api/verify-email/{token}"), "{access:?}");
    assert!(routes().any(|route| route == "/api/exist-email/{email}"));
}

#[tokio::test]
async fn nor_does_it_when_everything_is_told_embedded() {
    says_no_secret("debug").await;
    says_no_secret("trace").await;
}

/// Starts the program on a terminal and returns its output. Its first port is taken, so that the
/// program ends.
fn on_a_terminal(place: &Place) -> String {
    let mut command = Command::new("script");
    command.args(["--quiet", "--command", super::PROGRAM, "/dev/null"]).env_clear();
    command.envs(place.settings.iter().map(|(name, value)| (name, value)));
    command.current_dir(place.directory.path()).stdin(Stdio::null());
    String::from_utf8(command.output().expect("script runs").stdout).expect("UTF-8")
}

#[tokio::test]
async fn the_log_is_in_colour_on_a_terminal_unless_somebody_minds() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let place = Place::new().set("http.listen", &address);
    let coloured = on_a_terminal(&place);
    assert!(coloured.contains("cannot listen on"), "{coloured}");
    assert!(coloured.contains("WARN") && coloured.contains("\u{1b}["), "{coloured}");
    let plain = on_a_terminal(&place.variable("NO_COLOR", "1"));
    assert!(plain.contains("WARN") && !plain.contains('\u{1b}'), "{plain}");
}

/// The test uses the system clock and runs within one minute, so the daemon must log the line once.
#[tokio::test]
async fn a_forwarded_header_that_cannot_be_read_is_logged_once_a_minute_embedded() {
    let mut place = Place::new().set("http.trusted_proxies", "127.0.0.0/8");
    let running = place.start().await;
    for value in ["unknown", "203.0.113.10:port", "[2001:db8::1"] {
        let client = running.anonymous().header("X-Forwarded-For", value);
        client.get("/api/me").await.expect(401);
    }
    let log = running.stop().await;
    let line = "x-forwarded-for or forwarded of a trusted proxy cannot be read";
    assert_eq!(log.matches(line).count(), 1, "{log}");
}
