//! The audit: a record of who did what to whom, when, from where and with what outcome. Each event
//! is one row, written in the transaction of the change.
//!
//! The rows form chains, called streams. Events in a team go to the team's stream, events of an
//! account to the user's stream, and all others to the stream of the installation. Each row is
//! authenticated over the row before it ([`seal`]), and both ends of a stream are sealed. What
//! identifies a user is stored separately, under a salted commitment. It can be deleted, and the
//! chain still verifies.
//!
//! Other modules call [`record`] within their transaction. If it fails, the change fails. After the
//! commit, each event is also written to the log ([`TARGET`]).
//!
//! Locks are taken in this order, also by callers: users, then the user's stream, then a team's
//! stream.

mod action;
mod chain;
mod change;
pub mod checkpoint;
mod checkpoint_jws;
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
pub use event::{Actor, Detail, Event, Outcome};
pub use event_log::TARGET;
pub use keys::{Checked, Keys};
pub use origin::RequestOrigin;
pub use own_events::{OwnEvent, own_events};
pub use record::{UNPROVEN, decoy, hold_people, next_in_team, record, touch_decoy};
pub use sweep::{Swept, sweep};
