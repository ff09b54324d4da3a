//! `invitations`: who may become a member of which team, as what, until when.

use sea_orm::entity::prelude::*;

/// An invitation that was not answered yet.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "invitations")]
pub struct Model {
    /// The invitation.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The team.
    pub team_id: Uuid,
    /// The address as typed: where the mail goes.
    pub email: String,
    /// The one form that is compared; once per team.
    pub email_normal: String,
    /// `owner`, `admin`, `member` or `viewer`.
    pub role: String,
    /// Who asked; null where they are gone.
    pub invited_by: Option<Uuid>,
    /// SHA-256 of the mailed token in base64url.
    pub digest: String,
    /// When it was made, or made anew.
    pub created_at: i64,
    /// Void from this moment on.
    pub expires_at: i64,
}

/// No relation is declared: queries join where they need to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
