//! The facts that must be true after the daemon has acknowledged a request, and how a test checks
//! them.

use latchkey::database::Db;
use latchkey_entity::outbox;
use sea_orm::{ColumnTrait as _, EntityTrait as _, PaginatorTrait as _, QueryFilter as _};
use serde_json::Value;

use crate::client::Person;
use crate::process::Running;

/// A fact that must be true after a use case was acknowledged.
#[derive(Debug)]
pub(super) enum Fact {
    /// This password opens the account.
    LogsIn(String, String),
    /// This password does not open the account.
    NoLogin(String, String),
    /// The session of this userToken is open.
    Alive(String),
    /// The session of this userToken has ended.
    Ended(String),
    /// The response of this path shows this text to the user if `is_there` is true, and otherwise
    /// it does not.
    Sees { email: String, password: String, path: String, text: String, is_there: bool },
    /// The `/api/me` response of the user has this value at this JSON pointer (RFC 6901).
    Me { email: String, password: String, pointer: &'static str, value: Value },
    /// This many mails of this kind to this address are due or have been sent.
    Mailed(String, &'static str, u64),
    /// This vaultToken is refused.
    VaultRefused(String),
}

impl Fact {
    /// Checks the fact with requests to a daemon. A fact about mails is checked in the database.
    pub(super) async fn holds(&self, running: &Running, db: &Db) {
        let anonymous = running.anonymous();
        match self {
            Self::LogsIn(email, password) => {
                let answer = anonymous.login(email, password).await;
                assert_eq!(answer.status, 200, "{self:?} {}", answer.text());
            }
            Self::NoLogin(email, password) => {
                let answer = anonymous.login(email, password).await;
                answer.expect_problem(401, "invalid-credentials");
            }
            Self::Alive(token) | Self::Ended(token) => {
                let status = if matches!(self, Self::Alive(_)) { 200 } else { 401 };
                let answer = anonymous.bearer(token).get("/api/me").await;
                assert_eq!(answer.status, status, "{self:?}");
            }
            Self::Sees { email, password, path, text, is_there } => {
                let tokens = anonymous.login(email, password).await.expect(200).tokens();
                let answer = anonymous.bearer(&tokens.user).get(path).await.expect(200);
                assert_eq!(answer.text().contains(text), *is_there, "{self:?} {}", answer.text());
            }
            Self::Me { email, password, pointer, value } => {
                let tokens = anonymous.login(email, password).await.expect(200).tokens();
                let me = anonymous.bearer(&tokens.user).get("/api/me").await.expect(200).json();
                assert_eq!(me.pointer(pointer), Some(value), "{self:?} {me}");
            }
            // The row of the mail survives every fault. If a delivery fails, the mailer repeats it
            // within about one minute.
            Self::Mailed(address, kind, count) => {
                let rows = outbox::Entity::find()
                    .filter(outbox::Column::Recipient.eq(address))
                    .filter(outbox::Column::Kind.eq(*kind))
                    .count(db.reader())
                    .await;
                assert!(rows.expect("counted") >= *count, "{self:?}");
            }
            Self::VaultRefused(token) => {
                let answer = anonymous.bearer(token).get("/api/forward-auth").await;
                assert_eq!(answer.status, 401, "{self:?} {}", answer.text());
            }
        }
    }
}

impl Person {
    pub(super) fn me_has(&self, pointer: &'static str, value: Value) -> Fact {
        let (email, password) = (self.email.clone(), self.password.clone());
        Fact::Me { email, password, pointer, value }
    }

    pub(super) fn sees(&self, path: &str, text: &str, is_there: bool) -> Fact {
        Fact::Sees {
            email: self.email.clone(),
            password: self.password.clone(),
            path: path.to_owned(),
            text: text.to_owned(),
            is_there,
        }
    }
}
