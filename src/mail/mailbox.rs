//! The built-in mailbox, for development and for users' own end-to-end tests. Each mail is a JSON
//! file.
//!
//! The name of a file is the id of the mail's row, and the file appears in one step. So a mail that
//! is delivered again exists only once. All mails are also held in memory: at most 1000 messages of
//! about 15 KiB.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio::time::timeout;
use uuid::Uuid;

use crate::clock::UnixMillis;
use crate::mail::letter::Letter;

/// The maximum number of messages that are kept. If there are more, the oldest messages are
/// removed.
const MESSAGES_MAX: usize = 1000;

/// A mail as the mailbox shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MailboxMessage {
    /// The id of the outbox row.
    pub id: Uuid,
    /// The name of the mail's kind.
    pub kind: String,
    pub from: String,
    pub to: String,
    /// The subject, on one line.
    pub subject: String,
    /// The mail as plain text.
    pub text: String,
    pub html: String,
    /// The RFC 5322 message.
    pub source: String,
    pub link: Option<String>,
    /// The token in the link.
    pub token: Option<String>,
    /// When the mail arrived, in Unix milliseconds.
    pub received_at: UnixMillis,
}

/// The mailbox. Clones share one mailbox.
#[derive(Clone, Debug)]
pub struct Mailbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    /// The messages, oldest first.
    messages: Mutex<Vec<Arc<MailboxMessage>>>,
    /// Counts the mails that arrive, and notifies [`Mailbox::wait_for`].
    arrivals: watch::Sender<u64>,
}

impl Mailbox {
    /// Opens the mailbox in `dir`. Creates the folder with mode 0700 if it is missing. A JSON file
    /// that is not a mail stays in the folder, and a warning is logged.
    pub async fn open(dir: &Path) -> io::Result<Self> {
        tokio::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).await?;
        let mut messages = Vec::new();
        let mut entries = tokio::fs::read_dir(dir).await?;
        while let Some(entry) = entries.next_entry().await? {
            let path = entry.path();
            match path.extension().and_then(|it| it.to_str()) {
                Some("json") => {}
                // A crash left this file behind. The row of this mail is delivered again.
                Some("tmp") => {
                    tokio::fs::remove_file(&path).await?;
                    continue;
                }
                _ => continue,
            }
            if let Ok(message) = serde_json::from_slice(&tokio::fs::read(&path).await?) {
                messages.push(Arc::<MailboxMessage>::new(message));
            } else {
                tracing::warn!(
                    file = %path.display(),
                    "cannot read a mail of the built-in mailbox"
                );
            }
        }
        messages.sort_by_key(|message| (message.received_at, message.id));
        let (arrivals, _) = watch::channel(0);
        let mailbox =
            Self(Arc::new(Inner { dir: dir.to_owned(), messages: Mutex::new(messages), arrivals }));
        mailbox.trim().await?;
        Ok(mailbox)
    }

    /// The messages, newest first. If `to` is given, the list contains only the messages to this
    /// email address, in upper or lower case.
    pub fn list(&self, to: Option<&str>) -> Vec<Arc<MailboxMessage>> {
        self.after(to, None)
    }

    pub fn get(&self, id: Uuid) -> Option<Arc<MailboxMessage>> {
        self.messages().iter().find(|message| message.id == id).cloned()
    }

    /// Waits until a message arrives after the message `after`. Returns all messages since then,
    /// newest first. Without `after`, or if `after` is unknown, every message counts as new. The
    /// result is empty if `wait` passes before a message arrives.
    pub async fn wait_for(
        &self,
        to: Option<&str>,
        after: Option<Uuid>,
        wait: Duration,
    ) -> Vec<Arc<MailboxMessage>> {
        // Subscribe before the first read, so that no arrival in between is missed.
        let mut arrivals = self.0.arrivals.subscribe();
        let found = async {
            loop {
                let found = self.after(to, after);
                if !found.is_empty() || arrivals.changed().await.is_err() {
                    return found;
                }
            }
        };
        timeout(wait, found).await.unwrap_or_default()
    }

    pub async fn clear(&self) -> io::Result<()> {
        let gone = std::mem::take(&mut *self.messages());
        self.remove(gone).await
    }

    /// Stores a mail. A mail that is already stored stays unchanged.
    pub(super) async fn put(&self, letter: &Letter) -> io::Result<()> {
        if self.get(letter.id).is_some() {
            return Ok(());
        }
        let message = MailboxMessage::of(letter);
        let json = serde_json::to_vec_pretty(&message).map_err(io::Error::other)?;
        let temporary = self.0.dir.join(format!("{}.tmp", letter.id));
        let mut file = tokio::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .await?;
        file.write_all(&json).await?;
        file.sync_all().await?;
        tokio::fs::rename(&temporary, self.file(letter.id)).await?;
        // The rename is durable only after the folder is synced.
        tokio::fs::File::open(&self.0.dir).await?.sync_all().await?;
        self.messages().push(Arc::new(message));
        self.0.arrivals.send_modify(|count| *count += 1);
        self.trim().await
    }

    fn after(&self, to: Option<&str>, after: Option<Uuid>) -> Vec<Arc<MailboxMessage>> {
        let messages = self.messages();
        let place = messages.iter().position(|message| Some(message.id) == after);
        messages[place.map_or(0, |place| place + 1)..]
            .iter()
            .rev()
            .filter(|message| to.is_none_or(|to| message.to.eq_ignore_ascii_case(to)))
            .cloned()
            .collect()
    }

    async fn trim(&self) -> io::Result<()> {
        let gone: Vec<_> = {
            let mut messages = self.messages();
            let surplus = messages.len().saturating_sub(MESSAGES_MAX);
            messages.drain(..surplus).collect()
        };
        self.remove(gone).await
    }

    async fn remove(&self, gone: Vec<Arc<MailboxMessage>>) -> io::Result<()> {
        for message in gone {
            match tokio::fs::remove_file(self.file(message.id)).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn file(&self, id: Uuid) -> PathBuf {
        self.0.dir.join(format!("{id}.json"))
    }

    fn messages(&self) -> MutexGuard<'_, Vec<Arc<MailboxMessage>>> {
        self.0.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MailboxMessage {
    fn of(letter: &Letter) -> Self {
        let header = |name| letter.message.headers().get_raw(name).unwrap_or_default().to_owned();
        let shown = |secret: &Option<crate::secret::Secret<String>>| {
            secret.as_ref().map(|secret| secret.expose().clone())
        };
        Self {
            id: letter.id,
            kind: letter.kind.name().to_owned(),
            from: header("From"),
            to: letter.recipient.clone(),
            subject: letter.rendered.subject.clone(),
            text: letter.rendered.text.clone(),
            html: letter.rendered.html.clone(),
            source: String::from_utf8_lossy(&letter.message.formatted()).into_owned(),
            link: shown(&letter.link),
            token: shown(&letter.token),
            received_at: letter.at,
        }
    }
}
