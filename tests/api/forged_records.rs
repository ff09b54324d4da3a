//! Tests of an attacker who reads and writes the token store, but does not have the key of its
//! records. The attacker cannot forge, alter, extend, revive or move a session or a mailed token.

use std::collections::BTreeMap;

use latchkey::clock::UnixMillis;
use latchkey::config;
use latchkey::database::Db;
use latchkey::secret::{Secret, random_id, uuid_v7};
use latchkey::store::{
    OneTimeToken, PutToken, RecordMac, Refresh, Refreshed, Session, Store, TokenKind,
};
use redis::aio::MultiplexedConnection;
use sea_orm::{ConnectionTrait as _, DatabaseBackend, Statement};
use serde_json::Value;
use uuid::Uuid;

use crate::app::TestApp;
use crate::servers::redis_connection;
use crate::store_suite::suite::{HOUR_MS, NOW, ask, new_session};
use crate::store_suite::{address, mac, redis_at};

/// The number of characters of the MAC at the start of a record.
pub const MAC_CHARS: usize = 43;

/// The entries of a token store, as the attacker reads and writes them.
pub enum Raw {
    Redis(MultiplexedConnection),
    Table(Db),
}

impl Raw {
    pub async fn of(app: &TestApp) -> Self {
        match &app.inside().config.redis.url {
            Some(url) => Self::Redis(redis_connection(url.expose()).await.expect("it answers")),
            None => Self::Table(app.inside().db.clone()),
        }
    }

    pub async fn get(&self, key: &str) -> Vec<u8> {
        match self {
            Self::Redis(it) => {
                redis::cmd("GET").arg(key).query_async(&mut it.clone()).await.expect("read")
            }
            Self::Table(db) => {
                let sql = "SELECT value FROM token_store WHERE key = $1";
                let read = Statement::from_sql_and_values(db.backend(), sql, [key.into()]);
                let row = db.reader().query_one_raw(read).await.expect("read").expect("a row");
                row.try_get::<String>("", "value").expect("a text").into_bytes()
            }
        }
    }

    pub async fn set(&self, key: &str, value: &[u8]) {
        match self {
            Self::Redis(it) => redis::cmd("SET")
                .arg(key)
                .arg(value)
                .exec_async(&mut it.clone())
                .await
                .expect("written"),
            Self::Table(db) => {
                let owner = key.split(['{', '}']).nth(1).unwrap_or_default();
                let value = String::from_utf8(value.to_vec()).expect("a text");
                let sql = "INSERT INTO token_store (key, owner, value, expires_at) \
                           VALUES ($1, $2, $3, 9999999999999) \
                           ON CONFLICT (key) DO UPDATE SET value = excluded.value";
                let values = [key.into(), owner.into(), value.into()];
                let write = Statement::from_sql_and_values(db.backend(), sql, values);
                db.writer().execute_raw(write).await.expect("written");
            }
        }
    }

    /// Writes a value of a type that latchkey does not read at this key: a list, or bytes.
    pub async fn spoil(&self, key: &str) {
        self.set(key, b"x").await;
        match self {
            Self::Redis(it) => {
                let mut both = redis::pipe();
                both.cmd("DEL").arg(key).cmd("LPUSH").arg(key).arg("x");
                both.exec_async(&mut it.clone()).await.expect("written");
            }
            Self::Table(db) => {
                let is_sqlite = db.backend() == DatabaseBackend::Sqlite;
                let bytes = if is_sqlite { "CAST(x'fffe' AS blob)" } else { "''" };
                let sql = format!("UPDATE token_store SET value = {bytes} WHERE key = $1");
                let write = Statement::from_sql_and_values(db.backend(), sql, [key.into()]);
                db.writer().execute_raw(write).await.expect("written");
            }
        }
    }

    /// Writes the index entry that leads from a digest to a user's token.
    pub async fn set_index(&self, digest: &str, user: Uuid, kind: TokenKind) {
        let address = format!("{user}:{}", kind.name());
        let text = match self {
            Self::Redis(_) => address,
            Self::Table(_) => format!("\"{address}\""),
        };
        self.set(&format!("lk:t:{digest}"), text.as_bytes()).await;
    }
}

pub fn session_key(user: Uuid, sid: &str) -> String {
    format!("lk:{{{user}}}:session:{sid}")
}

pub fn token_key(user: Uuid, kind: TokenKind) -> String {
    format!("lk:{{{user}}}:token:{}", kind.name())
}

/// Returns a record once for each field of its JSON, with another value in this field. Everything
/// else, also the MAC, stays the same. The keys of the map are the names of the fields.
pub fn altered(record: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let text = String::from_utf8(record.to_vec()).expect("a text");
    let whole: Value = serde_json::from_str(&text[MAC_CHARS..]).expect("JSON");
    let mut fields = whole.as_object().expect("an object").clone();
    if let Some(Value::Object(session)) = fields.remove("session") {
        fields.extend(session);
    }
    let mut all = BTreeMap::new();
    for (name, value) in fields {
        let other = match &value {
            Value::Null => format!("\"{}\"", uuid_v7(NOW)),
            Value::Bool(is_set) => (!is_set).to_string(),
            Value::Number(number) => (number.as_i64().expect("an integer") + 1).to_string(),
            Value::String(text) => match Uuid::try_parse(text) {
                Ok(_) => format!("\"{}\"", uuid_v7(NOW)),
                Err(_) => format!("{}x\"", value.to_string().trim_end_matches('"')),
            },
            Value::Array(_) => "[\"pwd\",\"otp\",\"mfa\"]".to_owned(),
            Value::Object(_) => panic!("{name} is an object: say how it is altered"),
        };
        let (before, after) = (format!("\"{name}\":{value}"), format!("\"{name}\":{other}"));
        assert_eq!(text.matches(&before).count(), 1, "{before} in {text}");
        all.insert(name, text.replace(&before, &after).into_bytes());
    }
    all
}

/// The record with one byte changed, for each byte. A changed letter stays a letter of UTF-8.
fn with_each_byte_changed(record: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..record.len()).map(|at| {
        let mut changed = record.to_vec();
        changed[at] ^= 1;
        changed
    })
}

/// Checks that no operation uses or changes this record of a session.
async fn session_is_refused(
    (store, raw): (&Store, &Raw),
    session: &Session,
    forged: &[u8],
    what: &str,
) {
    let (user, sid) = (session.user_id, session.sid.as_str());
    let key = session_key(user, sid);
    raw.set(&key, forged).await;
    assert_eq!(store.session(user, sid, NOW).await.expect("up"), None, "{what}");
    assert_eq!(store.sessions(user, NOW).await.expect("up"), [], "{what}");
    let asked = ask(session, &session.jti, session.generation, "next");
    for seen in [None, Some(session)] {
        let refreshed = store.refresh(&Refresh { seen, ..asked }, NOW).await.expect("up");
        assert_eq!(refreshed, Refreshed::Gone, "{what}");
    }
    let old = ask(session, "jti-before", session.generation - 1, "next");
    assert_eq!(store.refresh(&old, NOW).await.expect("up"), Refreshed::Gone, "{what}");
    store.mark_used(session, NOW).await.expect("up");
    assert_eq!(store.restamp_session(user, sid, 9, NOW).await.expect("up"), None, "{what}");
    let moved = store.set_session_team(session, Some(user), None, NOW).await.expect("up");
    assert_eq!(moved, None, "{what}");
    assert_eq!(raw.get(&key).await, forged, "{what}: the record was changed");
}

async fn no_forged_session_is_used(store: &Store, attacker: &Store, raw: &Raw) {
    let session = Session {
        previous_jti: Some("jti-before".to_owned()),
        used: false,
        project_id: Some(uuid_v7(NOW)),
        ..new_session()
    };
    let (user, sid) = (session.user_id, session.sid.as_str());
    store.open_session(&session, NOW).await.expect("up");
    let key = session_key(user, sid);
    let genuine = raw.get(&key).await;

    let fields = altered(&genuine);
    let of_session = serde_json::to_value(&session).expect("JSON");
    let of_session = of_session.as_object().expect("an object");
    assert_eq!(fields.len(), of_session.len() + 1, "the fields of a session, and `reused`");
    for (field, forged) in &fields {
        session_is_refused((store, raw), &session, forged, field).await;
    }
    for forged in with_each_byte_changed(&genuine) {
        raw.set(&key, &forged).await;
        assert_eq!(store.session(user, sid, NOW).await.expect("up"), None);
    }
    for forged in [&genuine[..MAC_CHARS], &genuine[MAC_CHARS..], &genuine[1..], b"{}", b"x"] {
        session_is_refused((store, raw), &session, forged, "a part of the record").await;
    }
    // A record that another installation of latchkey writes has another key.
    attacker.open_session(&session, NOW).await.expect("up");
    let foreign = raw.get(&key).await;
    session_is_refused((store, raw), &session, &foreign, "another key").await;
    raw.set(&key, &genuine).await;
    assert_eq!(store.session(user, sid, NOW).await.expect("up").as_ref(), Some(&session));

    // A genuine record under another key is refused too.
    let of_another_user = uuid_v7(NOW);
    for (to_user, to_sid) in [(of_another_user, sid), (user, "another")] {
        raw.set(&session_key(to_user, to_sid), &genuine).await;
        assert_eq!(store.session(to_user, to_sid, NOW).await.expect("up"), None);
    }
    // A session that has expired is not revived.
    let end = session.expires_at;
    let text = String::from_utf8(genuine.clone()).expect("a text");
    let longer = text.replace(&end.to_string(), &(end + HOUR_MS).to_string());
    raw.set(&key, longer.as_bytes()).await;
    let asked = ask(&session, &session.jti, session.generation, "next");
    assert_eq!(store.session(user, sid, end).await.expect("up"), None);
    assert_eq!(store.refresh(&asked, end).await.expect("up"), Refreshed::Gone);

    // The genuine record is still good, and a record that is refused does not stop a new login.
    raw.set(&key, &genuine).await;
    let rotated = store.refresh(&asked, NOW).await.expect("up");
    assert!(matches!(rotated, Refreshed::Rotated(_)), "{rotated:?}");
    raw.set(&key, b"x").await;
    store.open_session(&session, NOW).await.expect("up");
    assert_eq!(store.session(user, sid, NOW).await.expect("up").as_ref(), Some(&session));
    raw.set(&key, b"x").await;
    assert_eq!(store.end_sessions(user, None).await.expect("up"), 1 + u64::from(is_table(raw)));
}

/// In the table, a copied record of the same user belongs to the user's sessions. In Redis it does
/// not, because it is not in the list of the user's sessions.
fn is_table(raw: &Raw) -> bool {
    matches!(raw, Raw::Table(_))
}

fn new_token(user_id: Uuid, row_at: UnixMillis) -> OneTimeToken {
    OneTimeToken {
        kind: TokenKind::Recover,
        user_id,
        row_id: uuid_v7(row_at),
        digest: random_id(),
        stamp: 0,
        subject: Some(uuid_v7(NOW)),
        expires_at: NOW + HOUR_MS,
    }
}

async fn no_forged_token_is_used(store: &Store, attacker: &Store, raw: &Raw) {
    let token = new_token(uuid_v7(NOW), NOW);
    let (user, kind) = (token.user_id, token.kind);
    let put = async |token: &OneTimeToken| store.put_token(token, NOW).await.expect("up");
    let find = async |digest: &str| store.find_token(digest, NOW).await.expect("up");
    assert_eq!(put(&token).await, PutToken::Stored);
    let key = token_key(user, kind);
    let genuine = raw.get(&key).await;

    let fields = altered(&genuine);
    let of_token = serde_json::to_value(&token).expect("JSON");
    assert_eq!(fields.len(), of_token.as_object().expect("an object").len());
    for (field, forged) in &fields {
        raw.set(&key, forged).await;
        assert_eq!(find(&token.digest).await, None, "{field}");
        let digest = format!("{}x", token.digest);
        raw.set_index(&digest, user, kind).await;
        assert_eq!(find(&digest).await, None, "{field}");
        assert_eq!(raw.get(&key).await, *forged, "{field}: the record was changed");
    }
    for forged in with_each_byte_changed(&genuine) {
        raw.set(&key, &forged).await;
        assert_eq!(find(&token.digest).await, None);
    }
    attacker.put_token(&token, NOW).await.expect("up");
    assert_eq!(find(&token.digest).await, None, "another key");

    // A genuine record under another user or another kind is refused.
    let other = uuid_v7(NOW);
    for (to_user, to_kind) in [(other, kind), (user, TokenKind::Verify)] {
        raw.set(&token_key(to_user, to_kind), &genuine).await;
        raw.set_index(&token.digest, to_user, to_kind).await;
        assert_eq!(find(&token.digest).await, None);
    }
    // A forged record of a newer mail does not prevent the next mail.
    attacker.put_token(&new_token(user, NOW + HOUR_MS), NOW).await.expect("up");
    assert_eq!(put(&token).await, PutToken::Stored);
    assert_eq!(find(&token.digest).await.as_ref(), Some(&token));
    raw.set(&key, b"x").await;
    store.drop_token(user, kind, Some(token.row_id)).await.expect("up");
    assert_eq!(put(&token).await, PutToken::Stored);
}

async fn nothing_forged_is_used(store: &Store, attacker: &Store, raw: &Raw) {
    no_forged_session_is_used(store, attacker, raw).await;
    no_forged_token_is_used(store, attacker, raw).await;
}

fn another_mac() -> RecordMac {
    RecordMac::new(Secret::new([8; 32]))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_forged_in_redis_is_used() {
    let url = address("LATCHKEY_TEST_REDIS_URL");
    let attacker =
        Store::connect_redis(&Secret::new(url.clone()), None, another_mac()).expect("a URL");
    let raw = Raw::Redis(redis_connection(&url).await.expect("it answers"));
    nothing_forged_is_used(&redis_at(&url), &attacker, &raw).await;
}

async fn nothing_forged_is_used_in_the_table(url: String) {
    let config = config::Database::at(&url);
    let db = Db::connect(&config).await.expect("a database");
    db.migrate().await.expect("migrated");
    let attacker = Store::embedded(db.clone(), another_mac());
    let store = Store::embedded(db.clone(), mac());
    nothing_forged_is_used(&store, &attacker, &Raw::Table(db)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_forged_in_sqlite_is_used() {
    let dir = tempfile::tempdir().expect("a directory");
    nothing_forged_is_used_in_the_table(format!("sqlite://{}/t.db", dir.path().display())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_forged_in_postgresql_is_used() {
    nothing_forged_is_used_in_the_table(address("LATCHKEY_TEST_POSTGRES_URL")).await;
}
