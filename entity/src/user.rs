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
    /// The email address as the user typed it. Mails are sent to this address.
    pub email: String,
    /// The email address in its normal form: lower case, with A-labels. Addresses are compared in
    /// this form. It is unique.
    pub email_normal: String,
    /// The displayed name. It has 1 to 100 characters.
    pub name: String,
    /// The password hash as a PHC string.
    pub password_hash: String,
    /// The version of the password. It rises with each change of the password or the email address.
    /// A recovery link is valid only as long as the version is the same as when the link was
    /// requested.
    pub password_version: i32,
    /// The epoch of the user's sessions. A session with a lower epoch has ended.
    pub session_epoch: i32,
    /// A number that rises with each change of the user's factors, and when all trust in devices
    /// ends.
    pub factor_version: i32,
    /// The number of confirmed factors.
    pub factor_count: i32,
    pub status: UserState,
    /// When the email address was verified. Null if it is not verified yet.
    pub verified_at: Option<i64>,
    /// The IP address from which the account was registered. The confirmation mail contains this IP
    /// address.
    pub created_ip: String,
    pub created_at: i64,
    /// When this row was last changed.
    pub updated_at: i64,
    /// Whether the user has logged in with the password before. The session that the registration
    /// opens does not count.
    pub has_logged_in: bool,
}

/// This entity declares no relations. Queries contain their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
