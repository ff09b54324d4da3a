//! The table `users`: the user accounts.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// Whether an account may be used.
    UserState, unknown Disabled {
        /// The account may be used.
        Active = "active",
        /// The operator has disabled the account.
        Disabled = "disabled",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The email address as typed. Mails go there.
    pub email: String,
    /// The normalised email address, which is compared and unique: lower case, with A-labels.
    pub email_normal: String,
    /// The displayed name: 1 to 100 characters.
    pub name: String,
    /// The hash as a PHC string.
    pub password_hash: String,
    /// Counts changes of the password. A recovery is valid only for the version that it was
    /// requested under.
    pub password_version: i32,
    /// A session that was opened under an older epoch has ended.
    pub session_epoch: i32,
    pub status: UserState,
    /// When the email address was verified. Null until then.
    pub verified_at: Option<i64>,
    /// The IP address that created the account. The confirmation mail contains it.
    pub created_ip: String,
    pub created_at: i64,
    /// When the user last changed.
    pub updated_at: i64,
    /// Whether the password has opened a session before. The session of the registration does not
    /// count.
    pub has_logged_in: bool,
}

/// No relation is declared. Queries write their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
