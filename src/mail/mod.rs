//! Mail: what is due, what it says, and how it leaves.
//!
//! A mail is a row first ([`enqueue`] or [`notify`], in the caller's transaction) and leaves later ([`Mailer::sweep`]): claim,
//! render, put the token, send, mark. Nothing that may not be lost is in memory. The mailed token is an HMAC over the
//! row ([`mailed_token`]), so a second try mails the same link and no secret rests in the database.
//!
//! | file | what |
//! |---|---|
//! | `outbox` | the kinds of mail, their data, writing a row |
//! | `notice` | writing the row of a notice: to proven addresses only, one an hour |
//! | `queue` | claiming, marking and counting rows |
//! | `delivery` | [`Mailer`]: one row from claim to mark |
//! | `prepare` | whether a claimed row is still wanted; its token and its letter |
//! | `locale`, `words/` | languages, and all words of one language in one file |
//! | `render`, `letter` | text and HTML out of words; the RFC 5322 message |
//! | `transport`, `smtp`, `mailbox` | how it leaves: SMTP, or files for development |
//! | `mailbox_key` | the key that opens the built-in mailbox |
//! | `operator` | what the command line does to the outbox |
//! | `probe` | SMTP step by step, for `mail test` and `doctor` |
//!
//! lettre is used here and nowhere else. What goes wrong below is `transport::Failure` (SMTP) or
//! [`Unavailable`](crate::problem::Unavailable) (database, token store).

mod delivery;
mod letter;
mod locale;
mod mailbox;
mod mailbox_key;
mod notice;
pub mod operator;
mod outbox;
mod prepare;
mod probe;
mod queue;
mod render;
mod smtp;
mod transport;
pub mod undo;
mod words;
mod worker;

#[cfg(test)]
mod tests;

pub use delivery::{Delivery, Mailer, Setup, Swept};
pub use letter::BadSender;
pub use locale::Locale;
pub use mailbox::{Mailbox, MailboxMessage};
pub use mailbox_key::{COOKIE_TTL_S, MAILBOX_KEY_FILE, MailboxKey};
pub use notice::{NewNotice, NoticeKind, Notified, notify};
pub use outbox::{Kind, LinkKind, MailData, NewMail, enqueue, mailed_token, withdraw};
pub use prepare::INVITATION_TTL;
pub use probe::{Probe, Step, TestMail, Tried};
pub use queue::{Depth, depth, forget};
pub use smtp::BadSmtpUrl;
pub use transport::Transport;
pub use worker::{Deliveries, MailCommand, MailWorker};
