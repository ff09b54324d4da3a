//! The mails of a [`TestApp`]: the mails that it has sent, and the mails that are due.
#![allow(dead_code, reason = "a harness offers more than one state of the tests uses")]

use std::sync::PoisonError;
use std::time::Duration;

use latchkey::user::EmailAddress;

use crate::app::TestApp;
use crate::mime::Mail;
use crate::poll::eventually;
use crate::smtp::SmtpSink;

/// The maximum time that a test waits for a mail, or for an empty outbox.
const MAIL: Duration = Duration::from_secs(10);
/// After this many empty reads the test wakes the mailer. A test that writes a mail to the outbox
/// without an endpoint would otherwise wait up to five seconds, until the daemon wakes the mailer.
const LOOKS_UNTIL_WAKE: u32 = 15;

/// The number of reads that found nothing.
#[derive(Default)]
struct Looks(u32);

impl Looks {
    fn one_more(&mut self, app: &TestApp) {
        self.0 += 1;
        if self.0.is_multiple_of(LOOKS_UNTIL_WAKE) {
            app.inside().deliveries.wake();
        }
    }
}

impl TestApp {
    /// Waits for the oldest mail to this address that the test has not read yet.
    pub async fn mail_to(&self, address: &str) -> Mail {
        let mut looks = Looks::default();
        eventually(&format!("a mail to {address}"), MAIL, async || {
            looks.one_more(self);
            let unseen = self.unseen(address).await.into_iter().next()?;
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(unseen.id.clone());
            Some(unseen)
        })
        .await
    }

    /// Waits until the outbox is empty. Fails the test if the daemon has sent a mail to this
    /// address that the test has not read.
    pub async fn no_mail_to(&self, address: &str) {
        self.outbox_is_empty().await;
        let unseen = self.unseen(address).await;
        assert!(unseen.is_empty(), "unexpected mail to {address}: {unseen:#?}");
    }

    /// Returns every mail to this address so far, the oldest first.
    pub async fn mails_to(&self, address: &str) -> Vec<Mail> {
        if let Some(sink) = &self.sink {
            // An SMTP server receives the domain in the form of A-labels.
            let address = EmailAddress::parse(address).expect("an address");
            let is_theirs =
                |mail: &Mail| EmailAddress::parse(&mail.to).is_ok_and(|to| to == address);
            return sink.mails().into_iter().filter(is_theirs).collect();
        }
        // The test reads the mailbox inside the daemon. The mailbox is closed over HTTP, because
        // `public_url` names another machine.
        let mailbox = self.inside().mailbox.as_ref().expect("without SMTP there is a mailbox");
        let mut messages = mailbox.list(Some(address));
        // The mailbox lists the newest mail first. The clock stands still, so many mails have the
        // same time, and the sort must keep their order.
        messages.reverse();
        messages.sort_by_key(|message| message.received_at);
        let items = messages.iter().map(|message| serde_json::to_value(&**message).expect("JSON"));
        items.map(|item| Mail::from_mailbox(&item)).collect()
    }

    async fn unseen(&self, address: &str) -> Vec<Mail> {
        let mails = self.mails_to(address).await;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        mails.into_iter().filter(|mail| !seen.contains(&mail.id)).collect()
    }

    /// Returns the SMTP server. Only [`Backend::Servers`] has one.
    pub fn sink(&self) -> &SmtpSink {
        self.sink.as_ref().expect("only Backend::Servers mails by SMTP")
    }

    /// Waits until no mail is due.
    pub async fn outbox_is_empty(&self) {
        let mut looks = Looks::default();
        eventually("an empty outbox", MAIL, async || {
            looks.one_more(self);
            (self.pending_mail().await == 0).then_some(())
        })
        .await;
    }

    /// Returns the number of mails that are due and not sent.
    pub async fn pending_mail(&self) -> u64 {
        self.inside().pending_mail().await
    }
}
