//! Clients and tokens: what each caller learns at `/api/introspect` of each kind of token of each team.

use super::world::World;
use super::{Row, Team, Who};

/// What each endpoint for clients answers to whom: to its clients, and to who is none.
pub(super) fn row(path: &str) -> Row {
    match path {
        "/api/token" => Row::Form(&[("grant_type", "client_credentials")], |who| match who {
            Who::Key => 200,
            Who::Operator => 400,
            _ => 401,
        }),
        "/api/introspect" => Row::Form(&[("token", "x")], |who| match who {
            Who::Key | Who::Operator => 200,
            _ => 401,
        }),
        // Holding the token is enough; a client's credentials that are shown have to be good, and a Bearer token is none.
        _ => Row::Form(&[("token", "x")], |who| match who {
            Who::KeyOfClosed => 401,
            _ => 200,
        }),
    }
}

/// Whether this caller is told that the token is live; none where they are no client.
fn is_told(who: Who, team: Team, is_user: bool) -> Option<bool> {
    // A disabled team's vaultToken opens nothing; its owner is a person all the same.
    let is_live = is_user || team != Team::Closed;
    match who {
        Who::Key => Some(!is_user && team == Team::Own),
        Who::Operator => Some(is_live),
        _ => None,
    }
}

/// Asks every caller about every token; how many cells, and what went otherwise.
pub(super) async fn ask(world: &World) -> (usize, Vec<String>) {
    let (mut cells, mut wrong) = (0, Vec::new());
    for (who, client) in &world.callers {
        for (team, user, vault) in &world.tokens {
            for (is_user, token) in [(true, user), (false, vault)] {
                let answer = client.post_form("/api/introspect", &[("token", token)]).await;
                cells += 1;
                let told = (answer.status == 200).then(|| answer.json()["active"] == true);
                let is_as_said = told == is_told(*who, *team, is_user)
                    && (told.is_some() || answer.status == 401)
                    && (told != Some(false) || answer.text() == r#"{"active":false}"#);
                if !is_as_said {
                    let kind = if is_user { "userToken" } else { "vaultToken" };
                    wrong.push(format!("{who:?} of a {kind} of {team:?}: {}", answer.text()));
                }
            }
        }
    }
    (cells, wrong)
}
