//! How a command ends whose work broke off on the way: 69 where what it stands on went away, else 1.

use std::error::Error;
use std::process::ExitCode;

use sea_orm::DbErr;

use super::output::Talk;
use crate::database::is_unreachable;
use crate::exit::{FAILED, UNREACHABLE};
use crate::problem::Unavailable;

/// Says what broke it off, and ends it.
pub fn broken_off(talk: Talk, error: &(dyn Error + 'static)) -> ExitCode {
    talk.fail(&error.to_string());
    ExitCode::from(exit_code(error))
}

/// The cause decides, however it is wrapped.
pub fn exit_code(error: &(dyn Error + 'static)) -> u8 {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<DbErr>() {
            return if is_unreachable(error) { UNREACHABLE } else { FAILED };
        }
        // Of other dependencies an outage is all that is folded into it.
        if let Some(it) = error.downcast_ref::<Unavailable>()
            && it.dependency != "database"
        {
            return UNREACHABLE;
        }
        next = error.source();
    }
    FAILED
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnAcquireErr;

    use super::*;
    use crate::token::KeysError;

    #[test]
    fn the_cause_decides_however_it_is_wrapped() {
        let away = || DbErr::ConnectionAcquire(ConnAcquireErr::Timeout);
        let refused = || DbErr::Custom("another process changed it".to_owned());
        assert_eq!(exit_code(&away()), UNREACHABLE);
        assert_eq!(exit_code(&Unavailable::from(away())), UNREACHABLE);
        assert_eq!(exit_code(&KeysError::from(away())), UNREACHABLE);
        assert_eq!(exit_code(&Unavailable::because("token store", "refused")), UNREACHABLE);
        assert_eq!(exit_code(&refused()), FAILED);
        assert_eq!(exit_code(&KeysError::from(refused())), FAILED);
        assert_eq!(exit_code(&std::io::Error::other("a disk")), FAILED);
    }
}
