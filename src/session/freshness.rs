//! The fresh proofs that sensitive actions need (RFC 9470).

use std::time::Duration;

use super::proof::{self, Level};
use super::{AccountStatus, Principal};
use crate::clock::{CLOCKS_APART_MAX, UnixMillis, millis};
use crate::factor::FactorMethod;
use crate::store::{AAL1, Session};

/// The proof that an action needs. A fresh proof is at most `sessions.fresh_for` old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreshProof {
    /// If the account has a second factor, a fresh proof with it. Otherwise the action asks for the
    /// password itself, or needs no proof.
    SecondFactor,
    /// If the account has a second factor, a fresh proof with it. Otherwise any fresh proof.
    Any,
    /// If the account has a second factor, a fresh proof with it. Otherwise a fresh proof by
    /// password.
    Password,
    /// A fresh proof with a second factor. An account without one cannot do the action.
    Always,
}

/// A session whose proof is too old or too low.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepUpRequired {
    /// The lowest level that is enough.
    pub level: Level,
    /// How old the proof may be.
    pub fresh_for: Duration,
    /// The names of the methods that would be enough. Empty if the account has none.
    pub methods: Vec<&'static str>,
}

impl FreshProof {
    /// Checks the proof of a session.
    ///
    /// # Errors
    /// The level that the action needs, if the proof is too old or too low.
    pub fn check(
        self,
        Principal { session, standing, .. }: &Principal,
        fresh_for: Duration,
        now: UnixMillis,
    ) -> Result<(), Level> {
        // A proof from the future was made before a clock was set back, so its age is unknown.
        let is_recent = |at: UnixMillis| {
            (-millis(CLOCKS_APART_MAX)..=millis(fresh_for)).contains(&now.saturating_sub(at))
        };
        let is_fresh = session.fresh && is_recent(session.auth_time);
        if standing.has_factor() || self == Self::Always {
            let is_enough = is_fresh && proof::level(session, standing) == Level::Aal2;
            return if is_enough { Ok(()) } else { Err(Level::Aal2) };
        }
        let is_enough = match self {
            Self::SecondFactor | Self::Always => true,
            Self::Any => is_fresh,
            // After the removal of the last factor, the newest proof is perhaps a code. Then only
            // the login proved the password.
            Self::Password => {
                is_fresh
                    && proof::is_by_password(session)
                    && (session.acr == AAL1 || is_recent(session.created_at))
            }
        };
        if is_enough { Ok(()) } else { Err(Level::Aal1) }
    }
}

/// The names of the methods by which a session reaches a level. `factors` are the methods of the
/// account.
pub fn methods_of(
    level: Level,
    (session, account): (&Session, &AccountStatus),
    factors: &[FactorMethod],
) -> Vec<&'static str> {
    if level == Level::Aal1 && !account.has_factor() {
        return vec!["password"];
    }
    // A code after a mailed link is the only factor, so the session first needs the password.
    let is_by_mail = session.amr.first().is_some_and(|method| method == "email");
    let codes_count = |method: &&FactorMethod| !is_by_mail || **method == FactorMethod::Passkey;
    let mut names: Vec<&'static str> =
        factors.iter().filter(codes_count).map(|method| method.name()).collect();
    if is_by_mail && !factors.is_empty() {
        names.push("password");
    }
    names
}
