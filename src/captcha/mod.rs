//! Captchas, which protect the endpoints that send mail, hash passwords or reveal whether an
//! account exists.
//!
//! [`Captchas::verify`] verifies a solution. There are five drivers: [`altcha`] is the built-in
//! proof of work, three vendors are described as data ([`driver`]), and `none` turns captchas off.
//! [`vendor`] sends the requests to a vendor and [`siteverify`] verifies its responses.
//! [`Verifier`] knows which driver is active. Every valid solution is marked as used in the store,
//! so that it is accepted once.

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
