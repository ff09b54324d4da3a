//! The cells for clients and tokens. They test what `/api/introspect` returns to each caller, for
//! each kind of token of each team.

use super::world::World;
use super::{Row, Team, Who};

/// The expected statuses of the endpoints for clients, for each caller.
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
        // To revoke a token, a client only needs to have the token. If the client sends
        // credentials, they must be valid. A Bearer token is not a credential of a client.
        _ => Row::Form(&[("token", "x")], |who| match who {
            Who::KeyOfClosed => 401,
            _ => 200,
        }),
    }
}

/// Says whether the response must report the token as active. Returns `None` for a caller that is
/// not a client.
fn is_told(who: Who, team: Team, is_user: bool) -> Option<bool> {
    // The vaultToken of a disabled team is invalid. The userToken of its owner is still valid.
    let is_live = is_user || team != Team::Closed;
    match who {
        Who::Key => Some(!is_user && team == Team::Own),
        Who::Operator => Some(is_live),
        _ => None,
    }
}

/// Introspects every token as every caller. Returns the number of cells and the differences from
/// the table.
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
