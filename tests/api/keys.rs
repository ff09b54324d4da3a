//! Tests of the rotation of signing keys under load, of a compromised key, and of a new master key.
//! None of these events ends a valid session.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use latchkey::clock::{UnixMillis, millis};
use latchkey::secret::random_bytes;
use latchkey::token::Kind;
use latchkey::token::rotation::Sealed;
use serde_json::Value;

use crate::app::{Backend, Builder, PUBLIC_URL, TestApp, both};
use crate::client::{Person, jose_header};
use crate::introspection::{CLIENT, is_active, is_inactive};
use crate::servers::{TestDatabase, redis_space};
use crate::telemetry::registry::sum;

/// A resource server that caches the JWKS for 5 minutes. It never fetches the JWKS earlier, not
/// even for an unknown `kid`.
struct Verifier {
    keys: JwkSet,
    fetched_at: UnixMillis,
}

impl Verifier {
    async fn fetch(app: &TestApp) -> Self {
        let answer = app.anonymous().get("/.well-known/jwks.json").await.expect(200);
        let keys = serde_json::from_slice(&answer.body).expect("a JWK set");
        Self { keys, fetched_at: app.clock.now() }
    }

    async fn verify(&mut self, app: &TestApp, token: &str) {
        if app.clock.now() - self.fetched_at >= millis(Duration::from_mins(5)) {
            *self = Self::fetch(app).await;
        }
        let kid = jose_header(token)["kid"].as_str().expect("a kid").to_owned();
        let key =
            self.keys.find(&kid).unwrap_or_else(|| panic!("{kid} is refused: {:?}", self.keys));
        let mut validation = Validation::new(Algorithm::ES256);
        validation.validate_exp = false;
        validation.set_audience(&["vault"]);
        validation.set_issuer(&[PUBLIC_URL]);
        let key = DecodingKey::from_jwk(key).expect("a key");
        jsonwebtoken::decode::<Value>(token, &key, &validation).expect("a good signature");
    }
}

/// Simulates one minute of a user. The user refreshes or logs in at `here`, and then sends requests
/// with both tokens to `there`.
async fn minute(person: &mut Person, here: &TestApp, there: &TestApp, turn: usize) {
    if turn.is_multiple_of(15) {
        let (email, password) = (person.email.clone(), person.password.clone());
        person.keep(here.anonymous().login(&email, &password).await.tokens());
    } else {
        let refreshed = here.anonymous().bearer(&person.user_token).get("/api/refresh").await;
        person.keep(refreshed.tokens());
    }
    there.anonymous().bearer(&person.user_token).get("/api/me").await.expect(200);
    there.anonymous().bearer(&person.vault_token).get("/api/forward-auth").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_no_token_is_refused_through_three_rotations_on_servers() {
    let app = TestApp::builder(Backend::Servers).set("tokens.rotate_every", "1h").start().await;
    let replica = app.replica().await;
    let mut people = Vec::new();
    for name in ["ada", "bob", "eve"] {
        people.push(app.verified(&format!("{name}@example.org")).await);
    }
    // This user sends nothing during the whole test. At the end the userToken has expired, but the
    // session has not.
    let mut sleeper = app.verified("sleeper@example.org").await;
    let mut verifiers = [Verifier::fetch(&app).await, Verifier::fetch(&replica).await];
    let (mut user_kids, mut vault_kids) = (Vec::new(), Vec::new());
    for turn in 0..200_usize {
        app.clock.advance(Duration::from_mins(1));
        // The two daemons read the keys at different times, while users send requests.
        let [one, two] = if turn % 2 == 0 { [&app, &replica] } else { [&replica, &app] };
        let looks = one.inside().keys.turn();
        let [ada, bob, eve] = people.as_mut_slice() else { unreachable!() };
        let (looked, ..) = tokio::join!(
            looks,
            minute(ada, &app, &replica, turn),
            minute(bob, &replica, &app, turn + 5),
            minute(eve, two, one, turn + 10),
        );
        looked.expect("the database is up");
        for person in &people {
            verifiers[0].verify(&app, &person.vault_token).await;
            verifiers[1].verify(&replica, &person.vault_token).await;
            for (kids, token) in
                [(&mut user_kids, &person.user_token), (&mut vault_kids, &person.vault_token)]
            {
                let kid = jose_header(token)["kid"].to_string();
                if !kids.contains(&kid) {
                    kids.push(kid);
                }
            }
        }
    }
    assert!((3..=5).contains(&vault_kids.len()), "{vault_kids:?}");
    assert_eq!(user_kids.len(), vault_kids.len(), "{user_kids:?}");
    sleeper.refresh().await.expect(200);
    replica.anonymous().bearer(&sleeper.user_token).get("/api/me").await.expect(200);
    replica.finish().await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_another_replica_began_to_sign_with_at_once_is_accepted_on_servers() {
    let app = TestApp::builder(Backend::Servers).set("introspection.clients", CLIENT).start().await;
    let replica = app.replica().await;
    let mut person = app.verified("ada@example.org").await;
    let old = person.clone();
    for kind in [Kind::User, Kind::Vault] {
        crate::keys::needs(&app).rotate_now(kind).await.expect("rotated");
    }
    app.inside().keys.turn().await.expect("read");
    person.refresh().await.expect(200);
    for (kind, token, before) in [
        ("user", &person.user_token, &old.user_token),
        ("vault", &person.vault_token, &old.vault_token),
    ] {
        assert_ne!(jose_header(token)["kid"], jose_header(before)["kid"], "{kind}");
        // The replica has not read the keys since the rotation, and must still accept the token.
        is_active(&replica, token).await;
    }
    // The tokens that the retired keys signed are still valid on both daemons.
    is_active(&replica, &old.vault_token).await;
    app.anonymous().bearer(&old.user_token).get("/api/me").await.expect(200);
    replica.finish().await;
    app.finish().await;
}

/// The dependencies of a `keys` command: the database and the master key. The command needs no
/// daemon.
pub fn needs(app: &TestApp) -> latchkey::token::KeyDependencies {
    let inside = app.inside();
    latchkey::token::KeyDependencies {
        db: inside.db.clone(),
        master: latchkey::daemon::read_master_key(&inside.config).expect("a master key"),
        previous: inside.config.secrets.master_key_previous.clone(),
        tokens: inside.config.tokens.clone(),
        absolute_ttl: inside.config.sessions.absolute_ttl,
        clock: app.clock.clone(),
        metrics: None,
    }
}

both!(
    the_tokens_of_a_compromised_key_are_refused,
    ["introspection.clients" = crate::introspection::CLIENT],
    async |app| {
        let person = app.verified("ada@example.org").await;
        let kid = |token: &str| jose_header(token)["kid"].as_str().expect("a kid").to_owned();
        needs(app).retire(&kid(&person.vault_token)).await.expect("retired");
        app.inside().keys.turn().await.expect("read");
        is_inactive(app, &person.vault_token).await;
        person.as_vault().get("/api/forward-auth").await.expect_problem(401, "invalid-token");
        let jwks = app.anonymous().get("/.well-known/jwks.json").await.expect(200).text();
        assert!(!jwks.contains(&kid(&person.vault_token)), "{jwks}");
        // The session stays open. A refresh returns a vaultToken that the new key has signed.
        let mut fresh = person.clone();
        fresh.refresh().await.expect(200);
        is_active(app, &fresh.vault_token).await;
        needs(app).retire(&kid(&fresh.user_token)).await.expect("retired");
        app.inside().keys.turn().await.expect("read");
        fresh.me().await.expect_problem(401, "invalid-token");
        fresh.as_user().get("/api/refresh").await.expect_problem(401, "invalid-token");
        fresh.login().await.expect(200);
        fresh.me().await.expect(200);
    }
);

both!(the_age_of_the_keys_is_measured, ["tokens.rotate_every" = "2h"], async |app| {
    app.clock.advance(Duration::from_hours(1));
    latchkey::daemon::turn_keys(app.inside().clone()).await;
    let metrics = app.admin().get("/metrics").await.expect(200).text();
    for kind in ["user", "vault"] {
        let line = metrics.lines().find(|line| {
            line.starts_with("latchkey_signing_key_age_seconds{")
                && line.contains(&format!("kind=\"{kind}\""))
        });
        let age = line.and_then(|line| line.rsplit(' ').next()).expect("an age").parse::<f64>();
        assert!(age.is_ok_and(|age| (3_600.0..3_700.0).contains(&age)), "{line:?}");
    }
    // An alert compares the age of a key with this limit, which is the value of
    // `tokens.rotate_every`.
    assert!(metrics.contains("\nlatchkey_signing_key_age_limit_seconds 7200\n"), "{metrics}");
    // The metric counts the audit events of a rotation in the same way as all other audit events.
    app.clock.advance(Duration::from_hours(2));
    latchkey::daemon::turn_keys(app.inside().clone()).await;
    let metrics = app.admin().get("/metrics").await.expect(200).text();
    let events =
        sum(&metrics, "latchkey_audit_events_total", &[("action", "signing-key.published")]);
    assert!(events >= 2.0, "{events}");
});

/// The data on which a test starts daemons, one after another.
struct Data {
    backend: Backend,
    directory: tempfile::TempDir,
    database: Option<TestDatabase>,
    redis: Option<String>,
}

impl Data {
    async fn new(backend: Backend) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (mut database, mut redis) = (None, None);
        if backend == Backend::Servers {
            database = Some(TestDatabase::create().await);
            redis = Some(redis_space().await);
        }
        Self { backend, directory, database, redis }
    }

    async fn start(&self, master: &str, previous: Option<&str>) -> TestApp {
        let dir = self.directory.path().join("data").display().to_string();
        let mut builder: Builder = TestApp::builder(self.backend)
            .set("data_dir", &dir)
            .set("introspection.clients", CLIENT)
            .set("secrets.master_key", master);
        if let (Some(database), Some(redis)) = (&self.database, &self.redis) {
            builder = builder.set("database.url", &database.url()).set("redis.url", redis);
        }
        if let Some(previous) = previous {
            builder = builder.set("secrets.master_key_previous", previous);
        }
        builder.start().await
    }
}

async fn a_new_master_key_signs_nobody_out_and_voids_no_link(backend: Backend) {
    let data = Data::new(backend).await;
    let [a, b] = [(); 2].map(|()| STANDARD.encode(random_bytes::<32>()));

    let app = data.start(&a, None).await;
    let ada = app.verified("ada@example.org").await;
    let bob = app.register("bob@example.org").await;
    let bobs_link = app.mail_to(&bob.email).await.token().to_owned();
    app.anonymous().forgot(&ada.email).await.expect(200);
    let adas_link = app.mail_to(&ada.email).await.token().to_owned();
    app.finish().await;

    let app = data.start(&b, Some(&a)).await;
    app.anonymous().bearer(&ada.user_token).get("/api/me").await.expect(200);
    is_active(&app, &ada.vault_token).await;
    let refreshed = app.anonymous().bearer(&ada.user_token).get("/api/refresh").await.tokens();
    assert_eq!(jose_header(&refreshed.user)["kid"], jose_header(&ada.user_token)["kid"]);
    app.anonymous().verify(&bobs_link).await.expect(200);
    let eve = app.register("eve@example.org").await;
    let eves_link = app.mail_to(&eve.email).await.token().to_owned();
    app.finish().await;

    let app = data.start(&b, None).await;
    app.anonymous().bearer(&refreshed.user).get("/api/me").await.expect(200);
    is_active(&app, &refreshed.vault).await;
    app.anonymous().bearer(&eve.user_token).get("/api/refresh").await.expect(200);
    app.anonymous().verify(&eves_link).await.expect(200);
    // The store identifies a link by its digest. Therefore a link that was created with the removed
    // master key is still valid.
    app.anonymous().reset(&adas_link, "a quite new password").await.expect(200);
    app.mail_to(&ada.email).await;
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_master_key_signs_nobody_out_embedded() {
    Box::pin(a_new_master_key_signs_nobody_out_and_voids_no_link(Backend::Embedded)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_master_key_signs_nobody_out_on_servers() {
    Box::pin(a_new_master_key_signs_nobody_out_and_voids_no_link(Backend::Servers)).await;
}

/// The test performs the three steps of docs/operate.md on both replicas, one replica after the
/// other. While one replica is a step ahead, the other replica publishes a key.
#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_walk_to_a_new_master_key_and_no_token_is_refused_on_servers() {
    let data = Data::new(Backend::Servers).await;
    let [a, b] = [(); 2].map(|()| STANDARD.encode(random_bytes::<32>()));
    let first = data.start(&a, None).await;
    let mut ada = first.verified("ada@example.org").await;
    let kid = jose_header(&ada.vault_token)["kid"].clone();
    let mut replicas = [first, data.start(&a, None).await];
    for (step, (master, previous)) in
        [(&a, Some(b.as_str())), (&b, Some(a.as_str())), (&b, None)].into_iter().enumerate()
    {
        for turn in 0..2 {
            let next = data.start(master, previous).await;
            std::mem::replace(&mut replicas[turn], next).finish().await;
            let [mine, other] = [&replicas[turn], &replicas[1 - turn]];
            needs(other).rotate(Kind::Vault).await.expect("published, or waiting");
            for replica in [other, mine, other] {
                replica.inside().keys.turn().await.expect("read");
            }
            minute(&mut ada, mine, other, 1).await;
            minute(&mut ada, other, mine, 1).await;
            assert_eq!(jose_header(&ada.vault_token)["kid"], kid, "step {step}");
        }
        // Before the next step, all keys must be sealed with the current master key.
        replicas[0].inside().keys.turn().await.expect("read");
        let keys = needs(&replicas[0]).list().await.expect("listed");
        assert!(keys.iter().all(|key| key.sealed == Sealed::Now), "step {step}: {keys:#?}");
    }
    // In the end the keys that were published during the steps sign tokens.
    for replica in &replicas {
        replica.clock.advance(Duration::from_mins(10));
        replica.inside().keys.turn().await.expect("read");
    }
    let [one, two] = &replicas;
    minute(&mut ada, one, two, 1).await;
    minute(&mut ada, two, one, 1).await;
    assert_ne!(jose_header(&ada.vault_token)["kid"], kid);
    for replica in replicas {
        replica.finish().await;
    }
}
