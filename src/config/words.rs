//! Settings whose value is one word of a list. Each list is an enum.

use super::kind::Value;
use super::read::{FromItem, FromValue};

/// Declares the enum of a setting's words.
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

            /// The variant of a word.
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
    /// `profile`: how strict the checks of the configuration are.
    Profile {
        /// Warns about settings that are unsafe on a public network, and works on one machine
        /// without further settings.
        Development = "development",
        /// Refuses settings that are unsafe on a public network.
        Production = "production",
    }

    /// `captcha.provider`
    CaptchaProvider {
        /// The built-in proof of work.
        Altcha = "altcha",
        /// Cloudflare Turnstile.
        CloudflareTurnstile = "turnstile",
        /// hCaptcha.
        Hcaptcha = "hcaptcha",
        /// Google reCAPTCHA.
        Recaptcha = "recaptcha",
        /// No request needs a captcha.
        None = "none",
    }

    /// `captcha.fallback`
    CaptchaFallback {
        /// While the vendor does not respond, no captcha is accepted.
        None = "none",
        /// While the vendor does not respond, the built-in proof of work is accepted.
        Altcha = "altcha",
    }

    /// `captcha.on`
    CaptchaPoint {
        /// A request to send the confirmation mail again.
        Resend = "resend",
        /// A registration.
        Register = "register",
        /// A request for a recovery mail.
        Forgot = "forgot",
        /// A request that asks whether an email address has an account.
        ExistEmail = "exist-email",
        /// A login after failed logins.
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
        /// Any client may register.
        Open = "open",
        /// Only invited users may register.
        Invite = "invite",
        /// Only users with an email address of the listed domains may register.
        Domains = "domains",
        /// No client may register.
        Closed = "closed",
    }

    /// `registration.expose_existence`
    ExposeExistence {
        /// Any client may ask, within rate limits.
        Limited = "limited",
        /// A client needs a captcha to ask.
        Captcha = "captcha",
        /// No client may ask. The response is 404.
        Off = "off",
    }

    /// `password.engine`
    PasswordEngine {
        /// The `argon2` crate.
        Argon2 = "argon2",
        /// The `argon2-rust` crate.
        Simd = "simd",
    }

    /// `log.format`
    LogFormat {
        /// A format that is easy to read on a terminal.
        Pretty = "pretty",
        /// One JSON object on each line.
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
