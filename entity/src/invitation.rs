//! The table `invitations`: open invitations to a team, each with an email address, a role and an
//! expiry.

use sea_orm::entity::prelude::*;

/// An invitation that the invited user has not responded to yet.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "invitations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub team_id: Uuid,
    /// The email address as typed. The mail goes there.
    pub email: String,
    /// The normalised email address, which is compared. It is unique within the team.
    pub email_normal: String,
    /// `owner`, `admin`, `member` or `viewer`.
    pub role: String,
    /// The user who sent the invitation. Null once that user is deleted.
    pub invited_by: Option<Uuid>,
    /// SHA-256 of the token in the mail, in base64url.
    pub digest: String,
    /// When the invitation was created or renewed.
    pub created_at: i64,
    /// The invitation is void from this time on.
    pub expires_at: i64,
}

/// No relation is declared. Queries write their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
