//! The table `first_factors`: the times at which accounts got their first factor, with the links
//! that undo this.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// Whether the first factor was undone.
    FirstFactorState, unknown Undone {
        /// The account got its first factor.
        Added = "added",
        /// The factor, and all factors that were added later, were removed with the mailed link.
        Undone = "undone",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "first_factors")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: Uuid,
    pub state: FirstFactorState,
    /// SHA-256 of the token that removes the factors, in base64url. Null until the mail with this
    /// token is sent.
    pub undo_digest: Option<String>,
    /// When the token expires.
    pub undo_until: Option<i64>,
    /// When the factor was confirmed.
    pub created_at: i64,
}

/// This entity declares no relations. Queries contain their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
