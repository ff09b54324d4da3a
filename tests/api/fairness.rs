//! Tests of fairness. A client key that sends ten times its share waits in its own queue and does
//! not delay other client keys. In the password pool, the client key is the client's IP address. In
//! the stores, it is the account, the project key or the team.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use latchkey::actor::Permit;
use latchkey::http::limit::Holder;
use latchkey::secret::{Secret, sha256};
use tokio::time::Instant;
use uuid::Uuid;

use crate::app::{TestApp, both};
use crate::ask::{at_once, count};
use crate::client::{Client, Person};
use crate::people::{claim, id_of, join, people};
use crate::poll::eventually;

const PATIENCE: Duration = Duration::from_secs(20);
/// The number of requests that the fair queue runs at the same time. It is three quarters of the
/// daemon's four database connections.
const WIDTH: usize = 3;

both!(
    one_source_at_many_times_its_share_does_not_delay_another_beyond_its_turn,
    ["password.memory_kib" = "4096", "password.iterations" = "2", "password.workers" = "1"],
    async |app| {
        let passwords = &app.inside().passwords;
        // The test sends no HTTP requests. It calls the password pool itself and passes a client
        // address, as a request handler does. All addresses of one /48 network are one client key.
        // Without HTTP, all calls are in the queue before the pool has computed more than two
        // hashes, even on a slow machine.
        let knock = async |source: &str| {
            let source: IpAddr = source.parse().expect("an address");
            let password = Secret::new("not this one".to_owned());
            passwords.verify(source, Instant::now() + PATIENCE, password, None).await
        };
        let hashed = AtomicUsize::new(0);
        let crowd = at_once(200, async |_| {
            let answer = knock("2001:db8:1::").await;
            hashed.fetch_add(usize::from(answer.is_ok()), Ordering::SeqCst);
            answer.is_ok()
        });
        let other = async {
            let (waiting, before) = (passwords.pool().waiting(), hashed.load(Ordering::SeqCst));
            assert!(passwords.pool().shed() > 0, "the crowd has its part of the queue");
            let answer = knock("198.51.100.7").await;
            (answer, waiting, hashed.load(Ordering::SeqCst) - before)
        };
        let (crowd, (answer, waiting, meanwhile)) = tokio::join!(crowd, other);
        assert!(answer.is_ok(), "it finds a place and its turn");
        // A few hashes of the crowd come before the hash of the other client: the hash in progress,
        // the hash that has the next turn, and some hashes while the response is on its way. With
        // only one queue for all clients, all waiting calls of the crowd would come first.
        println!("{meanwhile} of {waiting} that waited came before");
        assert!(meanwhile < waiting, "{meanwhile} of {waiting} that waited came before");
        assert!(crowd.contains(&true) && crowd.contains(&false), "some were served, some refused");
    }
);

both!(a_team_at_the_stores_waits_behind_itself, ["database.max_connections" = "4"], async |app| {
    let [ada, eve] = people(app, ["ada", "eve"]).await;
    let gate = &app.inside().gate.turns;
    let mut held = Vec::new();
    for _ in 0..WIDTH {
        let team: Uuid = claim(&ada, "tid").parse().expect("an id");
        let entered = gate.enter(Holder::Team(team), Instant::now() + PATIENCE).await;
        held.push(entered.expect("there is room"));
    }
    let served = AtomicUsize::new(0);
    let members = async |person: &Person| {
        let path = format!("/api/teams/{}/members", claim(person, "tid"));
        person.as_user().get(&path).await.expect(200);
        served.fetch_add(1, Ordering::SeqCst)
    };
    let waiting = async |count| {
        let as_many = async || (gate.busy().1 >= count).then_some(());
        eventually("as many that wait", PATIENCE, as_many).await;
    };
    let crowd = at_once(16, async |_| members(&ada).await);
    let other = async {
        waiting(16).await;
        // When all requests are waiting, the test frees one permit. Then the requests are served
        // one by one.
        let open = async {
            waiting(17).await;
            drop(held.pop());
        };
        tokio::join!(members(&eve), open).0
    };
    let place = tokio::join!(crowd, other).1;
    // One request of the crowd comes before the other client's request. A few more can get their
    // responses before the test reads the other client's response.
    assert!(place <= 8, "{place} of the crowd's 16 came before");
    assert_eq!(gate.busy(), (WIDTH - 1, 0));
});

/// Takes permits for this holder until the gate refuses one, and returns the permits.
async fn filled(app: &TestApp, whom: Holder<'_>) -> Vec<Permit> {
    let mut taken = Vec::new();
    let far = Instant::now() + PATIENCE;
    while let Some(entered) = app.inside().gate.turns.enter(whom, far).now_or_never() {
        let Ok(pass) = entered else { return taken };
        taken.push(pass);
    }
    panic!("there are more places than this test has connections");
}

both!(
    who_has_their_part_is_shed_and_another_is_not,
    ["http.max_in_flight" = "16", "database.max_connections" = "16"],
    async |app| {
        let [ada, eve] = people(app, ["ada", "eve"]).await;
        let team: Uuid = claim(&ada, "tid").parse().expect("an id");
        let id: Uuid = id_of(&ada).parse().expect("an id");
        let path = format!("/api/teams/{team}");
        let key = ada.make_key(&["vault:read"]).await;

        // One team gets at most half of the sixteen permits.
        let held = filled(app, Holder::Team(team)).await;
        assert_eq!(held.len(), 8);
        let refused = ada.as_vault().get("/api/forward-auth").await;
        assert!(refused.header("retry-after").is_some());
        refused.expect_problem(503, "overloaded");
        ada.as_user().get(&path).await.expect_problem(503, "overloaded");
        let token = key.token(app).await;
        let asked = key.client(app).post_form("/api/introspect", &[("token", &token)]).await;
        asked.expect_problem(503, "overloaded");
        // A request to a route about the user's own account does not count for the team.
        ada.me().await.expect(200);
        eve.as_vault().get("/api/forward-auth").await.expect(200);
        drop(held);

        let held = filled(app, Holder::Account(id)).await;
        for path in ["/api/me", "/api/me/events", "/api/teams", &path] {
            ada.as_user().get(path).await.expect_problem(503, "overloaded");
        }
        ada.as_vault().get("/api/forward-auth").await.expect(200);
        eve.me().await.expect(200);
        drop(held);

        // The client key is the digest of the secret that the client sends. So a client with a
        // wrong secret uses none of the permits of a client with the real secret.
        let forged = latchkey::team::key_text::make(key.id.parse().expect("an id"));
        let held = filled(app, Holder::Key(&sha256(forged.expose().as_bytes()))).await;
        key.token(app).await;
        drop(held);
        let held = filled(app, Holder::Key(&sha256(key.secret.as_bytes()))).await;
        key.ask(app, &[]).await.expect_problem(503, "overloaded");
        drop(held);

        ada.as_user().get(&path).await.expect(200);
        let said = app.admin().get("/metrics").await.expect(200).text();
        for reason in ["account", "key", "team"] {
            assert!(said.contains(&format!("reason=\"{reason}\"")), "{said}");
        }
        assert_eq!(app.inside().gate.turns.busy(), (0, 0));
    }
);

/// The number of clients in the crowd. It is much larger than the number of requests that the
/// daemon processes for one client key at the same time.
const CROWD: usize = 80;
/// The number of requests that the other client sends, one after another, while the crowd sends its
/// requests.
const OTHERS: usize = 20;

/// Sends requests of a crowd without a pause, spread over the clients in `crowd`. At the same time
/// it sends requests of another client. The daemon must shed requests of the crowd, and must never
/// shed a request of the other client.
async fn beside_a_crowd(crowd: &[Client], path: &str, other: &Client, others: &str) {
    let (done, shed, served) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let crowd = at_once(CROWD, async |turn| {
        while !done.load(Ordering::SeqCst) {
            // Each request comes from its own IP address. The limit depends on the account or the
            // team, and not on the IP address.
            let from = format!("198.51.100.{turn}");
            let caller = crowd[turn % crowd.len()].header("x-forwarded-for", &from);
            let answer = caller.get(path).await;
            if answer.status == 200 {
                served.fetch_add(1, Ordering::SeqCst);
                continue;
            }
            // On a loaded machine some requests of the crowd wait in their own queue until their
            // deadline.
            let code = answer.expect(503).problem_code();
            shed.fetch_add(usize::from(code == "overloaded"), Ordering::SeqCst);
        }
    });
    let other = async {
        let full = async || (shed.load(Ordering::SeqCst) > 0).then_some(());
        eventually("a crowd that has its part", PATIENCE, full).await;
        let mut answers = Vec::new();
        for _ in 0..OTHERS {
            answers.push(other.header("x-forwarded-for", "203.0.113.7").get(others).await);
        }
        done.store(true, Ordering::SeqCst);
        answers
    };
    let answers = tokio::join!(crowd, other).1;
    println!(
        "beside {OTHERS}: {} of the crowd served, {} shed",
        served.into_inner(),
        shed.into_inner()
    );
    assert_eq!(count(&answers, 200), OTHERS, "{answers:#?}");
}

both!(
    an_account_at_many_times_its_share_takes_nothing_of_anothers,
    [
        "http.max_in_flight" = "64",
        "database.max_connections" = "4",
        "http.trusted_proxies" = "127.0.0.1/32"
    ],
    async |app| {
        let [ada, eve] = people(app, ["ada", "eve"]).await;
        for path in ["/api/me", "/api/teams"] {
            beside_a_crowd(&[ada.as_user()], path, &eve.as_user(), path).await;
        }
    }
);

both!(
    a_team_at_many_times_its_share_takes_nothing_of_anothers,
    [
        "http.max_in_flight" = "64",
        "database.max_connections" = "4",
        "http.trusted_proxies" = "127.0.0.1/32"
    ],
    async |app| {
        let [ada, bob, eve] = people(app, ["ada", "bob", "eve"]).await;
        join(app, &claim(&ada, "tid"), &bob, "member").await;
        let path = |person: &Person| format!("/api/teams/{}/members", claim(person, "tid"));
        let crowd = [ada.as_user(), bob.as_user()];
        beside_a_crowd(&crowd, &path(&ada), &eve.as_user(), &path(&eve)).await;
    }
);
