//! Captchas: who may make us send mail, hash or tell.
//!
//! One port, [`Message::Check`], and five drivers behind it: [`altcha`], the built-in proof of work; three vendors, each
//! a table of what it documents ([`driver`]), asked by [`vendor`] and judged by [`siteverify`]; and none. [`Judge`] knows
//! which is in force. A good answer is spent in the store, once, whoever made it.

pub mod altcha;
pub mod driver;
mod hcaptcha;
mod judge;
mod recaptcha;
pub mod siteverify;
mod turnstile;
pub mod vendor;
mod worker;

pub use self::altcha::{Altcha, CaptchaRefusal, Solved};
pub use hcaptcha::HCAPTCHA;
pub use judge::{Judge, Offer};
pub use recaptcha::{RECAPTCHA_V2, RECAPTCHA_V3};
pub use turnstile::TURNSTILE;
pub use vendor::Vendor;
pub use worker::{Answer, Message, VendorState, Verdict, Worker};
