//! HTML pages for users. The pages are small and readable, and they need no build step. The views
//! render to a `String`. Their handlers are in the same folder.
//!
//! There are one layout, one style sheet and three small scripts. All of them are compiled into the
//! binary. A view is a plain function of its input. It uses no clock, no store and no request. The
//! view of a page with several states takes an enum, which also determines the HTTP status.
//!
//! Every page works under [`CSP`]: it has no inline scripts or styles, and it loads nothing from
//! other origins. askama escapes all text. Only [`words::prose`] creates markup itself, and it
//! escapes the text before.

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
pub mod undo_factor;
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
pub use invited::{FactorError, Invited, invited};
pub use landing::{Mailbox, Stores, landing};
pub use mailbox::{Mail, mailbox, message};
pub use mailbox_locked::{MailboxLocked, mailbox_locked};
pub use problems::{problem, problems};
pub use trouble::{Trouble, other_site, trouble, trouble_in};
pub use undo_factor::{UndoFactor, undo_factor};

/// The `Content-Security-Policy` of the pages. A mail that is shown in a frame has its own policy,
/// [`mailbox::FRAME_CSP`].
pub const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
    img-src 'self' data:; form-action 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'";

fn html(template: &impl askama::Template) -> String {
    template.render().expect("a template of ours only writes into a String, which cannot fail")
}
