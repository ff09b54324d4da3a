//! The audit: a record of actions that were done or refused. An event contains the actor, the
//! action, the affected user or team, the time, the client and the outcome. Each event is one row,
//! which is written in the transaction of the change.
//!
//! The rows form chains, which are called streams. Events in a team go to the team's stream, events
//! of an account go to the user's stream, and all other events go to the stream of the
//! installation. The `mac` of each row also covers the `mac` of the row before it ([`seal`]), and
//! both ends of a stream are sealed. Facts that identify a user are stored separately. The row
//! contains only a salted commitment to them. So these facts can be deleted, and the chain can
//! still be verified.
//!
//! Other modules call [`record`] in the transaction of a change. If `record` fails, the change
//! fails. After the commit, each event is also written to the log ([`TARGET`]).
//!
//! This module and its callers must take locks in this order: users, then the user's stream, then a
//! team's stream. At its end, the deletion of a user also locks the streams of all other teams in
//! which the user acted ([`erase`]). If two deletions wait for each other there, one of them fails
//! by the lock timeout of the database, and its client gets a 503.

mod action;
mod chain;
mod change;
pub mod checkpoint;
pub mod checkpoint_event;
mod checkpoint_jws;
mod erase;
mod event;
mod event_log;
pub mod export;
mod keys;
mod origin;
mod own_events;
mod record;
pub mod seal;
mod sweep;
pub mod verify;

pub use action::Action;
pub(crate) use chain::reseal;
pub use chain::{Chain, ChainError, Masters, NAME_PREFIX};
pub use change::{ChangeContext, Changed};
pub use erase::erase;
pub use event::{Actor, Detail, Event, Outcome};
pub use event_log::TARGET;
pub use keys::{Checked, Keys};
pub use origin::RequestOrigin;
pub use own_events::{OwnEvent, own_events};
pub use record::{UNPROVEN, decoy, hold_people, next_in_team, record, touch_decoy};
pub use sweep::{Swept, sweep};
