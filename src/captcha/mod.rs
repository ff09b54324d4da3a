//! Captchas, which protect the endpoints that send mail, hash passwords or reveal whether an
//! account exists.
//!
//! [`Captchas::verify`] verifies a solution. The setting `captcha.provider` has five values.
//! [`altcha`] is the built-in proof of work, three values are vendors, and `none` switches captchas
//! off. The properties of the vendors are described as data ([`driver`]). [`vendor`] sends requests
//! to a vendor, and [`siteverify`] verifies the vendor's responses. [`Verifier`] contains the
//! active provider. Every valid solution is marked as used in the token store, so that it is
//! accepted only once.

pub mod altcha;
mod cloudflare;
pub mod driver;
mod hcaptcha;
mod recaptcha;
pub mod siteverify;
pub mod vendor;
mod verifier;
mod worker;

pub use self::altcha::{Altcha, CaptchaRefusal, DIFFICULTY_MAX, Solved};
pub use cloudflare::TURNSTILE;
pub use hcaptcha::HCAPTCHA;
pub use recaptcha::{RECAPTCHA_V2, RECAPTCHA_V3};
pub use vendor::Vendor;
pub use verifier::{Offer, Verifier};
pub use worker::{
    CaptchaCommand, CaptchaError, CaptchaWorker, Captchas, Demand, SPENT_TTL, Solution,
    VendorState, Verdict,
};
