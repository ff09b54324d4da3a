//! The part of the token store that the mailer uses, in memory.
use std::sync::{Arc, Mutex};

use uuid::Uuid;

use crate::clock::UnixMillis;
use crate::problem::Unavailable;

/// What a mailed token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Confirms the address of an account.
    Verify,
    /// Sets a new password.
    Recover,
    /// Confirms a new address.
    ChangeEmail,
    /// Takes a change of address back.
    UndoEmail,
}

/// A mailed token, known by its digest alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneTimeToken {
    /// What for.
    pub kind: TokenKind,
    /// Whose.
    pub user_id: Uuid,
    /// The outbox row that mails it: a UUIDv7, so that the greater one is the newer.
    pub row_id: Uuid,
    /// SHA-256 of the token in base64url.
    pub digest: String,
    /// The version of what it changes, as it was when the mail was asked for.
    pub stamp: i32,
    /// What it is about, beside the user.
    pub subject: Option<Uuid>,
    /// Gone from this moment on.
    pub expires_at: UnixMillis,
}

/// What became of a token that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutToken {
    /// It is the user's one live token of its kind.
    Stored,
    /// A newer one is live; nothing changed.
    Superseded,
}

/// The store.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// Every token that was put, oldest first.
    pub tokens: Arc<Mutex<Vec<OneTimeToken>>>,
    /// Whether it answers.
    pub down: Arc<std::sync::atomic::AtomicBool>,
}

impl Store {
    /// Makes a token the user's one live token of its kind, unless one of a newer row lives.
    #[expect(clippy::unused_async, clippy::missing_panics_doc, reason = "as the store has it")]
    pub async fn put_token(
        &self,
        token: &OneTimeToken,
        _now: UnixMillis,
    ) -> Result<PutToken, Unavailable> {
        if self.down.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(Unavailable::because("token store", "down"));
        }
        let mut tokens = self.tokens.lock().expect("no holder panics");
        let newer = |it: &OneTimeToken| {
            it.kind == token.kind && it.user_id == token.user_id && it.row_id > token.row_id
        };
        if tokens.iter().any(newer) {
            return Ok(PutToken::Superseded);
        }
        tokens.push(token.clone());
        Ok(PutToken::Stored)
    }
}
