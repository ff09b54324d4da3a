//! What changes a person: registering, proving the address, recovering, changing password or address, leaving.
//!
//! Each is one transaction in [`flow`], [`change`] and [`leaving`], its audit event in it, run by a worker so that it ends though the client has left. The
//! worker keeps the load on the database in bounds: on SQLite there is one, as there is one writer.

pub mod change;
mod desk;
pub mod flow;
pub mod leaving;
mod recovery;

use sea_orm::DbErr;
use uuid::Uuid;

use crate::account::EmailAddress;
use crate::actor::{Reply, Worker, WorkerError};
use crate::audit::{Chain, RequestOrigin};
use crate::clock::Clock;
use crate::database::Db;
use crate::problem::Unavailable;
use crate::store::{Store, TokenKind};

use desk::Desk;

pub use change::{AddressChange, Asked, Confirmed, Undone};
pub use flow::{NewPerson, Proof, Registered, Reset, Verified};
pub use leaving::Deleted;

type Done<T> = Reply<Result<T, Unavailable>>;

/// What the registration pool does.
#[derive(Debug)]
pub enum Message {
    /// Makes a person and the mail that confirms the address.
    Register {
        /// Who.
        person: Box<NewPerson>,
        /// What became of it.
        reply: Done<Registered>,
    },
    /// Sends the confirmation again; the older link is dead.
    Resend {
        /// Who.
        user_id: Uuid,
        /// Who asks, from where.
        origin: RequestOrigin,
        /// What became of it.
        reply: Done<Verified>,
    },
    /// Proves an address.
    Verify {
        /// Whose.
        user_id: Uuid,
        /// Who asks, from where.
        origin: RequestOrigin,
        /// What became of it.
        reply: Done<Verified>,
    },
    /// Removes an account that was made with somebody else's address.
    Reject {
        /// Which.
        user_id: Uuid,
        /// Who asks, from where.
        origin: RequestOrigin,
        /// What became of it.
        reply: Done<Verified>,
    },
    /// Mails a recovery link, where there is somebody to mail it to.
    Recover {
        /// The address in its normal form.
        email: EmailAddress,
        /// Who asks, from where.
        origin: RequestOrigin,
        /// When it is done; the same for a known and an unknown address.
        reply: Done<()>,
    },
    /// Sets a new password, by the old one or by a mailed token.
    SetPassword {
        /// Whose.
        user_id: Uuid,
        /// The version that was checked, or that the token was asked under.
        password_version: i32,
        /// The new PHC string.
        password_hash: String,
        /// What allows it.
        proof: Proof,
        /// Who asks, from where.
        origin: RequestOrigin,
        /// What became of it.
        reply: Done<Reset>,
    },
    /// Asks for another address.
    ChangeEmail {
        /// Whose, and which.
        change: Box<AddressChange>,
        /// What became of it.
        reply: Done<Asked>,
    },
    /// Takes another address.
    ConfirmChange {
        /// Which change.
        change_id: Uuid,
        /// Who asks, from where.
        origin: RequestOrigin,
        /// What became of it.
        reply: Done<Confirmed>,
    },
    /// Takes a change of address back, also after it was confirmed.
    UndoChange {
        /// Which change.
        change_id: Uuid,
        /// Who asks, from where.
        origin: RequestOrigin,
        /// What became of it.
        reply: Done<Undone>,
    },
    /// Refuses a change of address that was asked for with somebody else's; nothing else changes.
    RefuseChange {
        /// Which change.
        change_id: Uuid,
        /// Who asks, from where.
        origin: RequestOrigin,
        /// What became of it.
        reply: Done<Undone>,
    },
    /// Changes the name.
    Rename {
        /// Whose.
        user_id: Uuid,
        /// The new name.
        name: String,
        /// Who asks, from where.
        origin: RequestOrigin,
        /// When it is done.
        reply: Done<()>,
    },
    /// Deletes a person, and the teams that nobody else is in.
    Delete {
        /// Whom.
        user_id: Uuid,
        /// Who asks, from where.
        origin: RequestOrigin,
        /// What became of it.
        reply: Done<Deleted>,
    },
    /// Replaces a hash by one of today's parameters, if it is still the one that was verified. Nobody waits.
    Rehash {
        /// Whose.
        user_id: Uuid,
        /// The hash that was verified.
        old_hash: String,
        /// The new one of the same password.
        new_hash: String,
    },
    /// Removes accounts that were never verified, made before this moment.
    Collect {
        /// The moment.
        before: crate::clock::UnixMillis,
    },
}

/// The worker's needs.
#[derive(Clone, Debug)]
pub struct Registrar {
    /// Where people live.
    pub db: Db,
    /// Where their mailed tokens live.
    pub store: Store,
    /// Where what they do is recorded.
    pub audit: Chain,
    /// The present.
    pub clock: Clock,
}

impl Worker for Registrar {
    type Message = Message;

    async fn handle(&mut self, message: Message) -> Result<(), WorkerError> {
        let desk = self.desk();
        match message {
            Message::Register { person, reply } if !reply.is_closed() => {
                answer(reply, flow::register(desk, &person).await);
            }
            // Nobody waits for the answer any more, and nothing was promised.
            Message::Register { .. } => {}
            Message::Resend { user_id, origin, reply } => {
                let _ = reply.send(self.resend(user_id, &origin).await);
            }
            Message::Verify { user_id, origin, reply } => {
                answer(reply, flow::verify(desk, user_id, &origin).await);
            }
            Message::Reject { user_id, origin, reply } => {
                answer(reply, leaving::reject(desk, user_id, &origin).await);
            }
            Message::Recover { email, origin, reply } => {
                answer(reply, recovery::recover(desk, &email, &origin).await);
            }
            Message::SetPassword {
                user_id,
                password_version,
                password_hash,
                proof,
                origin,
                reply,
            } => {
                let set = recovery::set_password(
                    desk,
                    user_id,
                    password_version,
                    password_hash,
                    proof,
                    &origin,
                );
                answer(reply, set.await);
            }
            Message::ChangeEmail { change, reply } => {
                answer(reply, change::ask(desk, &change).await);
            }
            Message::ConfirmChange { change_id, origin, reply } => {
                answer(reply, change::confirm(desk, change_id, &origin).await);
            }
            Message::UndoChange { change_id, origin, reply } => {
                answer(reply, change::undo(desk, change_id, &origin).await);
            }
            Message::RefuseChange { change_id, origin, reply } => {
                answer(reply, change::refuse(desk, change_id, &origin).await);
            }
            Message::Rename { user_id, name, origin, reply } => {
                answer(reply, change::rename(desk, user_id, name, &origin).await);
            }
            Message::Delete { user_id, origin, reply } => {
                answer(reply, leaving::delete(desk, user_id, &origin).await);
            }
            Message::Rehash { user_id, old_hash, new_hash } => {
                if let Err(error) = recovery::rehash(&self.db, user_id, &old_hash, new_hash).await {
                    tracing::warn!(error = %error, "a hash was not brought up to date, the next log-in will");
                }
            }
            Message::Collect { before } => match leaving::collect_unverified(desk, before).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "unverified accounts collected"),
                Err(error) => tracing::warn!(error = %error, "unverified accounts not collected"),
            },
        }
        Ok(())
    }
}

/// Whoever asked may be gone: the change stays.
fn answer<T: Send + 'static>(reply: Done<T>, result: Result<T, DbErr>) {
    let _ = reply.send(result.map_err(Into::into));
}

impl Registrar {
    fn desk(&self) -> Desk<'_> {
        Desk { db: &self.db, audit: &self.audit, now: self.clock.now() }
    }

    /// A new confirmation: its row first, then the older link's token, unless the mailer was faster with the new one.
    async fn resend(&self, user_id: Uuid, origin: &RequestOrigin) -> Result<Verified, Unavailable> {
        match flow::resend(self.desk(), user_id, origin).await? {
            flow::Resent::Due(row) => {
                self.store.drop_token(user_id, TokenKind::Verify, Some(row)).await?;
                Ok(Verified::Now)
            }
            flow::Resent::AlreadyVerified => Ok(Verified::Already),
            flow::Resent::Gone => Ok(Verified::Gone),
        }
    }
}
