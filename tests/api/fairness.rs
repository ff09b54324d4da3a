//! Who sends ten times their share waits behind themselves: sources at the password pool, teams at the stores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use latchkey::actor::Pass;
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::app::{TestApp, both};
use crate::ask::at_once;
use crate::client::{Answer, Client};
use crate::people::{claim, people};
use crate::poll::eventually;

const PATIENCE: Duration = Duration::from_secs(20);

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
        "password.iterations" = "2"
    ],
    async |app| {
        let from = |address: &str| app.anonymous().header("x-forwarded-for", address);
        let pool = &app.inside().pools.password;
        let hashed = AtomicUsize::new(0);
        // One /48 is one source, however many addresses of it there are.
        let crowd = at_once(300, async |turn| {
            let answer = knock(&from(&format!("2001:db8:1:{turn:x}::1")), turn).await;
            hashed.fetch_add(usize::from(answer.status == 401), Ordering::SeqCst);
            answer.status
        });
        let other = async {
            eventually("a crowd", PATIENCE, async || (pool.waiting() >= 10).then_some(())).await;
            let before = hashed.load(Ordering::SeqCst);
            let answer = knock(&from("198.51.100.7"), 0).await;
            (answer, hashed.load(Ordering::SeqCst) - before)
        };
        let (crowd, (answer, meanwhile)) = tokio::join!(crowd, other);
        answer.expect_problem(401, "invalid-credentials");
        // Two hashes were under way, one more of the crowd's had its turn; the rest is what the requests take on their way.
        assert!(meanwhile <= 8, "{meanwhile} of the crowd came before");
        let shed = crowd.iter().filter(|status| **status == 503).count();
        assert!(shed > 0 && crowd.iter().all(|status| [401, 503].contains(status)), "{crowd:?}");
        assert!(pool.shed() > 0);
    }
);

/// Takes every place at the stores that a team can have; the passes of those who are through, and the number of the others.
async fn fill(app: &TestApp, team: Uuid) -> (Vec<Pass>, usize) {
    let gate = &app.inside().gate.teams;
    let mut passes = Vec::new();
    loop {
        let soon = Instant::now() + Duration::from_millis(1);
        match gate.enter(team, soon).await {
            Ok(pass) => passes.push(pass),
            Err(_) => return (passes, gate.busy().1),
        }
    }
}

both!(a_team_at_the_stores_waits_behind_itself, async |app| {
    let [ada, eve] = people(app, ["ada", "eve"]).await;
    let team = |person| claim(person, "tid").parse::<Uuid>().expect("an id");
    let gate = &app.inside().gate.teams;
    let (mut held, _) = fill(app, team(&ada)).await;
    let width = held.len();
    assert!(width > 0);
    let members = |person: &crate::client::Person| {
        let (client, path) =
            (person.as_user(), format!("/api/teams/{}/members", claim(person, "tid")));
        async move { client.get(&path).await }
    };
    let served = AtomicUsize::new(0);
    let crowd = at_once(8, async |_| {
        let answer = members(&ada).await;
        (answer.status, served.fetch_add(1, Ordering::SeqCst))
    });
    let other = async {
        let eight = async || (gate.busy().1 >= 8).then_some(());
        eventually("eight that wait", PATIENCE, eight).await;
        let asked = members(&eve);
        let opened = async {
            let nine = async || (gate.busy().1 >= 9).then_some(());
            eventually("nine that wait", PATIENCE, nine).await;
            // One alone goes through at a time.
            drop(held.pop());
        };
        let (answer, ()) = tokio::join!(asked, opened);
        answer.expect(200);
        served.fetch_add(1, Ordering::SeqCst)
    };
    let (crowd, place) = tokio::join!(crowd, other);
    assert!(crowd.iter().all(|(status, _)| *status == 200), "{crowd:?}");
    assert!(place <= 2, "after one of the crowd's: {place}");
});

both!(
    a_team_that_fills_its_part_is_shed_and_another_is_not,
    ["http.max_in_flight" = "16"],
    async |app| {
        let [ada, eve] = people(app, ["ada", "eve"]).await;
        let team: Uuid = claim(&ada, "tid").parse().expect("an id");
        let gate = &app.inside().gate.teams;
        let far = Instant::now() + PATIENCE;
        // Half of the sixteen places are one team's at most.
        let waiting: Vec<_> = (0..16).map(|_| Box::pin(gate.enter(team, far))).collect();
        let mut shed = 0;
        let mut held = Vec::new();
        for mut entering in waiting {
            match futures_util::FutureExt::now_or_never(&mut entering) {
                Some(Err(_)) => shed += 1,
                Some(Ok(pass)) => held.push((Some(pass), None)),
                None => held.push((None, Some(entering))),
            }
        }
        assert_eq!((held.len(), shed), (8, 8));
        let refused = ada.as_vault().get("/api/forward-auth").await;
        assert!(refused.header("retry-after").is_some());
        refused.expect_problem(503, "overloaded");
        let path = format!("/api/teams/{team}");
        ada.as_user().get(&path).await.expect_problem(503, "overloaded");
        let said = app.admin().get("/metrics").await.expect(200).text();
        assert!(said.contains("reason=\"team\""), "{said}");
        // A person's own routes are nobody's team's.
        ada.me().await.expect(200);
        let other = async { eve.as_vault().get("/api/forward-auth").await };
        let (_, before) = gate.busy();
        let opened = async {
            let waits = async || (gate.busy().1 > before).then_some(());
            eventually("the other team to wait", PATIENCE, waits).await;
            held.clear();
        };
        let (answer, ()) = tokio::join!(other, opened);
        answer.expect(200);
        ada.as_vault().get("/api/forward-auth").await.expect(200);
    }
);
