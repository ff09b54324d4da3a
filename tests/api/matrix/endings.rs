//! The cells for requests that delete or resend an object of the caller's own team.

use latchkey::http::router::{ROUTES, Route};
use serde_json::{Value, json};

use super::world::World;
use super::{Object, Row, Team, Who, expected};

/// Requests that delete or resend an object of the caller's own team. Each entry has the method,
/// the path, the path where the object is created, the body that creates it, and the status for an
/// allowed caller.
fn ones_that_end() -> [(&'static str, &'static str, &'static str, Value, u16); 3] {
    let (keys, invitations) = ("projects/{pid}/keys", "invitations");
    let key = json!({ "name": "a program", "scopes": ["vault:read"] });
    let invitation = json!({ "email": "fresh@example.com", "role": "viewer" });
    [
        ("DELETE", "/api/teams/{tid}/projects/{pid}/keys/{kid}", keys, key, 204),
        ("DELETE", "/api/teams/{tid}/invitations/{iid}", invitations, invitation.clone(), 204),
        ("POST", "/api/teams/{tid}/invitations/{iid}/resend", invitations, invitation, 200),
    ]
}

/// Creates an object for each caller, and lets the caller send the request about it. Returns the
/// number of cells and the differences from the table.
pub(super) async fn ask(world: &World) -> (usize, Vec<String>) {
    let (mut cells, mut wrong) = (0, Vec::new());
    let owner = &world.callers[&Who::Owner];
    for (verb, path, made_at, body, done) in ones_that_end() {
        let is_it = |route: &&Route| route.method.name() == verb && route.path == path;
        let route = ROUTES.iter().find(is_it).expect("a route");
        let row = Row::Team(None, [done; 4], 404);
        let made_at = format!("{}/{made_at}", world.own_team()).replace("{pid}", &world.own["pid"]);
        for (who, client) in &world.callers {
            let made = owner.post_json(&made_at, body.clone()).await.expect(200).json();
            let id = made["id"].as_str().expect("an id");
            let ends = if path.ends_with("/resend") { "/resend" } else { "" };
            let object =
                Object { team: Team::Own, path: format!("{made_at}/{id}{ends}"), is_there: true };
            let answer = super::ask(client, route, &row, &object).await;
            cells += 1;
            let wanted = expected(route, &row, *who, &object).expect("a status");
            let listed = owner.get(&format!("{made_at}?limit=100")).await.expect(200).text();
            let is_gone = answer.status == 204;
            if answer.status != wanted || listed.contains(id) == is_gone {
                wrong.push(format!("{verb} {path} {who:?}: {wanted}, not {}", answer.text()));
            }
        }
    }
    (cells, wrong)
}
