//! Tests with several daemons on the same stores.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use latchkey::secret::random_bytes;

use crate::app::{Backend, Builder, TestApp};
use crate::client::{claims, jose_header};
use crate::servers::{TestDatabase, redis_space};
use crate::smtp::SmtpSink;

/// The stores and the master key that all replicas share.
struct Shared {
    redis: String,
    key: String,
    sink: SmtpSink,
    database: TestDatabase,
}

impl Shared {
    async fn new() -> Self {
        Self {
            redis: redis_space().await,
            key: STANDARD.encode(random_bytes::<32>()),
            sink: SmtpSink::start().await,
            database: TestDatabase::create().await,
        }
    }

    fn replica(&self) -> Builder {
        TestApp::builder(Backend::Servers)
            .set("database.url", &self.database.url())
            .set("redis.url", &self.redis)
            .set("secrets.master_key", &self.key)
            .set("mail.smtp_url", &self.sink.url())
    }

    /// Starts all replicas at the same time.
    async fn start(&self, count: usize) -> Vec<TestApp> {
        futures_util::future::join_all((0..count).map(|_| self.replica().start())).await
    }
}

async fn finish(replicas: Vec<TestApp>) {
    for replica in replicas {
        replica.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_at_once_on_nothing_agree_on_servers() {
    let shared = Shared::new().await;
    let replicas = shared.start(4).await;
    let mut keys = HashSet::new();
    let mut kids = HashSet::new();
    for (n, replica) in replicas.iter().enumerate() {
        keys.insert(replica.anonymous().get("/.well-known/jwks.json").await.expect(200).text());
        let person = replica.register(&format!("p{n}@agree.example")).await;
        kids.insert(jose_header(&person.user_token)["kid"].to_string());
        kids.insert(jose_header(&person.vault_token)["kid"].to_string());
    }
    assert_eq!((keys.len(), kids.len()), (1, 2), "{kids:?}");
    finish(replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_issues_or_ends_is_so_on_the_other_on_servers() {
    let shared = Shared::new().await;
    let replicas = shared.start(2).await;
    let (one, two) = (&replicas[0], &replicas[1]);
    let person = one.register("ada@both.example").await;
    let elsewhere = two.anonymous().bearer(&person.user_token);
    assert_eq!(elsewhere.get("/api/me").await.expect(200).json()["email"], "ada@both.example");

    let user = person.as_user();
    let (here, there) = tokio::join!(user.get("/api/refresh"), elsewhere.get("/api/refresh"));
    let (here, there) = (here.tokens(), there.tokens());
    assert_eq!(claims(&here.user)["jti"], claims(&there.user)["jti"], "one rotation");

    let logged_in = two.anonymous().login(&person.email, &person.password).await.tokens();
    one.anonymous().bearer(&logged_in.user).get("/api/me").await.expect(200);
    person.logout().await.expect(204);
    elsewhere.get("/api/me").await.expect_problem(401, "invalid-token");
    let refresh = two.anonymous().bearer(&there.user).get("/api/refresh").await;
    refresh.expect_problem(401, "invalid-token");
    one.anonymous().bearer(&logged_in.user).get("/api/me").await.expect(200);
    finish(replicas).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_is_registered_once_and_mailed_once_on_servers() {
    let shared = Shared::new().await;
    let replicas = shared.start(3).await;
    let asked = futures_util::future::join_all((0..12).map(|n| {
        let nobody = replicas[n % 3].anonymous();
        let email = if n % 2 == 0 { "Ada@Once.example" } else { "ada@once.EXAMPLE" };
        async move { nobody.register(email, "nine lives of a cat", "Ada").await.status }
    }));
    let mut statuses = asked.await;
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200], vec![409; 11]].concat());
    for n in 0..12 {
        replicas[n % 3].register(&format!("p{n}@once.example")).await;
    }
    // Each replica decides by its own clock which mails are due.
    for replica in &replicas {
        replica.outbox_is_empty().await;
    }
    let mails = shared.sink.mails();
    let recipients: HashSet<_> = mails.iter().map(|mail| mail.to.to_lowercase()).collect();
    assert_eq!((mails.len(), recipients.len()), (13, 13), "each mail leaves by one mailer");
    finish(replicas).await;
}
