//! The exit code of a command whose work failed: 69 if a dependency became unreachable, otherwise
//! 1.

use std::error::Error;
use std::process::ExitCode;

use super::output::Talk;
use crate::database;
use crate::exit::{FAILED, UNREACHABLE};
use crate::problem::Unavailable;

/// Reports the error, and returns the exit code.
pub fn broken_off(talk: Talk, error: &(dyn Error + 'static)) -> ExitCode {
    talk.fail(&error.to_string());
    ExitCode::from(exit_code(error))
}

/// Returns the exit code for an error. The cause of the error decides, even if other errors wrap
/// the cause.
pub fn exit_code(error: &(dyn Error + 'static)) -> u8 {
    if let Some(is_unreachable) = database::is_unreachable_cause(error) {
        return if is_unreachable { UNREACHABLE } else { FAILED };
    }
    let mut next = Some(error);
    while let Some(error) = next {
        // For dependencies other than the database, `Unavailable` always means an outage.
        if error.is::<Unavailable>() {
            return UNREACHABLE;
        }
        next = error.source();
    }
    FAILED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_ends_with_a_code_of_its_own() {
        assert_eq!(exit_code(&Unavailable::because("token store", "refused")), UNREACHABLE);
        assert_eq!(exit_code(&std::io::Error::other("a disk")), FAILED);
    }
}
