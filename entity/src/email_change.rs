//! `email_changes`: changes of address: asked, done or undone.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// How far a change of address is.
    EmailChangeState, unknown Superseded {
        /// It waits for its confirmation.
        Pending = "pending",
        /// The account has the new address.
        Done = "done",
        /// It was taken back, or refused.
        Undone = "undone",
        /// Another change took its place, or it was voided.
        Superseded = "superseded",
    }
}

/// One change of address.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "email_changes")]
pub struct Model {
    /// The change.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Who changes.
    pub user_id: Uuid,
    /// The address before.
    pub old_email: String,
    /// The address after.
    pub new_email: String,
    /// `pending`, `done`, `undone` or `superseded`.
    pub state: EmailChangeState,
    /// When it was asked.
    pub created_at: i64,
    /// SHA-256 of the token that undoes it, base64url; none until its mail is sent.
    pub undo_digest: Option<String>,
    /// Until when that token is good.
    pub undo_until: Option<i64>,
}

/// No relation is declared: queries join where they need to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
