//! The login back-off in the embedded store. It applies the rules of [`back_off`] in a transaction.

use super::Embedded;
use crate::clock::UnixMillis;
use crate::problem::Unavailable;
use crate::store::attempt::{AttemptContext, AttemptKey, AttemptVerdict};
use crate::store::back_off::{self, AccountAttempts, BackOff};
use crate::store::keys;

impl Embedded {
    pub(in crate::store) async fn admit_attempt(
        &self,
        rules: &BackOff,
        key: AttemptKey<'_>,
        context: AttemptContext,
        now: UnixMillis,
    ) -> Result<AttemptVerdict, Unavailable> {
        self.change_attempts(key.account, |stored| {
            back_off::admit(rules, (key.client, key.kind), context, stored, now)
        })
        .await
    }

    pub(in crate::store) async fn reset_attempts(
        &self,
        rules: &BackOff,
        key: AttemptKey<'_>,
        now: UnixMillis,
    ) -> Result<u32, Unavailable> {
        self.change_attempts(key.account, |stored| {
            match back_off::reset_attempts(rules, key.client, stored, now) {
                Some((account, failures)) => (failures, Some(account)),
                None => (0, None),
            }
        })
        .await
    }

    pub(in crate::store) async fn cancel_attempt(
        &self,
        rules: &BackOff,
        key: AttemptKey<'_>,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        self.change_attempts(key.account, |stored| {
            ((), back_off::cancel_attempt(rules, (key.client, key.kind), stored, now))
        })
        .await
    }

    pub(in crate::store) async fn prove_client(
        &self,
        rules: &BackOff,
        account: &str,
        client: &str,
        now: UnixMillis,
    ) -> Result<(), Unavailable> {
        self.change_attempts(account, |stored| {
            ((), Some(back_off::prove(rules, client, stored, now)))
        })
        .await
    }

    pub(in crate::store) async fn attempts(
        &self,
        account: &str,
    ) -> Result<Option<AccountAttempts>, Unavailable> {
        self.read(self.db.reader(), &keys::attempts(account)).await
    }

    pub(in crate::store) async fn forget_attempts(
        &self,
        account: &str,
    ) -> Result<bool, Unavailable> {
        let key = keys::attempts(account);
        let tx = self.lock(&key).await?;
        let deleted = tx.delete(&key).await?;
        tx.commit().await?;
        Ok(deleted > 0)
    }

    /// Reads an account's record and stores the record that `change` returns, in one transaction.
    async fn change_attempts<T>(
        &self,
        account: &str,
        change: impl FnOnce(Option<AccountAttempts>) -> (T, Option<AccountAttempts>),
    ) -> Result<T, Unavailable> {
        let key = keys::attempts(account);
        let tx = self.lock(&key).await?;
        let (result, changed) = change(self.read(&tx.0, &key).await?);
        match changed {
            Some(account) if account.is_empty() => {
                tx.delete(&key).await?;
                tx.commit().await?;
            }
            Some(account) => {
                tx.write(&key, "", &account, account.expires_at).await?;
                tx.commit().await?;
            }
            None => {}
        }
        Ok(result)
    }
}
