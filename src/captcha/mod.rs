//! Captchas: who may make us send mail, hash or tell.
//!
//! [`altcha`] is the built-in provider, a proof of work. Spending an answer is the caller's: [`altcha::Solved`] names
//! what to spend in the store, once.

pub mod altcha;
mod worker;

pub use self::altcha::{Altcha, CaptchaRefusal, Solved};
pub use worker::{Message, Verdict, Worker};
