//! Finds out whether an error comes from the database, even if other errors wrap the database's
//! error.

use std::error::Error;

use sea_orm::DbErr;

use super::is_unreachable;

/// Whether the cause of an error is that the database cannot be reached. `None` if the database is
/// not the cause.
pub fn is_unreachable_cause(error: &(dyn Error + 'static)) -> Option<bool> {
    cause(error).map(is_unreachable)
}

/// The database's error in an error and its causes.
pub fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a DbErr> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<DbErr>() {
            return Some(error);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnAcquireErr;

    use super::*;
    use crate::problem::Unavailable;
    use crate::token::KeysError;

    #[test]
    fn the_cause_decides_however_it_is_wrapped() {
        let away = || DbErr::ConnectionAcquire(ConnAcquireErr::Timeout);
        let refused = || DbErr::Custom("another process changed it".to_owned());
        assert_eq!(is_unreachable_cause(&away()), Some(true));
        assert_eq!(is_unreachable_cause(&Unavailable::from(away())), Some(true));
        assert_eq!(is_unreachable_cause(&KeysError::from(away())), Some(true));
        assert_eq!(is_unreachable_cause(&refused()), Some(false));
        assert_eq!(is_unreachable_cause(&KeysError::from(refused())), Some(false));
        assert_eq!(is_unreachable_cause(&Unavailable::because("token store", "refused")), None);
        assert_eq!(is_unreachable_cause(&std::io::Error::other("a disk")), None);
    }
}
