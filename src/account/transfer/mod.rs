//! Accounts in and out, as JSON lines: what another auth server exports, and what we export ourselves.
//!
//! [`mod@line`] reads and writes one account, [`import`] puts many into the database, [`export`] takes them out page by page.
//! Importing what was exported gives the same accounts.

pub mod export;
pub mod import;
pub mod line;

pub use line::{Line, LineError, Record};
