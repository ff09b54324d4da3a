//! Exit codes of the process. Scripts can see from the code why a command failed.

/// The command failed for a reason that has no code of its own.
pub const FAILED: u8 = 1;
/// The command line is invalid. clap uses the same code.
pub const USAGE: u8 = 2;
/// A check failed, the schema is not up to date, or the object that the command line names does not
/// exist.
pub const CHECK_SAYS_NO: u8 = 3;
/// A dependency cannot be reached (`EX_UNAVAILABLE` of sysexits.h).
pub const UNREACHABLE: u8 = 69;
/// The configuration is wrong (`EX_CONFIG` of sysexits.h).
pub const BAD_CONFIGURATION: u8 = 78;
