//! Tests of the mail module, with real SQLite, real TCP and a manual clock.

mod delivery;
mod faults;
mod mailbox;
mod notices;
mod refusals;
mod rendering;
mod sink;
mod starttls;

use std::time::Duration;

use latchkey_entity::first_factor::{self, FirstFactorState};
use latchkey_entity::{email_change, outbox, user};
use sea_orm::ActiveValue::Set;
use sea_orm::{ConnectionTrait as _, EntityTrait, IntoActiveModel as _};
use tempfile::TempDir;
use uuid::Uuid;

use crate::clock::{Clock, UnixMillis};
use crate::config;
use crate::database::Db;
use crate::mail::outbox::{NewRow, insert};
use crate::mail::smtp::Smtp;
use crate::mail::{Kind, LinkTtls, MailData, Mailer, Setup, Transport, undo};
use crate::secret::{MasterKey, Secret, sha256, uuid_v7};
use crate::store::{OneTimeToken, RecordMac, Store};

/// 23 November 2026, 21:03:11 UTC.
pub(super) const NOW: UnixMillis = 1_795_467_791_042;
/// `mail.helo` of the test mailers.
pub(super) const HELO: &str = "auth.example.com";
pub(super) const HOUR: Duration = Duration::from_hours(1);

/// A database with its clock and store.
pub(super) struct World {
    _dir: TempDir,
    pub db: Db,
    pub store: Store,
    pub clock: Clock,
}

impl World {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", dir.path().join("test.db").display());
        let config = config::Database { max_connections: 4, ..config::Database::at(&url) };
        let db = Db::connect(&config).await.unwrap();
        db.migrate().await.unwrap();
        let store = Store::embedded(db.clone(), RecordMac::new(Secret::new([7; 32])));
        Self { _dir: dir, db, store, clock: Clock::manual(NOW) }
    }

    /// A mailer that sends to `url`, like the mailer of another process.
    pub fn mailer(&self, url: &str) -> Mailer {
        self.mailer_over(Transport::smtp(&Secret::new(url.to_owned()), HELO, None).unwrap())
    }

    /// A mailer with a short time limit.
    pub fn hasty_mailer(&self, url: &str) -> Mailer {
        let smtp = Smtp::from_url(&Secret::new(url.to_owned()), HELO, None).unwrap();
        self.mailer_over(Transport::over(smtp.with_timeout(Duration::from_millis(200))))
    }

    pub fn mailer_over(&self, transport: Transport) -> Mailer {
        let from = "Example <no-reply@example.com>";
        self.mailer_of("https://auth.example.com:8443", from, transport)
    }

    /// A mailer of a daemon with this `public_url` and `mail.from`.
    pub fn mailer_of(&self, public_url: &str, from: &str, transport: Transport) -> Mailer {
        Mailer::new(Setup {
            db: self.db.clone(),
            store: self.store.clone(),
            transport,
            clock: self.clock.clone(),
            token_key: MasterKey::new([7; 32]).derive("mail-token"),
            public_url: public_url.to_owned(),
            link_ttls: LinkTtls { verification: 24 * HOUR, recovery: HOUR / 2 },
            from: from.to_owned(),
        })
        .unwrap()
    }

    /// A user who has not verified `email` yet.
    pub async fn person(&self, email: &str) -> Uuid {
        let id = uuid_v7(self.clock.now());
        let row = user::Model {
            id,
            email: email.to_owned(),
            email_normal: email.to_owned(),
            name: "Ada".to_owned(),
            password_hash: String::new(),
            password_version: 3,
            session_epoch: 0,
            factor_version: 0,
            factor_count: 0,
            status: user::UserState::Active,
            verified_at: None,
            created_ip: String::new(),
            created_at: NOW,
            updated_at: NOW,
            has_logged_in: false,
        };
        user::Entity::insert(row.into_active_model())
            .exec_without_returning(self.db.writer())
            .await
            .unwrap();
        id
    }

    pub async fn change_person(&self, change: user::ActiveModel) {
        user::Entity::update(change).exec(self.db.writer()).await.unwrap();
    }

    pub async fn verify(&self, id: Uuid) {
        let verified_at = Set(Some(NOW));
        self.change_person(user::ActiveModel { id: Set(id), verified_at, ..Default::default() })
            .await;
    }

    pub async fn change_of_address(&self, user_id: Uuid, state: &str) -> Uuid {
        let id = uuid_v7(self.clock.now());
        let row = email_change::Model {
            id,
            user_id,
            old_email: "old@example.com".to_owned(),
            new_email: "new@example.com".to_owned(),
            state: state.parse().unwrap(),
            created_at: NOW,
            undo_digest: None,
            undo_until: None,
        };
        email_change::Entity::insert(row.into_active_model())
            .exec_without_returning(self.db.writer())
            .await
            .unwrap();
        id
    }

    /// Inserts the row of an account's first factor.
    pub async fn first_factor(&self, user_id: Uuid, id: Uuid) {
        let row = first_factor::Model {
            id,
            user_id,
            state: FirstFactorState::Added,
            undo_digest: None,
            undo_until: None,
            created_at: NOW,
        };
        first_factor::Entity::insert(row.into_active_model())
            .exec_without_returning(self.db.writer())
            .await
            .unwrap();
    }

    pub async fn enqueue(&self, user_id: Uuid, kind: Kind, recipient: &str) -> Uuid {
        self.enqueue_with(user_id, kind, recipient, data()).await
    }

    pub async fn enqueue_with(
        &self,
        user_id: Uuid,
        kind: Kind,
        recipient: &str,
        data: MailData,
    ) -> Uuid {
        let tx = self.db.begin().await.unwrap();
        let now = self.clock.now();
        let mail = NewRow { user_id, kind, recipient, data, traceparent: "", due_at: now };
        let id = insert(&tx, mail, now).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// The confirmation mail of a new user.
    pub async fn confirmation(&self, email: &str) -> Uuid {
        let person = self.person(email).await;
        self.enqueue(person, Kind::Confirm, email).await
    }

    /// The data in the token store about the token in a link.
    pub async fn token_of(&self, link: &str) -> Option<OneTimeToken> {
        let token = link.split_once("?token=").unwrap().1;
        self.store.find_token(&sha256(token.as_bytes()), self.clock.now()).await.unwrap()
    }

    /// The change that the link of a mail undoes.
    pub async fn undone_by(&self, link: &str) -> Option<Uuid> {
        let token = link.split_once("?token=").unwrap().1;
        let digest = sha256(token.as_bytes());
        undo::find(&self.db, &digest, self.clock.now()).await.unwrap().map(|change| change.id)
    }

    /// The first factor that the link undoes.
    pub async fn factor_undone_by(&self, link: &str) -> Option<Uuid> {
        let token = link.split_once("?token=").unwrap().1;
        let (digest, now) = (sha256(token.as_bytes()), self.clock.now());
        undo::find_first_factor(&self.db, &digest, now).await.unwrap().map(|factor| factor.id)
    }

    /// Renames the table of the embedded store. Without its table, the store fails.
    pub async fn rename_store(&self, from: &str, to: &str) {
        let sql = format!("ALTER TABLE {from} RENAME TO {to}");
        self.db.writer().execute_unprepared(&sql).await.unwrap();
    }

    pub async fn row(&self, id: Uuid) -> outbox::Model {
        outbox::Entity::find_by_id(id).one(self.db.reader()).await.unwrap().unwrap()
    }

    pub async fn state(&self, id: Uuid) -> &'static str {
        self.row(id).await.state.as_str()
    }
}

/// The settings of a check of SMTP.
pub(super) fn mail_settings() -> config::Mail {
    config::Mail {
        smtp_url: None,
        from: "no-reply@example.com".to_owned(),
        helo: HELO.to_owned(),
        ca_file: None,
        tls_required: false,
        new_device: true,
    }
}

/// The data that most mails have.
pub(super) fn data() -> MailData {
    MailData {
        at: NOW,
        ip: "203.0.113.7".to_owned(),
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
            .to_owned(),
        password_version: Some(3),
        inviter: Some("eve@example.com".to_owned()),
        team: Some("Acme Inc. & Sons".to_owned()),
        role: Some("member".to_owned()),
        ..MailData::default()
    }
}
