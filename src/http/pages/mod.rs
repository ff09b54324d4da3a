//! HTML pages for users: small, readable, and without a build step. The views render to a `String`.
//! The handlers are in the same folder.
//!
//! There are one layout, one style sheet and three small scripts, all compiled in. A view is a
//! plain function of its input, without clock, store or request. A page with several states takes
//! an enum, which also knows its HTTP status.
//!
//! Every page works under [`CSP`]: no inline scripts or styles, and nothing from other origins.
//! askama escapes all text. Only [`words::prose`] creates markup itself, and it escapes the text
//! first.

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

/// The `Content-Security-Policy` of the pages. A framed mail has its own, [`mailbox::FRAME_CSP`].
pub const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
    img-src 'self' data:; form-action 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Renders a template.
fn html(template: &impl askama::Template) -> String {
    template.render().expect("a template of ours only writes into a String, which cannot fail")
}
