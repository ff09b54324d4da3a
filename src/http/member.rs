//! [`Member`]: who calls a route of a team, proven; and a team's "no" as the problem it is.

use uuid::Uuid;

use super::request::Request;
use crate::admission::InvitationLimit;
use crate::app::App;
use crate::audit::ChangeContext;
use crate::http::limit;
use crate::problem::{Code, FieldError, Problem};
use crate::session::Principal;
use crate::session::account_status::Membership;
use crate::team::{Actor, Permission, Refusal, Role};

/// A caller in the team that the path names, whatever team their session is in.
#[derive(Clone, Debug)]
pub struct Member {
    /// The session and the person; `standing.membership` is the one in this team.
    pub caller: Principal,
    /// The team and the person.
    pub actor: Actor,
    /// What they are in it.
    pub role: Role,
}

impl Member {
    /// Who calls, if they are a member of the path's team and may do this. The look at the person that every check of a
    /// token makes brings this membership along: it costs no statement more. It is made in the account's turn.
    ///
    /// # Errors
    /// [`Code::EmailUnverified`] before the address is proven, whatever the path says; [`Code::NotFound`] for a team that
    /// is not there, that they are no member of, or whose id is none, all alike; [`Code::Forbidden`] without the right, or
    /// in a team that the operator has disabled.
    pub async fn of(app: &App, request: &Request, permission: Permission) -> Result<Self, Problem> {
        let team_id = request.id("tid").unwrap_or_default();
        let (user_id, claims, _pass) = limit::account(app, request).await?;
        let caller = verified(app.check().caller_in(user_id, &claims, team_id).await?)?;
        let membership = caller.standing.membership.as_ref();
        let membership =
            membership.filter(|membership| membership.team_id == team_id).ok_or(Code::NotFound)?;
        let role = membership.role;
        if !permission.is_granted_to(role) {
            return Err(Code::Forbidden.into());
        }
        if !membership.is_active() && !permission.holds_while_disabled() {
            return Err(Refusal::TeamDisabled.into());
        }
        let actor = Actor { team_id, user_id: caller.standing.id };
        Ok(Self { caller, actor, role })
    }

    /// Whether the operator lets the team be used.
    pub fn is_active(&self) -> bool {
        self.caller.standing.membership.as_ref().is_some_and(Membership::is_active)
    }

    pub fn team_id(&self) -> Uuid {
        self.actor.team_id
    }
}

/// What a change of a team by this request stands on.
pub fn change_context<'a>(app: &'a App, request: &Request) -> ChangeContext<'a> {
    let origin = request.origin();
    ChangeContext { db: &app.db, chain: &app.audit, origin, now: app.clock.now() }
}

/// A caller whose address is proven.
pub fn verified(caller: Principal) -> Result<Principal, Problem> {
    if caller.standing.is_verified() { Ok(caller) } else { Err(Code::EmailUnverified.into()) }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Code::NotFound.into(),
            Refusal::Forbidden => Code::Forbidden.into(),
            Refusal::TeamDisabled => Self::new(Code::Forbidden).detail(
                "The operator has disabled this team: its members can look at it and leave, its owners delete it.",
            ),
            Refusal::Conflict(detail) => Self::new(Code::Conflict).detail(detail),
            Refusal::LinkInvalid => Code::TokenInvalid.into(),
            Refusal::OtherAddress => Code::OtherAddress.into(),
            Refusal::OtherName => Self::validation(vec![FieldError {
                pointer: "/name".to_owned(),
                code: "mismatch",
                detail: "`name` has to be the name of what is to be deleted.".to_owned(),
            }]),
            Refusal::Limited(InvitationLimit::Spent(limited)) => limited.into(),
            Refusal::Limited(InvitationLimit::Unavailable(unavailable)) => unavailable.into(),
            Refusal::Unavailable(error) => error.into(),
        }
    }
}
