//! Who sends ten times their share waits behind themselves: sources at the password pool, teams at the stores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::app::both;
use crate::ask::at_once;
use crate::client::{Answer, Client, Person};
use crate::people::{claim, people};
use crate::poll::eventually;

const PATIENCE: Duration = Duration::from_secs(20);
/// Three quarters of the four connections that these daemons have.
const WIDTH: usize = 3;

/// A log-in that costs a hash and comes to nothing.
async fn knock(client: &Client, turn: usize) -> Answer {
    let body = json!({ "email": format!("nobody{turn}@example.org"), "password": "not this one" });
    client.post_json("/api/login", body).await
}

both!(
    one_source_at_many_times_its_share_does_not_delay_another_beyond_its_turn,
    [
        "http.trusted_proxies" = "127.0.0.1/32",
        "password.memory_kib" = "19456",
        "password.iterations" = "2",
        "password.workers" = "1"
    ],
    async |app| {
        let from = |address: &str| app.anonymous().header("x-forwarded-for", address);
        let pool = &app.inside().pools.password;
        let hashed = AtomicUsize::new(0);
        // One /48 is one source, however many addresses of it there are.
        let crowd = at_once(200, async |turn| {
            let answer = knock(&from(&format!("2001:db8:1:{turn:x}::1")), turn).await;
            hashed.fetch_add(usize::from(answer.status == 401), Ordering::SeqCst);
            answer.status
        });
        let other = async {
            let full = async || (pool.shed() > 0).then_some(());
            eventually("a crowd that has its part of the queue", PATIENCE, full).await;
            let (waiting, before) = (pool.waiting(), hashed.load(Ordering::SeqCst));
            let answer = knock(&from("198.51.100.7"), 0).await;
            (answer, waiting, hashed.load(Ordering::SeqCst) - before)
        };
        let (crowd, (answer, waiting, meanwhile)) = tokio::join!(crowd, other);
        answer.expect_problem(401, "invalid-credentials");
        // One hash was under way and one more of the crowd's had its turn; what else was done, was done while the request
        // came. In one queue for all, everything that waited would have come before.
        println!("{meanwhile} of {waiting} that waited came before");
        assert!(meanwhile + 2 <= waiting, "{meanwhile} of {waiting} that waited came before");
        assert!(crowd.iter().all(|status| [401, 503].contains(status)), "{crowd:?}");
    }
);

both!(a_team_at_the_stores_waits_behind_itself, ["database.max_connections" = "4"], async |app| {
    let [ada, eve] = people(app, ["ada", "eve"]).await;
    let gate = &app.inside().gate.teams;
    let mut held = Vec::new();
    for _ in 0..WIDTH {
        let team: Uuid = claim(&ada, "tid").parse().expect("an id");
        held.push(gate.enter(team, Instant::now() + PATIENCE).await.expect("there is room"));
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
        // They go through one by one once all are there.
        let open = async {
            waiting(17).await;
            drop(held.pop());
        };
        tokio::join!(members(&eve), open).0
    };
    let place = tokio::join!(crowd, other).1;
    // Behind one of the crowd's; a few more may be answered before its answer is read.
    assert!(place <= 8, "{place} of the crowd's 16 came before");
    assert_eq!(gate.busy(), (WIDTH - 1, 0));
});

both!(
    a_team_that_has_its_part_is_shed_and_another_is_not,
    ["http.max_in_flight" = "16", "database.max_connections" = "4"],
    async |app| {
        let [ada, eve] = people(app, ["ada", "eve"]).await;
        let team: Uuid = claim(&ada, "tid").parse().expect("an id");
        let gate = &app.inside().gate.teams;
        let far = Instant::now() + PATIENCE;
        // Half of the sixteen places are one team's at most.
        let (mut shed, mut through, mut waiting) = (0, Vec::new(), Vec::new());
        for mut entering in (0..16).map(|_| Box::pin(gate.enter(team, far))) {
            match (&mut entering).now_or_never() {
                Some(Err(_)) => shed += 1,
                Some(Ok(pass)) => through.push(pass),
                None => waiting.push(entering),
            }
        }
        assert_eq!((through.len(), waiting.len(), shed), (WIDTH, 8 - WIDTH, 8));
        let refused = ada.as_vault().get("/api/forward-auth").await;
        assert!(refused.header("retry-after").is_some());
        refused.expect_problem(503, "overloaded");
        let path = format!("/api/teams/{team}");
        ada.as_user().get(&path).await.expect_problem(503, "overloaded");
        let said = app.admin().get("/metrics").await.expect(200).text();
        assert!(said.contains("reason=\"team\""), "{said}");
        // A person's own routes are no team's.
        ada.me().await.expect(200);
        let before = gate.busy().1;
        let open = async {
            let waits = async || (gate.busy().1 > before).then_some(());
            eventually("the other team to wait", PATIENCE, waits).await;
            through.clear();
            waiting.clear();
        };
        let vault = eve.as_vault();
        let (answer, ()) = tokio::join!(vault.get("/api/forward-auth"), open);
        answer.expect(200);
        ada.as_vault().get("/api/forward-auth").await.expect(200);
    }
);
