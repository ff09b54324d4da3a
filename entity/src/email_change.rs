//! `email_changes`: changes of address: asked, done or undone.

use sea_orm::entity::prelude::*;

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
    pub state: String,
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
