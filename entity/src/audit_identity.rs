//! The table `audit_identities`: the users that audit events are about. It is separate from the
//! events, so that these rows can be deleted together with the user.

use sea_orm::entity::prelude::*;

/// One party of an event: its actor or its subject.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_identities")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_id: Uuid,
    /// `actor` or `subject`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub party: String,
    /// The user. The row is deleted together with the user. Null if the party is not a user.
    pub person_id: Option<Uuid>,
    /// 32 random bytes, so that nobody can find the body by testing likely values.
    pub salt: Vec<u8>,
    /// A JSON object: the user, and the IP address and user agent of the request.
    pub body: String,
}

/// No relation is declared. Queries write their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
