//! Pages for people: small, readable, no build chain. Everything here renders to a `String`; handlers live beside it.
//!
//! One template layout, one style sheet, three small scripts, all compiled in. A view is a plain function of its input:
//! no clock, no store, no request. Pages that can be in several states take an enum, which also knows its HTTP status.
//!
//! Every page is made for [`CSP`]: no inline script or style, nothing from elsewhere. Text is escaped by askama; the one
//! place that makes markup of its own is [`words::prose`], which escapes first.

pub mod account;
pub mod assets;
pub mod captcha;
pub mod dev_mailbox;
pub mod docs;
pub mod invitation;
pub mod invited;
pub mod landing;
pub mod mailbox;
pub mod mailbox_locked;
pub mod problems;
pub mod reset_password;
pub mod site;
pub mod trouble;
pub mod undo_email_change;
pub mod verify_email;
pub mod words;

#[cfg(test)]
mod tests;

pub use account::{
    MailRequest, ResetPassword, UndoEmailChange, VerifyEmail, reset_password, undo_email_change,
    verify_email,
};
pub use assets::ASSETS;
pub use captcha::{Captcha, VendorCaptcha};
pub use docs::{Trials, docs};
pub use invited::{Invited, invited};
pub use landing::{Mailbox, Stores, landing};
pub use mailbox::{Mail, mailbox, message};
pub use mailbox_locked::{MailboxLocked, mailbox_locked};
pub use problems::{problem, problems};
pub use trouble::{Trouble, trouble};

/// The `Content-Security-Policy` of every page; the framed mail has its own, [`mailbox::FRAME_CSP`].
pub const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
    img-src 'self' data:; form-action 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Renders a template.
fn html(template: &impl askama::Template) -> String {
    template.render().expect("a template of ours only writes into a String, which cannot fail")
}
