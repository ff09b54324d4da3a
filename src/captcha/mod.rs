//! Captchas: who may make us send mail, hash or tell.
//!
//! One port, [`Captchas::verify`], and five drivers behind it: [`altcha`], the built-in proof of work; three vendors, each
//! a table of what it documents ([`driver`]), asked by [`vendor`] and judged by [`siteverify`]; and none. [`Verifier`] knows
//! which is in force. A good answer is spent in the store, once, whoever made it.

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
