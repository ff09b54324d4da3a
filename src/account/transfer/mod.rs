//! Import and export of accounts as JSON lines. An import reads what another auth server or
//! latchkey itself has exported.
//!
//! [`mod@line`] reads and writes one account. [`import`] writes many accounts to the database.
//! [`export`] reads them page by page. If an export is imported, the same accounts are created.

pub mod export;
pub mod import;
pub mod line;

pub use line::{Line, LineError, Record};
