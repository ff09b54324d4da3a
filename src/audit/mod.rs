//! Who did what, on whom, when, from where, with what outcome: one row an event, in the transaction of the change.
//!
//! Rows form chains ("streams"): a team's for what happens in a team, a person's for what happens to an account, the
//! installation's for the rest. Each row is authenticated over the one before it ([`seal`]), both ends of a stream are
//! sealed, and what identifies a person stands apart under a salted commitment, so that it can be deleted and the chain
//! still verifies. Rooms call [`record`] within their transaction; an error of it fails the change. Once the transaction has
//! lasted each event is a line in the log, too ([`TARGET`]).
//!
//! Locks are taken in this order, also by who calls: people, then the person's stream, then a team's.

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
