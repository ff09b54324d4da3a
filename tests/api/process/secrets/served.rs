//! Tests of daemons whose settings contain secrets. They check the log at every level, the
//! responses, the metrics and the readiness.

use serde_json::json;

use super::{MARKER, holds_no_marker, marked, secret_settings, with};
use crate::app::{Backend, TestApp};
use crate::poll::eventually;
use crate::process::{PATIENCE, Place, Running};
use crate::servers::{PrivateServer, free_port};
use crate::smtp::SmtpSink;

/// Returns a place in which every secret setting contains the marker, with two exceptions: the
/// database, which a daemon needs to serve, and the setting `but`.
fn served(but: &str) -> Place {
    let settings = secret_settings(MARKER, "127.0.0.1");
    let settings: Vec<_> =
        settings.into_iter().filter(|(key, _)| !["database.url", but].contains(key)).collect();
    with(Place::new(), &settings)
        .set("telemetry.logs", "true")
        .set("captcha.on", "forgot")
        .set("log.filter", "trace")
}

/// Sends requests for which the daemon needs each dependency, and returns all responses.
async fn ask(running: &Running) -> String {
    let register =
        json!({ "email": "ada@work.example", "password": "a long good password", "name": "Ada" });
    let forgot = json!({ "email": "ada@work.example", "captcha": "a-token" });
    let form = [("token", "none"), ("client_id", "gateway"), ("client_secret", "wrong")];
    let answers = [
        running.client.post_json("/api/register", register).await,
        running.client.post_json("/api/forgot-password", forgot).await,
        running.client.post_form("/api/introspect", &form).await,
        running.client.get("/.well-known/jwks.json").await,
        running.client.get("/openapi.json").await,
        running.admin().get("/readyz").await,
        running.admin().get("/livez").await,
        running.admin().get("/metrics").await,
    ];
    let texts = answers.iter().map(|answer| format!("{:?}\n{}", answer.headers, answer.text()));
    texts.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_without_its_servers_prints_no_secret_embedded() {
    let mut place = served("");
    std::fs::write(place.path("latchkey.toml"), "").expect("written");
    let running = place.start().await;
    holds_no_marker("a response", &ask(&running).await);
    running.daemon.says("telemetry cannot be exported and is dropped").await;
    for (number, text) in [
        format!("database.url = \"postgres://ada:{MARKER}@a,b/d\"\ntokens.secret = {MARKER}\n"),
        format!("tokens.issuer = \"https://ada:{MARKER}@h:99999/\"\n"),
    ]
    .into_iter()
    .enumerate()
    {
        std::fs::write(place.path("latchkey.toml"), text).expect("written");
        running.daemon.signal("-HUP");
        eventually("the refusal of the file", PATIENCE, async || {
            let refused =
                running.daemon.log().matches("the configuration was not reloaded").count();
            (refused > number).then_some(())
        })
        .await;
    }
    let log = running.stop().await;
    holds_no_marker("the log", &log);
    assert!(log.contains("\"level\":\"TRACE\""), "everything is told");
    assert!(log.contains("token store"), "the outage of Redis is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_repeats_the_login_is_not_quoted_embedded() {
    let sink = SmtpSink::start().await;
    let smtp = sink.url().replace("smtp://", &format!("smtp://ada:{MARKER}@"));
    sink.require_login("ada", "another");
    let mut place = served("redis.url").set("mail.smtp_url", &smtp);
    let running = place.start().await;
    holds_no_marker("a response", &ask(&running).await);
    running.daemon.says("the mail queue is paused").await;
    for line in [&["mail", "test", "--to", "ada@work.example"][..], &["doctor", "--json"]] {
        let ended = place.run(line);
        let text = ended.stdout() + &ended.stderr();
        assert!(text.contains("wrong name or password: AUTH PLAIN ***"), "{text}");
        holds_no_marker("the refused login", &text);
    }
    holds_no_marker("the log", &running.stop().await);
}

/// The test prints the daemon's state with `{:?}`, as a panic or a careless log message would do.
#[tokio::test(flavor = "multi_thread")]
async fn no_part_of_a_daemon_shows_a_secret_in_debug_embedded() {
    let settings = secret_settings(MARKER, "127.0.0.1").into_iter();
    let beside = |key: &str| key != "database.url" && key != "redis.url";
    let mut app = TestApp::builder(Backend::Embedded);
    for (key, value) in settings.filter(|(key, _)| beside(key)) {
        app = app.set(key, &value);
    }
    let app = app.start().await;
    let shown = format!("{:?}", app.inside());
    assert!(shown.contains("127.0.0.1") && shown.len() > 1_000, "{shown}");
    holds_no_marker("Debug", &shown);
    app.finish().await;
}

#[tokio::test]
async fn a_daemon_that_waits_for_its_database_prints_no_secret() {
    for (format, filter) in [("json", "info"), ("json", "trace"), ("pretty", "trace")] {
        let mut place = marked(MARKER, "127.0.0.1")
            .set("log.format", format)
            .set("log.filter", filter)
            .set("admin.listen", &format!("127.0.0.1:{}", free_port()));
        let mut daemon = place.spawn();
        eventually("a complaint", PATIENCE, async || {
            assert!(daemon.ended().is_none(), "{}", daemon.log());
            daemon.log().contains("waiting for the database").then_some(())
        })
        .await;
        holds_no_marker("the log", &daemon.log());
    }
}

/// If a Redis does not know a command, it repeats the arguments of the command in its error. The
/// arguments of the login include the password.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_repeats_the_login_is_not_quoted_on_servers() {
    let without_auth = ["--rename-command", "AUTH", ""].map(str::to_owned);
    for (arguments, query) in [(without_auth.to_vec(), "?protocol=resp3"), (Vec::new(), "")] {
        let server = PrivateServer::redis_with(arguments).await;
        let port = server.address().port();
        let url = format!("redis://ada:{MARKER}@127.0.0.1:{port}/0{query}");
        let mut place = served("redis.url").set("redis.url", &url);
        let running = place.start().await;
        holds_no_marker("a response", &ask(&running).await);
        let doctor = place.run(&["doctor", "--json"]);
        holds_no_marker("doctor", &(doctor.stdout() + &doctor.stderr()));
        assert!(doctor.stdout().contains("accepts no writes ("), "{}", doctor.stdout());
        let log = running.stop().await;
        holds_no_marker("the log", &log);
        assert!(log.contains("token store"), "the refusal is told");
    }
}
