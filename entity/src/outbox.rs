//! `outbox`: mail that is due, sent or given up.

use sea_orm::entity::prelude::*;

use crate::text_enum::text_enum;

text_enum! {
    /// How far a mail is.
    OutboxState, unknown Superseded {
        /// It waits, or is being delivered.
        Pending = "pending",
        /// The mail server took it.
        Sent = "sent",
        /// A newer one took its place, or it is not wanted any more.
        Superseded = "superseded",
        /// It was given up.
        Dead = "dead",
    }
}

/// One mail.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub struct Model {
    /// The mail: its Message-ID and its token come from here.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whom it is about; deleting the person deletes the row.
    pub user_id: Uuid,
    /// Which mail: `confirm`, `recover`, `password-changed`, …
    pub kind: String,
    /// Where it goes.
    pub recipient: String,
    /// What the template needs, as a JSON object; never a secret.
    pub data: String,
    /// `pending`, `sent`, `superseded`, `dead`.
    pub state: OutboxState,
    /// Deliveries tried and refused for this row itself.
    pub attempts: i32,
    /// Not before this moment.
    pub due_at: i64,
    /// Claimed by a worker until this moment; 0: by nobody.
    pub leased_until: i64,
    /// The trace of the request that made it due (W3C `traceparent`).
    pub traceparent: String,
    /// The refusal that came last; without addresses.
    pub last_error: Option<String>,
    /// When it was made; for a notice that is put off, when it is due first.
    pub created_at: i64,
    /// When it was handed over.
    pub sent_at: Option<i64>,
}

/// No relation is declared: queries join where they need to.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
