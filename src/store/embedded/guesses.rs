//! Failures of passwords in the embedded store: the decisions of [`ladder`], in a transaction.

use super::Embedded;
use crate::clock::UnixMillis;
use crate::problem::Unavailable;
use crate::store::keys;
use crate::store::ladder::{self, Account, Admission, Guess, Ladder, Source};

impl Embedded {
    pub(in crate::store) async fn admit(
        &self,
        ladder: &Ladder,
        guess: Guess<'_>,
        now: UnixMillis,
    ) -> Result<Admission, Unavailable> {
        let account_key = keys::guesses(guess.account);
        let source_key = keys::guesses_of(guess.account, guess.source);
        let tx = self.lock(&account_key).await?;
        let (account, source) = (tx.read(&account_key).await?, tx.read(&source_key).await?);
        let (verdict, counted) = ladder::admit(ladder, guess.captcha, account, source, now);
        if let Some((account, source)) = counted {
            tx.write::<Account>(&account_key, "", &account, account.kept_until).await?;
            tx.write::<Source>(&source_key, "", &source, source.kept_until).await?;
            tx.commit().await?;
        }
        Ok(verdict)
    }

    pub(in crate::store) async fn forgive(
        &self,
        ladder: &Ladder,
        account: &str,
        source: Option<&str>,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let key = keys::guesses(account);
        let tx = self.lock(&key).await?;
        if let Some(source) = source {
            tx.delete(&keys::guesses_of(account, source)).await?;
        }
        let own = u32::from(source.is_some());
        if let Some(left) = ladder::forgive(ladder, tx.read(&key).await?, own, now) {
            tx.write(&key, "", &left, left.kept_until).await?;
        }
        tx.commit().await
    }

    pub(in crate::store) async fn pardon(
        &self,
        ladder: &Ladder,
        account: &str,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let key = keys::guesses(account);
        let tx = self.lock(&key).await?;
        if let Some(left) = ladder::pardon(ladder, tx.read(&key).await?, now) {
            tx.write(&key, "", &left, left.kept_until).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    pub(in crate::store) async fn refund(
        &self,
        ladder: &Ladder,
        account: &str,
        source: &str,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let (account_key, source_key) = (keys::guesses(account), keys::guesses_of(account, source));
        let tx = self.lock(&account_key).await?;
        let (account, source) = (tx.read(&account_key).await?, tx.read(&source_key).await?);
        if let Some((account, source)) = ladder::refund(ladder, account, source, now) {
            tx.write::<Account>(&account_key, "", &account, account.kept_until).await?;
            tx.write::<Source>(&source_key, "", &source, source.kept_until).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
