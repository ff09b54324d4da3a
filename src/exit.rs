//! Exit codes of the process, which scripts can tell apart.

/// Something went wrong.
pub const FAILED: u8 = 1;
/// The command line makes no sense (clap's own).
pub const USAGE: u8 = 2;
/// A check says no.
pub const CHECK_SAYS_NO: u8 = 3;
/// A dependency cannot be reached (`EX_UNAVAILABLE` of sysexits.h).
pub const UNREACHABLE: u8 = 69;
/// The configuration is wrong (`EX_CONFIG` of sysexits.h).
pub const BAD_CONFIGURATION: u8 = 78;
