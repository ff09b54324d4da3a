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
        /// Which users may register: everyone, invited users, users with an address of
        /// `registration.domains`, nobody.
        mode: RegistrationMode = "registration.mode", Word(RegistrationMode::WORDS), Is("open");
        /// With mode `domains`: the domains whose addresses may register. Subdomains are not
        /// included.
        domains: Vec<String> = "registration.domains", List(Domain), Is("");
        /// An account is deleted after this time if its address was never confirmed.
        unverified_ttl: Duration = "registration.unverified_ttl", Kind::Duration(S, 400 * D), Is("72h");
        /// Which clients may ask whether an address has an account: all within limits, all with a
        /// captcha, none.
        expose_existence: ExposeExistence = "registration.expose_existence",
            Word(ExposeExistence::WORDS), Is("limited");
    }
}

settings! {
    /// Rules for passwords, and the cost of a hash
    Password = "password" {
        /// The memory of one argon2id hash in KiB, at least 8 for each lane. The default is
        /// OWASP's.
        memory_kib: u32 = "password.memory_kib", Integer(8, 4_194_304), Is("19456");
        /// The passes of argon2id.
        iterations: u32 = "password.iterations", Integer(1, u32::MAX as u64), Is("2");
        /// The lanes of argon2id.
        parallelism: u32 = "password.parallelism", Integer(1, 16_777_215), Is("1");
        /// The fewest code points of a password, counted after NFC. NIST asks for 15 where the
        /// password is the only factor.
        min_length: usize = "password.min_length", Integer(8, 256), Is("8");
        /// How many hashes are computed at once. They need this number times `password.memory_kib`
        /// of memory.
        workers: usize = "password.workers", Integer(1, 1_024), Derived("one for each core", "2");
        /// Which code computes the hashes. `simd` computes 2.7 to 3 times as many, has not been
        /// audited, and is compared with `argon2` at every start (docs/passwords.md).
        engine: PasswordEngine = "password.engine", Word(PasswordEngine::WORDS), Is("argon2");
        /// A key of an HMAC that is computed before every hash: a version from 1 to 9999, a colon,
        /// and at least 32 bytes in base64. If you lose it, no password can be verified any more.
        pepper: Option<Pepper> = "password.pepper", Kind::Pepper,
            Nothing("2:YW4gZXhhbXBsZSBvZiAzMiBieXRlczogbm90IGtlcHQ=");
        /// Earlier peppers, each `version:key`, for as long as hashes with them exist. A login
        /// replaces such a hash.
        pepper_previous: Vec<Pepper> = "password.pepper_previous", List(Item::Pepper), Is("");
        /// A service that knows breached passwords by the first five digits of their SHA-1
        /// (k-anonymity). Without it, passwords are not checked for breaches. While it does not
        /// respond, passwords are accepted.
        breach_url: Option<String> = "password.breach_url", Url(&["http", "https"]),
            Nothing("https://api.pwnedpasswords.com/range/");
    }
}
