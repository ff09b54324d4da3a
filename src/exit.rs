//! Exit codes of the process, by which scripts can tell the causes apart.

/// Any failure without a code of its own.
pub const FAILED: u8 = 1;
/// The command line is invalid. clap uses the same code.
pub const USAGE: u8 = 2;
/// A check failed, the schema is not up to date, or what the command names does not exist.
pub const CHECK_SAYS_NO: u8 = 3;
/// A dependency cannot be reached (`EX_UNAVAILABLE` of sysexits.h).
pub const UNREACHABLE: u8 = 69;
/// The configuration is wrong (`EX_CONFIG` of sysexits.h).
pub const BAD_CONFIGURATION: u8 = 78;
