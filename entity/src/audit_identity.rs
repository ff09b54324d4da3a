//! `audit_identities`: who an audit row is about, apart from it, so that it can be deleted with the person.

use sea_orm::entity::prelude::*;

/// One party of an event.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_identities")]
pub struct Model {
    /// The event.
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_id: Uuid,
    /// `actor` or `subject`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub party: String,
    /// The person; the row goes with them. Null where the party is none.
    pub person_id: Option<Uuid>,
    /// 32 random bytes, so that nobody finds the body by trying.
    pub salt: Vec<u8>,
    /// A JSON object: who, from where, with what.
    pub body: String,
}

/// No relation is declared: queries join where they need to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
