//! Import and export of accounts as JSON lines. An import reads what another auth server or
//! latchkey itself has exported.
//!
//! [`mod@line`] reads and writes one account, and [`factors`] its second factors. [`repeats`]
//! compares the lines of a file with each other. [`import`] compares them with the accounts of the
//! database, and writes new accounts. [`export`] reads them page by page. If an export is imported,
//! the same accounts are created.

pub mod export;
pub mod factors;
pub mod import;
pub mod line;
pub mod repeats;

pub use line::{Line, LineError, Record};
