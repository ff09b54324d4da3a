//! [`Proof`]: how a user has authenticated, with its level (`acr`) and methods (`amr`).

use super::AccountStatus;
use super::gate::FirstProof;
use crate::clock::UnixMillis;
use crate::factor::FactorMethod;
use crate::store::{AAL1, AAL2, Session};
use crate::telemetry::labels::{FirstProofMethod, OpenedSessions, SessionLevel};

/// The methods of a proof (RFC 8176). `email` and `rc` are private to latchkey.
const PASSWORD: &str = "pwd";
const MAIL: &str = "email";
const PASSKEY: &str = "pop";
const TWO_FACTORS: &str = "mfa";

/// The level of an authentication (`acr`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// One factor.
    Aal1,
    /// Two factors.
    Aal2,
}

impl Level {
    /// The value of `acr`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aal1 => AAL1,
            Self::Aal2 => AAL2,
        }
    }
}

/// How a user has authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub level: Level,
    /// The value of `amr`.
    pub methods: Vec<&'static str>,
}

impl Proof {
    /// The first proof of a login, without another one.
    pub fn of_first(first: FirstProof) -> Self {
        if first == FirstProof::Passkey {
            return Self::of_passkey();
        }
        Self { level: Level::Aal1, methods: vec![first.amr()] }
    }

    /// A second factor, after the first proof `first`. A mailed link is no factor (NIST SP
    /// 800-63B-4 §3.1.3.1), so a code after it is the only factor. A passkey is two factors by
    /// itself: the device, and what unlocks it.
    pub fn of_factor(first: &str, method: FactorMethod) -> Self {
        if method == FactorMethod::Passkey && first != PASSWORD {
            return Self::of_passkey();
        }
        let first = match first {
            PASSWORD => PASSWORD,
            PASSKEY => PASSKEY,
            _ => return Self { level: Level::Aal1, methods: vec![MAIL, method.amr()] },
        };
        Self { level: Level::Aal2, methods: vec![first, method.amr(), TWO_FACTORS] }
    }

    /// A passkey, with or without a mailed link before it.
    fn of_passkey() -> Self {
        Self { level: Level::Aal2, methods: vec![PASSKEY, TWO_FACTORS] }
    }

    /// The series of the metric that counts new sessions.
    pub fn series(&self) -> OpenedSessions {
        let method = match self.methods.first() {
            Some(&MAIL) => FirstProofMethod::Email,
            Some(&PASSKEY) => FirstProofMethod::Passkey,
            _ => FirstProofMethod::Password,
        };
        let level = match self.level {
            Level::Aal1 => SessionLevel::Aal1,
            Level::Aal2 => SessionLevel::Aal2,
        };
        (method, level)
    }
}

impl FirstProof {
    /// The method in `amr`.
    pub const fn amr(self) -> &'static str {
        match self {
            Self::Password => PASSWORD,
            Self::Mail => MAIL,
            Self::Passkey => PASSKEY,
        }
    }
}

/// The level of a session. A session of an account without factors has the level `aal1`, so the
/// removal of the last factor lowers every session at once.
pub fn level(session: &Session, account: &AccountStatus) -> Level {
    if session.acr == AAL2 && account.has_factor() { Level::Aal2 } else { Level::Aal1 }
}

/// The methods of a session's newest proof.
pub fn methods(session: &Session, account: &AccountStatus) -> Vec<String> {
    let is_lowered = session.acr == AAL2 && !account.has_factor();
    let methods = session.amr.iter();
    methods.take(if is_lowered { 1 } else { usize::MAX }).cloned().collect()
}

/// Whether the user proved the password in the newest proof.
pub fn is_by_password(session: &Session) -> bool {
    session.amr.iter().any(|method| method == PASSWORD)
}

/// Writes a proof to a session. A proof below the session's level changes nothing, so a password
/// never makes the proof of a second factor fresh. Returns whether the session changed.
pub fn renew(session: &mut Session, (level, proof): (Level, &Proof), now: UnixMillis) -> bool {
    if proof.level < level {
        return false;
    }
    proof.level.name().clone_into(&mut session.acr);
    session.amr = proof.methods.iter().map(|&method| method.to_owned()).collect();
    session.auth_time = now;
    session.fresh = true;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_after_a_mailed_link_is_one_factor() {
        let of = |first: &str, method| {
            let proof = Proof::of_factor(first, method);
            (proof.level, proof.methods.join(" "))
        };
        assert_eq!(of("pwd", FactorMethod::Totp), (Level::Aal2, "pwd otp mfa".to_owned()));
        assert_eq!(of("pwd", FactorMethod::RecoveryCode), (Level::Aal2, "pwd rc mfa".to_owned()));
        assert_eq!(of("pop", FactorMethod::Totp), (Level::Aal2, "pop otp mfa".to_owned()));
        assert_eq!(of("email", FactorMethod::Totp), (Level::Aal1, "email otp".to_owned()));
        assert_eq!(of("email", FactorMethod::RecoveryCode), (Level::Aal1, "email rc".to_owned()));
    }

    #[test]
    fn a_passkey_is_two_factors() {
        for (first, methods) in
            [("pwd", "pwd pop mfa"), ("pop", "pop mfa"), ("email", "pop mfa"), ("", "pop mfa")]
        {
            let proof = Proof::of_factor(first, FactorMethod::Passkey);
            assert_eq!((proof.level, proof.methods.join(" ").as_str()), (Level::Aal2, methods));
        }
    }
}
