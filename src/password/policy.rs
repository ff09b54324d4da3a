//! The rules for a new password. The password has a minimum and a maximum length. It is not a
//! common password, not a name of this installation and not the user's own data.
//!
//! There are no composition rules and no expiry (NIST SP 800-63B-4 §3.1.1.2, ASVS 6.2.5, 6.2.10).
//! Only the whole password is compared, never a part of it. So a longer phrase that contains
//! `password` is allowed.

use std::error::Error;
use std::fmt;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::{common, normalized};
use crate::config::{Config, Url};
use crate::secret::Secret;

/// The maximum length of a password, in code points after NFC. NIST requires that a maximum is at
/// least 64. The length has a maximum because argon2 reads every byte of the password.
pub const PASSWORD_CHARS_MAX: usize = 256;

/// The rules for a new password.
#[derive(Clone, Debug)]
pub struct Policy {
    length_min: usize,
    /// The names of this installation, in lower case. A password may not be one of them.
    ours: Box<[String]>,
}

impl Policy {
    /// Creates the rules from the settings. `password.min_length` is the minimum length in code
    /// points. A password may not be `latchkey`, the host of `public_url`, one of the host's
    /// labels, or the name in `mail.from` (ASVS 6.2.11).
    pub fn of(config: &Config) -> Self {
        Self::new(config.password.min_length, &config.public_url, &config.mail.from)
    }

    fn new(length_min: usize, public_url: &str, mail_from: &str) -> Self {
        let host = Url::parse(public_url).map_or("", |url| url.host);
        let sender = mail_from.split('<').next().unwrap_or("").trim().trim_matches('"');
        let words = ["latchkey", host, sender].into_iter().chain(host.split('.'));
        let ours = words.filter(|word| !word.is_empty()).map(folded).collect();
        Self { length_min, ours }
    }

    /// Checks a password against the rules.
    ///
    /// `context` contains words that an attacker would try for this user: the email address, its
    /// local part, the user's name and the names of the user's teams. The password is compared with
    /// these words, with the names of the installation and with the common passwords. The
    /// comparison ignores case and uses the whole password.
    pub fn check(
        &self,
        password: &Secret<String>,
        context: &[&str],
    ) -> Result<(), PolicyViolation> {
        let text = normalized(password);
        let length = text.chars().take(PASSWORD_CHARS_MAX + 1).count();
        if length < self.length_min {
            return Err(PolicyViolation::TooShort { length_min: self.length_min });
        }
        if length > PASSWORD_CHARS_MAX {
            return Err(PolicyViolation::TooLong);
        }
        let lowercase = Zeroizing::new(text.to_lowercase());
        if self.ours.contains(&lowercase) || context.iter().any(|word| folded(word) == *lowercase) {
            return Err(PolicyViolation::Contextual);
        }
        if common::is_common(&lowercase) {
            return Err(PolicyViolation::TooCommon);
        }
        Ok(())
    }
}

/// Converts a word to the form in which words and passwords are compared: NFC, then lower case.
fn folded(word: &str) -> String {
    word.nfc().collect::<String>().to_lowercase()
}

/// Why a password is refused. `Display` writes the reason for the user who chose the password,
/// because NIST requires a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyViolation {
    TooShort {
        /// The minimum length in code points.
        length_min: usize,
    },
    /// The password is longer than [`PASSWORD_CHARS_MAX`].
    TooLong,
    /// The password is on the list of common passwords.
    TooCommon,
    /// The password is the user's email address or its local part, the user's name, the name of a
    /// team, or a name of the installation.
    Contextual,
}

impl PolicyViolation {
    /// The violation's stable name for programs, in `errors[].code` of a 422 response.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooShort { .. } => "too-short",
            Self::TooLong => "too-long",
            Self::TooCommon => "too-common",
            Self::Contextual => "contextual",
        }
    }
}

impl fmt::Display for PolicyViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { length_min } => {
                write!(f, "The password is shorter than {length_min} characters.")
            }
            Self::TooLong => {
                write!(f, "The password is longer than {PASSWORD_CHARS_MAX} characters.")
            }
            Self::TooCommon => f.write_str(
                "The password is one of the most common passwords. Attackers try these first.",
            ),
            Self::Contextual => f.write_str(
                "The password is your email address, or a name of yours, of your team or of this service. Attackers try these first.",
            ),
        }
    }
}

impl Error for PolicyViolation {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CONTEXT: [&str; 3] = ["ada.lovelace@a.example", "ada.lovelace", "Ada Lovelace"];

    fn at_least(length_min: usize) -> Policy {
        let mail_from = "\"The Bookshop\" <no-reply@bookshop-example.org>";
        Policy::new(length_min, "https://login.Bookshop-Example.org", mail_from)
    }

    fn check(password: &str) -> Result<(), PolicyViolation> {
        at_least(8).check(&Secret::new(password.to_owned()), &CONTEXT)
    }

    #[test]
    fn length_is_counted_in_code_points_after_nfc() {
        const SHORT: PolicyViolation = PolicyViolation::TooShort { length_min: 8 };
        assert_eq!(check(""), Err(SHORT));
        assert_eq!(check("kqv7zpw"), Err(SHORT));
        assert_eq!(check("kqv7zpwx"), Ok(()));
        assert_eq!(check(&"🔑".repeat(8)), Ok(()));
        assert_eq!(check(&"e\u{301}".repeat(7)), Err(SHORT), "14 code points are 7 in NFC");
        assert_eq!(check(&"ab".repeat(128)), Ok(()));
        assert_eq!(check(&format!("{}a", "ab".repeat(128))), Err(PolicyViolation::TooLong));
        assert_eq!(check(&"e\u{301}".repeat(256)), Ok(()));
        let long = at_least(15).check(&Secret::new("kqv7zpwxkqv7zp".into()), &[]);
        assert_eq!(long, Err(PolicyViolation::TooShort { length_min: 15 }));
    }

    #[test]
    fn any_character_is_allowed_and_nothing_is_trimmed() {
        assert_eq!(check("\0\u{1}\n\t    "), Ok(()));
        assert_eq!(check(" password "), Ok(()), "with its spaces it is another password");
    }

    #[test]
    fn common_passwords_are_refused_in_any_case() {
        for password in
            ["password", "PassWord", "12345678", "qwertyuiop", "Password123", "iloveyou1"]
        {
            assert_eq!(check(password), Err(PolicyViolation::TooCommon), "{password}");
        }
        assert_eq!(check("password and more"), Ok(()), "the whole password is compared");
    }

    #[test]
    fn the_persons_own_data_is_refused_in_any_case() {
        for password in ["Ada.Lovelace@A.example", "ADA.LOVELACE", "ada lovelace"] {
            assert_eq!(check(password), Err(PolicyViolation::Contextual), "{password}");
        }
        assert_eq!(check("ada lovelace 1815"), Ok(()));
    }

    #[test]
    fn what_the_installation_calls_itself_is_refused_in_any_case() {
        for password in
            ["LatchKey", "login.bookshop-example.org", "Bookshop-Example", "the bookshop"]
        {
            assert_eq!(check(password), Err(PolicyViolation::Contextual), "{password}");
        }
        assert_eq!(check("the bookshop 1815"), Ok(()));
    }

    proptest! {
        #[test]
        fn checking_never_panics(password in any::<String>(), context in any::<String>()) {
            let _ = at_least(8).check(&Secret::new(password), &[&context]);
        }
    }
}
