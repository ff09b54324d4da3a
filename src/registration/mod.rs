//! What changes a person: registering, proving the address, recovering, changing password or address, leaving.
//!
//! Each is one transaction in [`flow`] and [`change`], run by a worker so that it ends though the client has left. The
//! worker keeps the load on the database in bounds: on SQLite there is one, as there is one writer.

pub mod change;
pub mod flow;

use uuid::Uuid;

use crate::account::EmailAddress;
use crate::actor::{Reply, Worker, WorkerError};
use crate::clock::Clock;
use crate::database::Db;
use crate::problem::Unavailable;
use crate::store::{Store, TokenKind};

pub use change::{AddressChange, Asked, Confirmed, Deleted, Undone};
pub use flow::{NewPerson, Origin, Proof, Registered, Reset, Verified};

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
        origin: Origin,
        /// What became of it.
        reply: Done<Verified>,
    },
    /// Proves an address.
    Verify {
        /// Whose.
        user_id: Uuid,
        /// What became of it.
        reply: Done<Verified>,
    },
    /// Removes an account that was made with somebody else's address.
    Reject {
        /// Which.
        user_id: Uuid,
        /// What became of it.
        reply: Done<Verified>,
    },
    /// Mails a recovery link, where there is somebody to mail it to.
    Recover {
        /// The address in its normal form.
        email: EmailAddress,
        /// Who asks, from where.
        origin: Origin,
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
        origin: Origin,
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
        /// What became of it.
        reply: Done<Confirmed>,
    },
    /// Takes a change of address back, also after it was confirmed.
    UndoChange {
        /// Which change.
        change_id: Uuid,
        /// What became of it.
        reply: Done<Undone>,
    },
    /// Refuses a change of address that was asked for with somebody else's; nothing else changes.
    RefuseChange {
        /// Which change.
        change_id: Uuid,
        /// What became of it.
        reply: Done<Undone>,
    },
    /// Changes the name.
    Rename {
        /// Whose.
        user_id: Uuid,
        /// The new name.
        name: String,
        /// When it is done.
        reply: Done<()>,
    },
    /// Deletes a person, and the teams that nobody else is in.
    Delete {
        /// Whom.
        user_id: Uuid,
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
    /// The present.
    pub clock: Clock,
}

impl Worker for Registrar {
    type Message = Message;

    async fn handle(&mut self, message: Message) -> Result<(), WorkerError> {
        let now = self.clock.now();
        let db = &self.db;
        match message {
            Message::Register { person, reply } if !reply.is_closed() => {
                let _ = reply.send(flow::register(db, &person, now).await.map_err(Into::into));
            }
            // Nobody waits for the answer any more, and nothing was promised.
            Message::Register { .. } => {}
            Message::Resend { user_id, origin, reply } => {
                let _ = reply.send(self.resend(user_id, &origin).await);
            }
            Message::Verify { user_id, reply } => {
                let _ = reply.send(flow::verify(db, user_id, now).await.map_err(Into::into));
            }
            Message::Reject { user_id, reply } => {
                let _ = reply.send(flow::reject(db, user_id).await.map_err(Into::into));
            }
            Message::Recover { email, origin, reply } => {
                let _ =
                    reply.send(flow::recover(db, &email, &origin, now).await.map_err(Into::into));
            }
            Message::SetPassword {
                user_id,
                password_version,
                password_hash,
                proof,
                origin,
                reply,
            } => {
                let set = flow::set_password(
                    db,
                    user_id,
                    password_version,
                    password_hash,
                    proof,
                    &origin,
                    now,
                );
                let _ = reply.send(set.await.map_err(Into::into));
            }
            Message::ChangeEmail { change, reply } => {
                let _ = reply.send(change::ask(db, &change, now).await.map_err(Into::into));
            }
            Message::ConfirmChange { change_id, reply } => {
                let _ = reply.send(change::confirm(db, change_id, now).await.map_err(Into::into));
            }
            Message::UndoChange { change_id, reply } => {
                let _ = reply.send(change::undo(db, change_id, now).await.map_err(Into::into));
            }
            Message::RefuseChange { change_id, reply } => {
                let _ = reply.send(change::refuse(db, change_id).await.map_err(Into::into));
            }
            Message::Rename { user_id, name, reply } => {
                let _ =
                    reply.send(change::rename(db, user_id, name, now).await.map_err(Into::into));
            }
            Message::Delete { user_id, reply } => {
                let _ = reply.send(change::delete(db, user_id).await.map_err(Into::into));
            }
            Message::Rehash { user_id, old_hash, new_hash } => {
                if let Err(error) = flow::rehash(db, user_id, &old_hash, new_hash).await {
                    tracing::warn!(error = %error, "a hash was not brought up to date, the next log-in will");
                }
            }
            Message::Collect { before } => match flow::collect_unverified(db, before).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "unverified accounts collected"),
                Err(error) => tracing::warn!(error = %error, "unverified accounts not collected"),
            },
        }
        Ok(())
    }
}

impl Registrar {
    /// A new confirmation: its row first, then the older link's token, unless the mailer was faster with the new one.
    async fn resend(&self, user_id: Uuid, origin: &Origin) -> Result<Verified, Unavailable> {
        match flow::resend(&self.db, user_id, origin, self.clock.now()).await? {
            flow::Resent::Due(row) => {
                self.store.drop_token(user_id, TokenKind::Verify, Some(row)).await?;
                Ok(Verified::Now)
            }
            flow::Resent::AlreadyVerified => Ok(Verified::Already),
            flow::Resent::Gone => Ok(Verified::Gone),
        }
    }
}
