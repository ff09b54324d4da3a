//! Tests that no secret is stored in readable form. The tests send requests to all flows, and then
//! dump every table, every key of the token store and every file. The dump must not contain a
//! secret that only its owner is allowed to know.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use latchkey::database::tenant_scope::{self, TenantScope};
use redis::aio::MultiplexedConnection;
use sea_orm::{ConnectionTrait as _, DatabaseBackend, Statement};
use serde_json::json;

use crate::app::{Backend, TestApp};
use crate::ask::solved_captcha;
use crate::client::{Answer, Client, encoded};
use crate::factors::{challenge_of, enrolled};
use crate::introspection::{CLIENT, as_client};
use crate::people::claim;
use crate::servers::{redis_connection, redis_space};

const ADA: &str = "ada@secrets.example";
const BOB: &str = "bob@secrets.example";
/// Right and wrong passwords. The tests send each of them.
const PASSWORDS: [&str; 5] = [
    "planted-first-Qx 1",
    "planted-second-Qx 2",
    "planted-third-Qx 3",
    "planted-wrong-Qx 4",
    "planted-bobs-Qx 5",
];
const BEARER: &str = "planted-bearer-Qx";
const ONE_TIME: &str = "planted-one-time-Qx";
const CAPTCHA: &str = "planted-captcha-Qx";
/// Texts that the dump must contain, which proves that the dump reads the data. They are email
/// addresses, the name of a team and a user agent.
const NO_SECRETS: [&str; 4] = [ADA, BOB, "Planted Team Qx", "planted-agent-Qx"];
/// The minimum size of a dump in bytes.
const BYTES_MIN: usize = 10_000;

/// The secrets in the requests. Only the owner of a secret is allowed to know it.
#[derive(Default)]
struct Secrets(Vec<(String, String)>);

impl Secrets {
    fn keep(&mut self, name: &str, secret: &str) {
        assert!(secret.len() >= 10, "{name}: `{secret}` is too short to look for");
        self.0.push((name.to_owned(), secret.to_owned()));
    }

    /// Adds each complete token, and its signature on its own. Only latchkey can create the
    /// signature.
    fn keep_tokens(&mut self, answer: &Answer) {
        let tokens = answer.tokens();
        for (name, token) in [("userToken", &tokens.user), ("vaultToken", &tokens.vault)] {
            self.keep(name, token);
            self.keep("signature", token.rsplit('.').next().expect("a signature"));
        }
        if let Some(device) = answer.header("x-latchkey-device") {
            self.keep("known device", device);
        }
    }

    /// Returns the secrets that a dump contains in plain form, in hexadecimal (PostgreSQL prints
    /// bytes in this way) or in base64.
    fn found_in(&self, dump: &[u8]) -> Vec<String> {
        let shown = |secret: &str| {
            let mut forms = vec![secret.to_owned(), hexadecimal(secret)];
            forms.extend((0..3).map(|shift| base64_inside(secret, shift)));
            forms.iter().any(|form| contains(dump, form))
        };
        self.0
            .iter()
            .filter(|(_, secret)| shown(secret))
            .map(|(name, secret)| format!("{name}: {secret}"))
            .collect()
    }
}

fn hexadecimal(text: &str) -> String {
    let digits = text.bytes().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// Returns the part of the base64 of a text that does not depend on the text around it. The text
/// can have three positions in a base64 group, and `shift` is one of them.
fn base64_inside(text: &str, shift: usize) -> String {
    let encoded = STANDARD.encode([&vec![0; shift], text.as_bytes()].concat());
    let sure = encoded.trim_end_matches('=').get([0, 2, 3][shift]..).unwrap_or_default();
    sure[..sure.len() - 2].to_owned()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Returns a client with a userToken.
fn user(app: &TestApp, token: &str) -> Client {
    app.anonymous().header("user-agent", "planted-agent-Qx").bearer(token)
}

/// Sends the requests of one user: register, confirm, log in, refresh, recover, change, and some
/// requests that fail. Returns the last userToken and the last vaultToken.
async fn live(app: &TestApp, secrets: &mut Secrets) -> (String, String) {
    let nobody = app.anonymous();
    let [first, second, third, wrong, _] = PASSWORDS;
    let registered = nobody.register(ADA, first, "Ada").await.expect(200);
    secrets.keep_tokens(&registered);
    let token = registered.tokens().user;
    let captcha = solved_captcha(app).await;
    secrets.keep("captcha", &captcha);
    let early = app.mail_to(ADA).await;
    secrets.keep("first confirmation", early.token());
    let resend =
        |captcha: &str| format!("/api/resend-email-verification?capcha={}", encoded(captcha));
    user(app, &token).get(&resend(CAPTCHA)).await.expect(400);
    secrets.keep_tokens(&user(app, &token).get(&resend(&captcha)).await.expect(200));
    let mail = app.mail_to(ADA).await;
    secrets.keep("confirmation", mail.token());
    nobody.verify(ONE_TIME).await.expect(400);
    nobody.verify(early.token()).await.expect(400);
    let verified = nobody.verify(mail.token()).await.expect(200);
    secrets.keep_tokens(&verified);
    nobody.verify(mail.token()).await.expect(409);

    nobody.login(ADA, wrong).await.expect(401);
    nobody.login("nobody@secrets.example", wrong).await.expect(401);
    let login = json!({ "email": ADA, "password": first });
    let login = user(app, BEARER).post_json("/api/login", login).await.expect(200);
    secrets.keep_tokens(&login);
    let refreshed = user(app, &login.tokens().user).get("/api/refresh").await.expect(200);
    secrets.keep_tokens(&refreshed);
    user(app, BEARER).get("/api/refresh").await.expect(401);
    app.anonymous()
        .header("authorization", &format!("Basic {BEARER}"))
        .get("/api/me")
        .await
        .expect(401);

    nobody.forgot(ADA).await.expect(200);
    let recovery = app.mail_to(ADA).await;
    secrets.keep("recovery", recovery.token());
    nobody.reset(ONE_TIME, second).await.expect(400);
    nobody.reset(recovery.token(), "short").await.expect(422);
    nobody.reset(recovery.token(), second).await.expect(200);
    app.mail_to(ADA).await;
    let login = nobody.login(ADA, second).await.expect(200);
    secrets.keep_tokens(&login);
    let token = login.tokens().user;
    let change = json!({ "password": second, "newPassword": third });
    let changed = user(app, &token).post_json("/api/change-password", change).await.expect(200);
    secrets.keep_tokens(&changed);
    let token = changed.tokens().user;
    let change = json!({ "password": third, "email": "ada2@secrets.example" });
    user(app, &token).post_json("/api/change-email", change).await.expect(200);
    secrets.keep("change of address", app.mail_to("ada2@secrets.example").await.token());
    for mail in app.mails_to(ADA).await {
        if mail.text.contains("token=") {
            secrets.keep("a mail's", mail.token());
        }
    }
    (token, changed.tokens().vault)
}

/// Sends the requests about teams. They create a key and its token, an accepted invitation, and a
/// revocation.
async fn work(app: &TestApp, secrets: &mut Secrets, token: &str, vault: &str) {
    let mut ada = crate::client::Person::register(&app.anonymous(), "eve@secrets.example").await;
    ada.verify(app.mail_to("eve@secrets.example").await.token()).await.expect(200);
    let key = ada.make_key(&["vault:read"]).await;
    secrets.keep("key's secret", &key.secret);
    secrets.keep("key as Basic", &STANDARD.encode(format!("{}:{}", key.id, key.secret)));
    let opened = key.token(app).await;
    secrets.keep("key's vaultToken", &opened);
    let asked = key.client(app).post_form("/api/introspect", &[("token", &opened)]).await;
    asked.expect(200);
    as_client(app).post_form("/api/introspect", &[("token", token)]).await.expect(200);
    let basic = STANDARD.encode(format!("{}:{BEARER}", key.id));
    let stranger = app.anonymous().header("authorization", &format!("Basic {basic}"));
    stranger.post_form("/api/introspect", &[("token", &opened)]).await.expect(401);
    app.anonymous().bearer(vault).get("/api/forward-auth").await.expect(200);
    app.anonymous().bearer(BEARER).get("/api/forward-auth").await.expect(401);
    key.client(app).post_form("/api/revoke", &[("token", &opened)]).await.expect(200);

    let team = user(app, token).post_json("/api/teams", json!({ "name": "Planted Team Qx" })).await;
    let team = team.expect(200).json()["id"].as_str().expect("an id").to_owned();
    let bob = app.anonymous().register(BOB, PASSWORDS[4], "Bob").await.expect(200);
    secrets.keep_tokens(&bob);
    let confirmed = app.anonymous().verify(app.mail_to(BOB).await.token()).await.expect(200);
    secrets.keep_tokens(&confirmed);
    let invitation = json!({ "email": BOB, "role": "member" });
    let path = format!("/api/teams/{team}/invitations");
    user(app, token).post_json(&path, invitation).await.expect(200);
    let invited = app.mail_to(BOB).await;
    secrets.keep("invitation", invited.token());
    let bob = user(app, &confirmed.tokens().user);
    bob.post_json("/api/invitations/accept", json!({ "token": ONE_TIME })).await.expect(400);
    bob.post_json("/api/invitations/accept", json!({ "token": invited.token() })).await.expect(200);
    let switched = bob.bare(Method::POST, &format!("/api/teams/{team}/switch")).await.expect(200);
    secrets.keep_tokens(&switched);
    // This invitation is mailed, and nobody accepts it before the dump.
    let open = json!({ "email": "open@secrets.example", "role": "viewer" });
    user(app, token).post_json(&path, open).await.expect(200);
    secrets.keep("open invitation", app.mail_to("open@secrets.example").await.token());
    assert!(!claim(&ada, "tid").is_empty());
}

/// Sends the requests about second factors. Before the dump, a login waits for its code, and an app
/// for its confirmation.
async fn prove(app: &TestApp, secrets: &mut Secrets) {
    let user = enrolled(app, "fay@secrets.example").await;
    secrets.keep("TOTP secret", &user.authenticator.secret);
    for code in &user.recovery_codes {
        secrets.keep("recovery code", code);
        secrets.keep("recovery code", &code.replace('-', ""));
    }
    let challenge = app.anonymous().challenge(&user.person).await;
    secrets.keep("used challenge", &challenge);
    let code = user.authenticator.next(app);
    let body =
        json!({ "challenge": challenge, "method": "totp", "code": code, "trustDevice": true });
    let opened = app.anonymous().post_json("/api/login/factor", body).await.expect(200);
    secrets.keep_tokens(&opened);
    app.anonymous().prove_recovery(&challenge, ONE_TIME).await.expect(401);
    let begun = user.person.add_totp("New phone").await.expect(201).json();
    secrets.keep("waiting TOTP secret", begun["secret"].as_str().expect("a secret"));
    // The trust ends here, so the known device needs a code.
    user.person.as_user().delete("/api/sessions").await.expect(204);
    let known = app
        .anonymous()
        .header("x-latchkey-device", opened.header("x-latchkey-device").expect("a device"));
    secrets.keep("open challenge", &challenge_of(&known, &user.person).await);
    app.mail_to("fay@secrets.example").await;
}

async fn walk(app: &TestApp) -> Secrets {
    let mut secrets = Secrets::default();
    for password in PASSWORDS {
        secrets.keep("password", password);
    }
    for (name, planted) in [("bearer", BEARER), ("one-time", ONE_TIME), ("captcha", CAPTCHA)] {
        secrets.keep(name, planted);
    }
    secrets.keep("client's secret", CLIENT.split_once(':').expect("an id and a secret").1);
    let (token, vault) = live(app, &mut secrets).await;
    work(app, &mut secrets, &token, &vault).await;
    prove(app, &mut secrets).await;
    // This recovery is not completed before the dump.
    app.anonymous().forgot(BOB).await.expect(200);
    secrets.keep("open recovery", app.mail_to(BOB).await.token());
    app.outbox_is_empty().await;
    secrets
}

/// Reads every file below a directory except two. The master key is stored beside the data that it
/// seals, and the built-in mailbox contains mails in development only. The key of the mailbox is
/// also read, although it is not a secret of a user.
fn files(directory: &Path, dump: &mut Vec<u8>) {
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            if name != "mailbox" {
                files(&path, dump);
            }
        } else if name != "master.key" {
            dump.extend(std::fs::read(&path).expect("a file"));
        }
    }
}

/// Reads every row of every table in the form in which PostgreSQL prints it. Returns the number of
/// tables that have rows.
async fn tables(app: &TestApp, dump: &mut Vec<u8>) -> usize {
    let tx =
        tenant_scope::begin(&app.inside().db, TenantScope::Operator).await.expect("a transaction");
    let ask = |sql: String| Statement::from_string(DatabaseBackend::Postgres, sql);
    let sql = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema()";
    let names = tx.query_all_raw(ask(sql.to_owned())).await.expect("a valid query");
    let mut filled = 0;
    for name in names {
        let name: String = name.try_get_by_index(0).expect("a name");
        let rows = tx.query_all_raw(ask(format!("SELECT t::text FROM \"{name}\" AS t"))).await;
        let rows = rows.expect("a valid query");
        filled += usize::from(!rows.is_empty());
        for row in rows {
            let line: String = row.try_get_by_index(0).expect("a row's text");
            dump.extend(format!("{name} {line}\n").into_bytes());
        }
    }
    tx.rollback().await.expect("nothing was changed");
    filled
}

/// Reads every key of the token store and its value. Returns the number of keys.
async fn keys(redis: &mut MultiplexedConnection, dump: &mut Vec<u8>) -> usize {
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(redis).await.expect("listed");
    for key in &keys {
        let kind: String = redis::cmd("TYPE").arg(key).query_async(redis).await.expect("told");
        let read: &[&str] = match kind.as_str() {
            "string" => &["GET", key],
            "hash" => &["HGETALL", key],
            "list" => &["LRANGE", key, "0", "-1"],
            "set" => &["SMEMBERS", key],
            "zset" => &["ZRANGE", key, "0", "-1", "WITHSCORES"],
            other => panic!("{key} is a {other}: say how it is read"),
        };
        let mut command = redis::cmd(read[0]);
        command.arg(&read[1..]);
        let value: redis::Value = command.query_async(redis).await.expect("read");
        dump.extend(key.as_bytes());
        spell(&value, dump);
        dump.push(b'\n');
    }
    keys.len()
}

/// Writes the bytes of a value to the dump, and the bytes of the values inside it.
fn spell(value: &redis::Value, dump: &mut Vec<u8>) {
    dump.push(b' ');
    match value {
        redis::Value::BulkString(bytes) => dump.extend(bytes),
        redis::Value::SimpleString(text) => dump.extend(text.as_bytes()),
        redis::Value::Array(all) | redis::Value::Set(all) => {
            for one in all {
                spell(one, dump);
            }
        }
        redis::Value::Map(all) => {
            for (name, one) in all {
                spell(name, dump);
                spell(one, dump);
            }
        }
        other => dump.extend(format!("{other:?}").into_bytes()),
    }
}

#[track_caller]
fn holds_no_secret(secrets: &Secrets, dump: &[u8]) {
    assert!(dump.len() >= BYTES_MIN, "{} bytes", dump.len());
    for known in NO_SECRETS {
        assert!(contains(dump, known), "`{known}` is not in the dump: it reads too little");
    }
    assert!(secrets.0.len() >= 40, "{} secrets", secrets.0.len());
    let found = secrets.found_in(dump);
    assert!(found.is_empty(), "at rest in plain: {found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_at_rest_in_any_file_embedded() {
    let app = TestApp::builder(Backend::Embedded).set("introspection.clients", CLIENT);
    let app = app.start().await;
    let secrets = walk(&app).await;
    let mut dump = Vec::new();
    files(&app.inside().config.data_dir, &mut dump);
    holds_no_secret(&secrets, &dump);
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_at_rest_in_any_table_or_key_on_servers() {
    let url = redis_space().await;
    let app = TestApp::builder(Backend::Servers)
        .set("introspection.clients", CLIENT)
        .set("redis.url", &url)
        .start()
        .await;
    let secrets = walk(&app).await;
    let mut dump = Vec::new();
    assert!(tables(&app, &mut dump).await >= 12);
    let mut redis = redis_connection(&url).await.expect("connected");
    assert!(keys(&mut redis, &mut dump).await >= 5);
    holds_no_secret(&secrets, &dump);
    app.finish().await;
}

#[test]
fn a_secret_is_found_in_each_of_its_forms() {
    let mut secrets = Secrets::default();
    secrets.keep("password", PASSWORDS[0]);
    let (text, hex) = (PASSWORDS[0].to_owned(), hexadecimal(PASSWORDS[0]));
    let base64 = |prefix: &str| STANDARD.encode(format!("{prefix}{text} and more"));
    for form in [text.clone(), hex, base64(""), base64("1"), base64("12"), base64("123")] {
        assert_eq!(secrets.found_in(format!("a{form}b").as_bytes()).len(), 1, "{form}");
    }
    assert!(secrets.found_in(b"planted-first-Q").is_empty());
}
