//! Settings that are one word of a list. Each list is an enum with its words.

use super::kind::Value;
use super::read::{FromItem, FromValue};

/// Declares the words of a setting.
macro_rules! setting_words {
    ($(
        $(#[doc = $about:literal])+
        $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $word:literal),+ $(,)? }
    )+) => {$(
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl $name {
            /// The words, in the order of the documentation.
            pub const WORDS: &[&str] = &[$($word),+];

            /// What a word means.
            pub fn of(word: &str) -> Option<Self> {
                [$(($word, Self::$variant)),+].into_iter().find_map(|(it, value)| (it == word).then_some(value))
            }
        }

        impl FromValue for $name {
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::Word(word) => Self::of(word),
                    _ => None,
                }
            }
        }

        impl FromItem for $name {
            fn from_item(item: &str) -> Option<Self> {
                Self::of(item)
            }
        }
    )+};
}

setting_words! {
    /// `profile`: what is refused.
    Profile {
        /// Everything works at once on one machine.
        Development = "development",
        /// Refuses what must not face the world.
        Production = "production",
    }

    /// `captcha.provider`
    CaptchaProvider {
        /// Built in, proof of work.
        Altcha = "altcha",
        /// Cloudflare's.
        CloudflareTurnstile = "turnstile",
        /// hCaptcha.
        Hcaptcha = "hcaptcha",
        /// Google's.
        Recaptcha = "recaptcha",
        /// None is asked for anywhere.
        None = "none",
    }

    /// `captcha.fallback`
    CaptchaFallback {
        /// A vendor that is away refuses everybody.
        None = "none",
        /// The built-in proof of work counts meanwhile.
        Altcha = "altcha",
    }

    /// `captcha.on`
    CaptchaPoint {
        /// Resending the confirmation mail.
        Resend = "resend",
        /// Registering.
        Register = "register",
        /// Asking for a recovery mail.
        Forgot = "forgot",
        /// Asking whether an address has an account.
        ExistEmail = "exist-email",
        /// Logging in after failures.
        LoginAfterFailures = "login-after-failures",
    }

    /// `tokens.algorithm`
    VaultAlgorithm {
        /// ECDSA on P-256 (RFC 7518 §3.4).
        Es256 = "ES256",
        /// Ed25519 (RFC 8037).
        EdDsa = "EdDSA",
        /// RSASSA-PKCS1-v1_5 with 2048 bits (RFC 7518 §3.3).
        Rs256 = "RS256",
        /// HMAC with `tokens.secret` (RFC 7518 §3.2).
        Hs256 = "HS256",
    }

    /// `registration.mode`
    RegistrationMode {
        /// Anybody.
        Open = "open",
        /// Only who was invited.
        Invite = "invite",
        /// Only addresses of the listed domains.
        Domains = "domains",
        /// Nobody.
        Closed = "closed",
    }

    /// `registration.expose_existence`
    ExposeExistence {
        /// Anybody, rate-limited.
        Limited = "limited",
        /// With a captcha.
        Captcha = "captcha",
        /// Nobody: 404.
        Off = "off",
    }

    /// `password.engine`
    PasswordEngine {
        /// The `argon2` crate.
        Argon2 = "argon2",
        /// `argon2-rust`.
        Simd = "simd",
    }

    /// `log.format`
    LogFormat {
        /// For people on a terminal.
        Pretty = "pretty",
        /// For machines.
        Json = "json",
    }

    /// `telemetry.protocol`
    Protocol {
        /// OTLP as protobuf over HTTP/1.1.
        Http = "http/protobuf",
        /// OTLP over gRPC.
        Grpc = "grpc",
    }
}
