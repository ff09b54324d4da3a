//! [`Member`]: the authenticated caller of a team's route. This module also converts refusals of
//! the team service to problems.

use uuid::Uuid;

use super::request::Request;
use crate::admission::InvitationLimit;
use crate::app::App;
use crate::audit::ChangeContext;
use crate::http::{fresh, limit};
use crate::problem::{Code, FieldError, Problem};
use crate::session::Principal;
use crate::session::account_status::Membership;
use crate::team::{Actor, Permission, Refusal, Role};
use crate::token::Expiry;

/// A caller who is a member of the team in the path. The caller's session is in this team or in
/// another team.
#[derive(Clone, Debug)]
pub struct Member {
    /// The session and the user. `standing.membership` is the membership in the team in the path.
    pub caller: Principal,
    /// The team and the user.
    pub actor: Actor,
    pub role: Role,
}

impl Member {
    /// Authenticates the caller, and checks that they are a member of the team in the path and have
    /// the permission.
    ///
    /// Every check of a token queries the user. The same query also returns the membership in this
    /// team, so the membership costs no further statement. The query runs under the permit of the
    /// account.
    ///
    /// # Errors
    /// [`Code::EmailUnverified`] if the caller's email address is not verified, whatever the path
    /// is. [`Code::NotFound`] if the team id is invalid or unknown, or if the caller is not a
    /// member of the team. [`Code::TeamFactorRequired`] if the team requires a second factor and
    /// the session has none, unless the permission holds without one. [`Code::Forbidden`] if the
    /// caller's role does not have the permission, or if the operator has disabled the team and the
    /// permission does not hold in a disabled team.
    pub async fn of(app: &App, request: &Request, permission: Permission) -> Result<Self, Problem> {
        let team_id = request.id("tid").unwrap_or_default();
        let (user_id, claims, _pass) = limit::account(app, request, Expiry::Enforced).await?;
        let caller = verified(app.check().caller_in(user_id, &claims, team_id).await?)?;
        let membership = caller.standing.membership.as_ref();
        let membership =
            membership.filter(|membership| membership.team_id == team_id).ok_or(Code::NotFound)?;
        let role = membership.role;
        if caller.is_locked() && !permission.holds_without_factor() {
            return Err(fresh::team_factor(app, &caller).await);
        }
        if !permission.is_granted_to(role) {
            return Err(Code::Forbidden.into());
        }
        if !membership.is_active() && !permission.holds_while_disabled() {
            return Err(Refusal::TeamDisabled.into());
        }
        let actor = Actor { team_id, user_id: caller.standing.id };
        Ok(Self { caller, actor, role })
    }

    /// Whether the team is enabled. The operator can disable it.
    pub fn is_active(&self) -> bool {
        self.caller.standing.membership.as_ref().is_some_and(Membership::is_active)
    }

    /// Refuses the caller if the team requires a second factor and the session has none.
    pub async fn require_factor(&self, app: &App) -> Result<(), Problem> {
        if !self.caller.is_locked() {
            return Ok(());
        }
        Err(fresh::team_factor(app, &self.caller).await)
    }

    pub fn team_id(&self) -> Uuid {
        self.actor.team_id
    }
}

/// The context for changes that this request makes to a team.
pub fn change_context<'a>(app: &'a App, request: &Request) -> ChangeContext<'a> {
    let origin = request.origin();
    ChangeContext { db: &app.db, chain: &app.audit, origin, now: app.clock.now() }
}

/// Returns the caller if their email address is verified.
pub fn verified(caller: Principal) -> Result<Principal, Problem> {
    if caller.standing.is_verified() { Ok(caller) } else { Err(Code::EmailUnverified.into()) }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Code::NotFound.into(),
            Refusal::Forbidden => Code::Forbidden.into(),
            Refusal::TeamDisabled => Self::new(Code::Forbidden).detail(
                "The operator has disabled this team. Its members can only view the team and leave it. Its owners can also delete the team.",
            ),
            Refusal::FactorRequired => Code::TeamFactorRequired.into(),
            Refusal::Conflict(detail) => Self::new(Code::Conflict).detail(detail),
            Refusal::LinkInvalid => Code::TokenInvalid.into(),
            Refusal::OtherAddress => Code::OtherAddress.into(),
            Refusal::OtherName => Self::validation(vec![FieldError {
                pointer: "/name".to_owned(),
                code: "mismatch",
                detail: "`name` must be the current name of the team or project that you delete.".to_owned(),
            }]),
            Refusal::Limited(InvitationLimit::Spent(limited)) => limited.into(),
            Refusal::Limited(InvitationLimit::Unavailable(unavailable)) => unavailable.into(),
            Refusal::Unavailable(error) => error.into(),
        }
    }
}
