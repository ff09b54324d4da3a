//! The table `audit_identities`: personal data of the users in audit events. It is a separate
//! table, so that its rows can be deleted together with the user, without changing the events.

use sea_orm::entity::prelude::*;

/// One party of an event: the actor or the subject of the event.
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
    /// 32 random bytes. Because of them, nobody can find the body by comparing hashes of likely
    /// values with the commitment.
    pub salt: Vec<u8>,
    /// A JSON object: the user, and the IP address and user agent of the request.
    pub body: String,
}

/// This entity declares no relations. Queries contain their own joins.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
