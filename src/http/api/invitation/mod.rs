//! Endpoints for invitations. Some of them are for the team that invites, the others for the user
//! who is invited.

pub mod accept;
pub mod create;
pub mod decline;
pub mod join;
pub mod list;
pub mod mine;
pub mod resend;
pub mod revoke;

use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::audit::RequestOrigin;
use crate::clock::rfc3339;
use crate::mail::MailData;
use crate::session::{Level, Principal};
use crate::team::invitations::{Invitation, Post};
use crate::team::joining::{Invitee, Room};

/// An invitation, as the admins of the team see it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitationView {
    /// The id of the invitation.
    id: String,
    /// The invited email address, as the inviter typed it.
    email: String,
    /// The role that the user gets when they accept.
    role: String,
    /// The id of the member in whose name the last mail was sent. It is null if the member's
    /// account is deleted.
    #[schema(required = true)]
    invited_by: Option<String>,
    /// When the invitation was created (RFC 3339).
    created_at: String,
    /// When the invitation expires (RFC 3339). This is seven days after its last mail. An expired
    /// invitation can be sent again.
    expires_at: String,
}

impl From<Invitation> for InvitationView {
    fn from(row: Invitation) -> Self {
        Self {
            id: row.id.to_string(),
            email: row.email,
            role: row.role,
            invited_by: row.invited_by.map(|id| id.to_string()),
            created_at: rfc3339(row.created_at),
            expires_at: rfc3339(row.expires_at),
        }
    }
}

/// The data that the team service needs to mail an invitation for this request. The mail is in the
/// inviter's language. It contains neither the inviter's IP address nor the inviter's device.
fn post<'a>(app: &'a App, origin: &'a RequestOrigin) -> Post<'a> {
    let MailData { locale, at, .. } = MailData::of_request(origin, app.clock.now());
    Post {
        key: &app.mail_key,
        data: MailData { locale, at, ..MailData::default() },
        traceparent: &origin.traceparent,
        members_max: app.config.teams.members_max,
        per_day: app.config.teams.invitations_per_day,
        admission: &app.admission,
    }
}

/// The caller who accepts an invitation.
fn invitee(caller: &Principal) -> Invitee {
    let has_two_factors = caller.level() == Level::Aal2;
    Invitee { user_id: caller.standing.id, has_two_factors }
}

/// The limits that apply when a user joins a team.
pub fn room(app: &App) -> Room {
    let teams = &app.config.teams;
    Room { members_max: teams.members_max, teams_max: teams.max_per_user }
}
