//! The table `invitations`: open invitations to a team, each with an email address, a role and an
//! expiry.

use sea_orm::entity::prelude::*;

/// An invitation that the invited user has neither accepted nor declined yet.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "invitations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub team_id: Uuid,
    /// The invited email address as it was typed. The mail is sent to this address.
    pub email: String,
    /// The invited email address in its normal form. Addresses are compared in this form. A team
    /// has at most one invitation for each address.
    pub email_normal: String,
    /// The role that the invitation gives: `owner`, `admin`, `member` or `viewer`.
    pub role: String,
    /// The user who sent the invitation. Null after this user is deleted.
    pub invited_by: Option<Uuid>,
    /// SHA-256 of the token in the mail, in base64url.
    pub digest: String,
    /// When the invitation was created or renewed.
    pub created_at: i64,
    /// The invitation is invalid from this time on.
    pub expires_at: i64,
}

/// This entity declares no relations. Queries contain their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
