//! The authorization matrix. It has a cell for every route, every kind of caller and every object.
//! The cases come from the route table. The test fails if a route has no row in this file, or if
//! the row of the route is for another kind of handler.
//!
//! All cells use the same users and teams. Therefore an allowed request changes nothing (it has a
//! wrong name, a role that the member already has, or an invalid body), or it changes only
//! something that no other cell reads (it adds one more key). Objects that a request deletes, such
//! as a key or an invitation, are created for each caller.

mod clients;
mod endings;
mod world;

use futures_util::future::join_all;
use hyper::Method;
use latchkey::http::router::{Handler, ROUTES, Route};
use latchkey::team::{Permission, Role};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::both;
use crate::ask::alike;
use crate::client::{Answer, Client};

/// A kind of caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Anonymous,
    Expired,
    VaultToken,
    KeyToken,
    /// A client that sends a project key.
    Key,
    /// A client that sends a project key of a disabled team.
    KeyOfClosed,
    /// A client in the setting `introspection.clients`.
    Operator,
    Disabled,
    Unverified,
    Stranger,
    Removed,
    Viewer,
    Member,
    Admin,
    /// An admin with a second factor, in a session that has proven only the password.
    OneFactor,
    /// An admin with a second factor, in a session that has just proven both.
    TwoFactors,
    Owner,
    OtherOwner,
    /// The owner of a disabled team.
    OwnerOfClosed,
}

impl Who {
    /// Says whether latchkey accepts the token of this caller.
    fn is_known(self) -> bool {
        self > Self::Disabled
    }

    /// Returns the role of the caller in the team of this object.
    fn role_in(self, object: &Object) -> Option<Role> {
        match (self, object.team) {
            (Self::Viewer, Team::Own) => Some(Role::Viewer),
            (Self::Member, Team::Own) => Some(Role::Member),
            (Self::Admin | Self::OneFactor | Self::TwoFactors, Team::Own) => Some(Role::Admin),
            (Self::Owner, Team::Own)
            | (Self::OtherOwner, Team::Other)
            | (Self::OwnerOfClosed, Team::Closed) => Some(Role::Owner),
            _ => None,
        }
    }
}

/// The team that a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Team {
    Own,
    Other,
    /// A team that the operator has disabled.
    Closed,
    Random,
    Malformed,
    Deleted,
}

/// The object that a path names. It is a team or a part of a team, and it does not always exist.
#[derive(Clone, Debug)]
struct Object {
    team: Team,
    path: String,
    is_there: bool,
}

/// The request to a route, and the expected status.
enum Row {
    /// Every caller gets the same status, whatever token the caller sends.
    Public,
    /// Every caller that latchkey knows gets this status.
    Person(Option<Value>, u16),
    /// Every user with a confirmed email address gets this status.
    Verified(Option<Value>, u16),
    /// The four statuses for a viewer, a member, an admin and an owner. A status applies only if
    /// the table of roles allows the route to this role. The last value is the status for an
    /// allowed caller if the object does not exist.
    Team(Option<Value>, [u16; 4], u16),
    /// The function returns the status for each caller.
    Each(fn(Who) -> u16),
    /// The fields of a form. The function returns the status for each caller.
    Form(&'static [(&'static str, &'static str)], fn(Who) -> u16),
}

/// The status of a route that accepts an expired token as long as its session exists.
fn of_live_session(who: Who, status: u16) -> u16 {
    if who == Who::Expired || who.is_known() { status } else { 401 }
}

/// The row of a route for the factors of the caller's account.
fn row_of_factors(route: &Route) -> Option<Row> {
    Some(match (route.method.name(), route.path) {
        // The callers without a factor have logged in by mail, and the first factor needs the
        // password.
        ("POST", "/api/me/factors/totp") => Row::Verified(Some(json!({})), 401),
        ("POST", "/api/me/passkeys/options") => Row::Verified(None, 401),
        ("POST", "/api/me/factors/{id}/confirm" | "/api/me/passkeys")
        | ("PATCH", "/api/me/factors/{id}") => Row::Verified(Some(json!({})), 422),
        ("POST", "/api/step-up/options") => Row::Person(None, 409),
        ("DELETE", "/api/me/factors/{id}") => Row::Verified(None, 404),
        ("POST", "/api/me/recovery-codes") => Row::Verified(None, 409),
        _ => return None,
    })
}

/// The row of a route that everyone may use.
fn row_of_public(route: &Route) -> Option<Row> {
    let is_public = matches!(
        (route.method.name(), route.path),
        (
            "POST",
            "/api/login"
                | "/api/login/factor"
                | "/api/login/passkey"
                | "/api/login/passkey/options"
                | "/api/register"
                | "/api/forgot-passsword"
                | "/api/forgot-password"
                | "/api/reset-passsword"
                | "/api/reset-password"
                | "/verify-email"
                | "/reset-password"
                | "/undo-email-change"
                | "/undo-factor"
                | "/invitation",
        ) | (
            "GET",
            "/api/verify-email/{token}"
                | "/api/exist-email/{email}"
                | "/api/captcha"
                | "/.well-known/jwks.json"
                | "/.well-known/webauthn"
                | "/.well-known/openid-configuration"
                | "/openapi.json"
                | "/"
                | "/docs"
                | "/problems"
                | "/problems/{code}"
                | "/assets/{name}"
                | "/verify-email"
                | "/reset-password"
                | "/undo-email-change"
                | "/undo-factor"
                | "/invitation"
                | "/dev/mailbox"
                | "/dev/mailbox/messages"
                | "/dev/mailbox/{id}"
                | "/dev/mailbox/{id}/html",
        ) | ("DELETE", "/dev/mailbox/messages")
    );
    is_public.then_some(Row::Public)
}

fn row(route: &Route) -> Option<Row> {
    let empty = || Some(json!({}));
    Some(match (route.method.name(), route.path) {
        ("GET", "/api/refresh") => Row::Each(|who| of_live_session(who, 200)),
        ("GET", "/api/resend-email-verification") => Row::Person(None, 400),
        (_, "/api/forward-auth" | "/api/forward-auth/" | "/api/forward-auth/{*path}") => {
            Row::Each(|who| if matches!(who, Who::VaultToken | Who::KeyToken) { 200 } else { 401 })
        }
        ("GET", "/api/sessions" | "/api/me" | "/api/me/events" | "/api/me/factors") => {
            Row::Person(None, 200)
        }
        ("DELETE", "/api/sessions/{sid}") => Row::Person(None, 404),
        ("DELETE", "/api/sessions") => Row::Person(None, 204),
        ("POST", "/api/logout") => Row::Each(|who| of_live_session(who, 204)),
        // The type is wrong, because an account with a second factor needs no password.
        ("DELETE", "/api/me") => Row::Person(Some(json!({ "password": 1 })), 422),
        ("PATCH", "/api/me")
        | ("POST", "/api/change-password" | "/api/change-email" | "/api/step-up") => {
            Row::Person(empty(), 422)
        }
        ("GET", "/api/teams" | "/api/me/invitations") => Row::Verified(None, 200),
        ("POST", "/api/teams" | "/api/invitations/accept") => Row::Verified(empty(), 422),
        (
            "GET",
            "/api/teams/{tid}"
            | "/api/teams/{tid}/projects"
            | "/api/teams/{tid}/members"
            | "/api/teams/{tid}/projects/{pid}"
            | "/api/teams/{tid}/projects/{pid}/keys"
            | "/api/teams/{tid}/invitations",
        ) => Row::Team(None, [200; 4], 404),
        ("PATCH", "/api/teams/{tid}" | "/api/teams/{tid}/projects/{pid}") => {
            Row::Team(empty(), [200; 4], 404)
        }
        ("DELETE", "/api/teams/{tid}" | "/api/teams/{tid}/projects/{pid}") => {
            Row::Team(Some(json!({ "name": "-" })), [422; 4], 404)
        }
        ("POST", "/api/teams/{tid}/switch") => {
            Row::Team(Some(json!({ "projectId": 1 })), [422; 4], 404)
        }
        ("POST", "/api/me/invitations/{iid}/accept") | ("DELETE", "/api/me/invitations/{iid}") => {
            Row::Verified(None, 404)
        }
        ("POST", "/api/teams/{tid}/projects" | "/api/teams/{tid}/invitations") => {
            Row::Team(empty(), [422; 4], 404)
        }
        ("POST", "/api/teams/{tid}/projects/{pid}/keys") => {
            let key = json!({ "name": "a program", "scopes": ["vault:read"] });
            Row::Team(Some(key), [200; 4], 404)
        }
        // The key in the path belongs to another project of the team, and the invitation belongs to
        // a third team. So neither of them exists under this path. `ones_that_end` tests the
        // objects of the team itself.
        (
            "DELETE",
            "/api/teams/{tid}/projects/{pid}/keys/{kid}" | "/api/teams/{tid}/invitations/{iid}",
        )
        | ("POST", "/api/teams/{tid}/invitations/{iid}/resend") => Row::Team(None, [404; 4], 404),
        // The member in the path is the owner. No role is above the owner's role, and the team has
        // no other owner.
        ("PATCH", "/api/teams/{tid}/members/{userId}") => {
            Row::Team(Some(json!({ "role": "owner" })), [403, 403, 403, 200], 404)
        }
        ("DELETE", "/api/teams/{tid}/members/{userId}") => {
            Row::Team(None, [403, 403, 403, 409], 404)
        }
        ("POST", "/api/token" | "/api/introspect" | "/api/revoke") => clients::row(route.path),
        _ => return row_of_factors(route).or_else(|| row_of_public(route)),
    })
}

fn expected(route: &Route, row: &Row, who: Who, object: &Object) -> Option<u16> {
    let known = |status| if who.is_known() { status } else { 401 };
    // The proof is checked after the permission, and before the body and the object.
    let needs_proof = who == Who::OneFactor && route.proof.is_some();
    Some(match row {
        Row::Public => return None,
        Row::Each(status) | Row::Form(_, status) => status(who),
        Row::Person(..) | Row::Verified(..) if needs_proof => 401,
        Row::Person(_, status) => known(match (route.path, who) {
            ("/api/resend-email-verification", who) if who != Who::Unverified => 409,
            _ => *status,
        }),
        Row::Verified(..) | Row::Team(..) if who == Who::Unverified => 403,
        Row::Verified(_, status) => known(match (route.path, who) {
            ("/api/me/factors/totp", Who::TwoFactors) => 422,
            ("/api/me/recovery-codes" | "/api/me/passkeys/options", Who::TwoFactors) => 200,
            _ => *status,
        }),
        Row::Team(_, allowed, missing) => {
            let Handler::Team(permission, _) = route.handler else { return Some(0) };
            // Every member can leave a team. To remove another member, the caller needs a higher
            // permission.
            let is_self = who.role_in(object) == Some(Role::Owner) && object.is_there;
            let permission = match permission {
                Permission::LeaveTeam if !is_self => Permission::ManageMembers,
                other => other,
            };
            known(match who.role_in(object) {
                None => 404,
                Some(role) if !permission.is_granted_to(role) => 403,
                Some(_) if object.team == Team::Closed && !permission.holds_while_disabled() => 403,
                Some(_) if needs_proof => 401,
                Some(_) if !object.is_there && route.path.matches('{').count() > 1 => *missing,
                Some(role) => allowed[role as usize],
            })
        }
    })
}

fn is_of_its_kind(route: &Route, row: &Row) -> bool {
    matches!(
        (route.handler, row),
        (Handler::Open(_), Row::Public | Row::Each(_) | Row::Form(..))
            | (Handler::Mailbox(_), Row::Public)
            | (Handler::User(_), Row::Person(..))
            | (Handler::Verified(_), Row::Verified(..))
            | (Handler::Team(..), Row::Team(..))
    )
}

async fn ask(client: &Client, route: &Route, row: &Row, object: &Object) -> Answer {
    let method: Method = route.method.name().parse().expect("a method");
    let body = match row {
        Row::Person(body, _) | Row::Verified(body, _) | Row::Team(body, ..) => body.clone(),
        Row::Form(fields, _) => return client.post_form(&object.path, fields).await,
        Row::Public | Row::Each(_) => (method == Method::POST).then(|| json!({})),
    };
    match body {
        Some(body) => client.json(method, &object.path, body).await,
        None => client.bare(method, &object.path).await,
    }
}

both!(
    every_route_answers_every_caller_about_every_object_as_the_table_says,
    ["introspection.clients" = crate::introspection::CLIENT],
    async |app| {
        let world = world::world(app).await;
        let mut routes: Vec<&Route> = ROUTES.iter().collect();
        // Routes that end sessions come last. The caller first ends its other sessions and then its
        // own session.
        let ends = |route: &&Route| match (route.method.name(), route.path) {
            ("DELETE", "/api/sessions") => 1,
            ("POST", "/api/logout") => 2,
            _ => 0,
        };
        routes.sort_by_key(ends);
        let (mut cells, mut wrong) = endings::ask(&world).await;
        let (asked, told) = clients::ask(&world).await;
        cells += asked;
        wrong.extend(told);
        for route in &routes {
            let name = format!("{} {}", route.method.name(), route.path);
            let Some(row) = row(route) else { panic!("{name} has no row in the matrix") };
            assert!(is_of_its_kind(route, &row), "{name}: the row is of another kind");
            let objects = world.objects(route.path);
            let asked = world.callers.iter().map(|(who, client)| {
                let (objects, row) = (&objects, &row);
                async move {
                    let mut answers = Vec::new();
                    for object in objects {
                        answers.push((*who, object, ask(client, route, row, object).await));
                    }
                    answers
                }
            });
            let answers: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
            let open = answers[0].2.status;
            let nothing = answers.iter().find(|it| it.2.status == 404).map(|it| alike(&it.2));
            for (who, object, answer) in &answers {
                cells += 1;
                let wanted = expected(route, &row, *who, object).unwrap_or(open);
                let is_like_nothing = answer.status != 404
                    || matches!(row, Row::Public)
                    || Some(alike(answer)) == nothing;
                if answer.status != wanted || !is_like_nothing {
                    wrong.push(format!(
                        "{name} {who:?} {object:?}: {wanted}, not {}",
                        answer.text()
                    ));
                }
            }
        }
        for key in &world.keys {
            key.token(app).await;
        }
        let third = world.third.parse().expect("an id");
        let kept = latchkey::team::invitations::list(&app.inside().db, third, Uuid::nil(), 9).await;
        assert_eq!(kept.expect("listed").len(), 2, "an invitation of the third team is gone");
        println!(
            "the matrix: {} routes, {} callers, {cells} cells",
            routes.len(),
            world.callers.len()
        );
        assert!(wrong.is_empty(), "{} of {cells} cells:\n{}", wrong.len(), wrong.join("\n"));
        assert!(cells > 3_000, "{cells}");
    }
);
