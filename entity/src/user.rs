//! `users`: people.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// Whether an account may be used.
    UserState, unknown Disabled {
        /// It may.
        Active = "active",
        /// The operator has disabled it.
        Disabled = "disabled",
    }
}

/// A person with an address and a password.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// The person.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The address as typed: where mail goes.
    pub email: String,
    /// The one form that is compared and unique: lower case, A-labels.
    pub email_normal: String,
    /// What the person is called: 1 to 100 characters.
    pub name: String,
    /// A PHC string.
    pub password_hash: String,
    /// Counts changes of the password; what a recovery was asked under has to match it.
    pub password_version: i32,
    /// Sessions opened under an older epoch are dead.
    pub session_epoch: i32,
    /// `active` or `disabled`.
    pub status: UserState,
    /// When the address was proven; null until then.
    pub verified_at: Option<i64>,
    /// The address the account was made from; told in the confirmation mail.
    pub created_ip: String,
    /// When the row was made.
    pub created_at: i64,
    /// When the person last changed.
    pub updated_at: i64,
    /// Whether the password has opened a session before; a registration's own does not count.
    pub has_logged_in: bool,
}

/// No relation is declared: queries join where they need to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
