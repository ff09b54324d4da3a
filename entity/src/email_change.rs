//! The table `email_changes`: changes of a user's email address. A change is requested, done or
//! undone.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// The state of a change of email address.
    EmailChangeState, unknown Superseded {
        /// The change waits for its confirmation.
        Pending = "pending",
        /// The account has the new email address.
        Done = "done",
        /// The change was undone or refused.
        Undone = "undone",
        /// Another change replaced this change, or this change became invalid.
        Superseded = "superseded",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "email_changes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: Uuid,
    pub old_email: String,
    pub new_email: String,
    pub state: EmailChangeState,
    /// When the change was requested.
    pub created_at: i64,
    /// SHA-256 of the token that undoes the change, in base64url. Null until the mail with this
    /// token is sent.
    pub undo_digest: Option<String>,
    /// When the token that undoes the change expires.
    pub undo_until: Option<i64>,
}

/// This entity declares no relations. Queries contain their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
