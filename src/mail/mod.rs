//! Mail: the outbox, the text of each mail, and its delivery.
//!
//! A mail is a row first ([`enqueue`] or [`notify`], in the caller's transaction) and is sent later
//! ([`Mailer::sweep`]): a worker claims the row, renders it, stores its token, sends it and marks
//! the row. A crash loses no mail. The token in a link is an HMAC of the row ([`mailed_token`]). So
//! a second attempt sends the same link, and the database contains no secret.
//!
//! | file | contents |
//! |---|---|
//! | `kinds/` | one file for each kind of mail: everything that differs between the kinds |
//! | `outbox` | the data of a mail, writing a row |
//! | `notice` | writing the row of a notice: only to proven addresses, with a limited number |
//! | `queue` | claiming, marking and counting rows |
//! | `delivery` | [`Mailer`]: one row from claim to mark |
//! | `prepare` | whether a claimed row is still wanted, its token and its letter |
//! | `locale`, `words` | the languages, and the words around every text |
//! | `render`, `letter` | text and HTML from the words, and the RFC 5322 message |
//! | `transport`, `smtp`, `mailbox` | sending a mail by SMTP, or into files for development |
//! | `refusal` | what an error of SMTP means |
//! | `wire` | the connection below lettre, which rewrites replies that lettre cannot read |
//! | `mailbox_key` | the key that opens the built-in mailbox |
//! | `operator` | what the command line does to the outbox |
//! | `probe` | a check of SMTP step by step, for `mail test` and `doctor` |
//! | `undo` | the links that undo changes of address |
//! | `worker` | the mail workers and their handle |
//!
//! No other module uses lettre. Errors are `transport::Failure` (SMTP) or
//! [`Unavailable`](crate::problem::Unavailable) (database, token store).

mod delivery;
mod kinds;
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
mod refusal;
mod render;
mod smtp;
mod transport;
pub mod undo;
mod wire;
mod words;
mod worker;

#[cfg(test)]
mod tests;

pub use delivery::{Delivery, Mailer, SWEEP_EVERY, Setup, Swept};
pub use kinds::{INVITATION_TTL, Kind, LinkKind, LinkTtls, NoticeKind, UNDO_TTL};
pub use letter::BadSender;
pub use locale::Locale;
pub use mailbox::{Mailbox, MailboxMessage};
pub use mailbox_key::{COOKIE_TTL_S, MAILBOX_KEY_FILE, MailboxKey};
pub use notice::{NewNotice, Notified, notify};
pub use outbox::{MailData, NewMail, enqueue, mailed_token, withdraw};
pub use probe::{Probe, Step, TestMail, Tried};
pub use queue::{Depth, depth, forget};
pub use smtp::BadSmtpUrl;
pub use transport::Transport;
pub use worker::{Deliveries, MailCommand, MailWorker};
