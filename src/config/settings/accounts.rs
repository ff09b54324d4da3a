//! The settings of accounts: `registration.*` and `password.*`.

use std::time::Duration;

use super::settings;
use crate::config::Pepper;
use crate::config::kind::Item::{self, Domain};
use crate::config::kind::Kind::{self, Integer, List, Url, Word};
use crate::config::setting::Fallback::{Derived, Is, Nothing};
use crate::config::setting::{D, S};
use crate::config::words::{ExposeExistence, PasswordEngine, RegistrationMode};

settings! {
    /// Which users may register
    Registration = "registration" {
        /// Which users may register. `open`: all users. `invite`: only invited users. `domains`:
        /// only users with an email address of `registration.domains`. `closed`: no user.
        mode: RegistrationMode = "registration.mode", Word(RegistrationMode::WORDS), Is("open");
        /// The domains whose email addresses may register, if `registration.mode` is `domains`.
        /// Subdomains are not included.
        domains: Vec<String> = "registration.domains", List(Domain), Is("");
        /// An account is deleted after this time if its email address was never confirmed.
        unverified_ttl: Duration = "registration.unverified_ttl", Kind::Duration(S, 400 * D), Is("72h");
        /// Which clients may ask whether an email address has an account. `limited`: all clients,
        /// within rate limits. `captcha`: clients that solve a captcha. `off`: no client.
        expose_existence: ExposeExistence = "registration.expose_existence",
            Word(ExposeExistence::WORDS), Is("limited");
    }
}

settings! {
    /// Rules for passwords, and the cost of a hash
    Password = "password" {
        /// The memory that one argon2id hash uses, in KiB. Each lane needs at least 8 KiB. The
        /// default is the value that OWASP recommends.
        memory_kib: u32 = "password.memory_kib", Integer(8, 4_194_304), Is("19456");
        /// The number of passes of argon2id.
        iterations: u32 = "password.iterations", Integer(1, u32::MAX as u64), Is("2");
        /// The number of lanes of argon2id.
        parallelism: u32 = "password.parallelism", Integer(1, 16_777_215), Is("1");
        /// The minimum length of a password in Unicode code points, counted after NFC
        /// normalization. NIST asks for 15 if the password is the only factor.
        min_length: usize = "password.min_length", Integer(8, 256), Is("8");
        /// How many hashes are computed at the same time. Together they need this number times
        /// `password.memory_kib` KiB of memory.
        workers: usize = "password.workers", Integer(1, 1_024), Derived("the number of cores", "2");
        /// Which code computes the hashes. `simd` computes 2.7 to 3 times as many hashes as
        /// `argon2`, but has not been audited. At every start, the daemon compares the results of
        /// `simd` with those of `argon2` (docs/passwords.md).
        engine: PasswordEngine = "password.engine", Word(PasswordEngine::WORDS), Is("argon2");
        /// The key of an HMAC that is computed from the password before every hash. Write a version
        /// from 1 to 9999, a colon, and at least 32 bytes in base64. If you lose the key, no
        /// password is valid any more.
        pepper: Option<Pepper> = "password.pepper", Kind::Pepper,
            Nothing("2:YW4gZXhhbXBsZSBvZiAzMiBieXRlczogbm90IGtlcHQ=");
        /// Earlier peppers, each written as `version:key`. Do not remove an earlier pepper while
        /// hashes with this pepper exist. When a user logs in, latchkey replaces a hash that has an
        /// earlier pepper.
        pepper_previous: Vec<Pepper> = "password.pepper_previous", List(Item::Pepper), Is("");
        /// The URL of a service that knows breached passwords. latchkey sends only the first five
        /// digits of a password's SHA-1 (k-anonymity). If you do not set this URL, passwords are
        /// not checked for breaches. While the service does not respond, passwords are accepted.
        breach_url: Option<String> = "password.breach_url", Url(&["http", "https"]),
            Nothing("https://api.pwnedpasswords.com/range/");
    }
}
