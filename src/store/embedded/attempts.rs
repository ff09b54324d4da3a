//! Failures of passwords in the embedded store: the decisions of [`ladder`], in a transaction.

use super::Embedded;
use crate::clock::UnixMillis;
use crate::problem::Unavailable;
use crate::store::back_off::{self, Account, Admission, BackOff, Guess, Source};
use crate::store::keys;

impl Embedded {
    pub(in crate::store) async fn admit(
        &self,
        ladder: &BackOff,
        guess: Guess<'_>,
        now: UnixMillis,
    ) -> Result<Admission, Unavailable> {
        let judge = |account, source| back_off::admit(ladder, guess.captcha, account, source, now);
        self.recount(guess.account, guess.source, judge).await
    }

    pub(in crate::store) async fn reset_attempts(
        &self,
        ladder: &BackOff,
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
        if let Some(left) = back_off::reset_attempts(ladder, tx.read(&key).await?, own, now) {
            tx.write(&key, "", &left, left.kept_until).await?;
        }
        tx.commit().await
    }

    pub(in crate::store) async fn reset_all_attempts(
        &self,
        ladder: &BackOff,
        account: &str,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let key = keys::guesses(account);
        let tx = self.lock(&key).await?;
        if let Some(left) = back_off::reset_all_attempts(ladder, tx.read(&key).await?, now) {
            tx.write(&key, "", &left, left.kept_until).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    pub(in crate::store) async fn cancel_attempt(
        &self,
        ladder: &BackOff,
        account: &str,
        source: &str,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        let judge = |account, source| ((), back_off::cancel_attempt(ladder, account, source, now));
        self.recount(account, source, judge).await
    }

    /// Reads what stands of an account and of a source at it, and writes what `judge` makes of both.
    async fn recount<T>(
        &self,
        account: &str,
        source: &str,
        judge: impl FnOnce(Option<Account>, Option<Source>) -> (T, Option<(Account, Source)>),
    ) -> Result<T, Unavailable> {
        let (account_key, source_key) = (keys::guesses(account), keys::guesses_of(account, source));
        let tx = self.lock(&account_key).await?;
        let (verdict, counted) = judge(tx.read(&account_key).await?, tx.read(&source_key).await?);
        if let Some((account, source)) = counted {
            tx.write(&account_key, "", &account, account.kept_until).await?;
            tx.write(&source_key, "", &source, source.kept_until).await?;
            tx.commit().await?;
        }
        Ok(verdict)
    }
}
