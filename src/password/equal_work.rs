//! The check of a password that costs the same for every account, and for an email address without
//! an account. Otherwise the time of a refused login would show that an account exists, and how old
//! its hash is.
//!
//! Work is counted in KiB that argon2 fills: its memory times its passes. The work of a hash of
//! another format is estimated from its time, compared with the last hash that had the current
//! parameters. If a stored hash costs less than a hash with the current parameters, the rest is
//! computed too. If it costs more, the difference shows until the first login has replaced it.

use std::time::Duration;

use super::argon::{Kind, Params, SALT_BYTES, TAG_BYTES};
use super::hashing::{HashError, Hasher, Verdict};
use super::normalized;
use crate::secret::{self, Secret};

/// The smallest memory of argon2 for one lane, in KiB.
const MEMORY_KIB_MIN: u64 = 8;

/// The work that a hasher has done.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// The work since the check began.
    done_kib: u64,
    /// The time of the last hash with the current parameters.
    pace: Option<Duration>,
}

impl Work {
    pub(super) fn argon2(&mut self, params: Params, today: Params, took: Duration) {
        self.done_kib = self.done_kib.saturating_add(work_of(params));
        if params == today {
            self.pace = Some(took);
        }
    }

    pub(super) fn foreign(&mut self, today: Params, took: Duration) {
        let Some(pace) = self.pace else { return };
        let hashes = took.as_secs_f64() / pace.as_secs_f64().max(f64::MIN_POSITIVE);
        self.done_kib = self.done_kib.saturating_add(scaled(work_of(today), hashes));
    }
}

/// The work of one argon2 hash.
fn work_of(params: Params) -> u64 {
    u64::from(params.memory_kib) * u64::from(params.iterations)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "an estimate of a duration; `as` saturates"
)]
fn scaled(work: u64, factor: f64) -> u64 {
    (work as f64 * factor) as u64
}

/// Splits work into argon2 hashes that need no more memory than a hash with the current parameters.
/// Work that is too small for a hash is left out.
fn parts(mut left_kib: u64, today: Params) -> Vec<Params> {
    let mut parts = Vec::new();
    while left_kib >= work_of(today) {
        parts.push(today);
        left_kib -= work_of(today);
    }
    let iterations = left_kib.div_ceil(today.memory_kib.into()).max(1);
    let memory_kib = left_kib / iterations;
    if memory_kib >= MEMORY_KIB_MIN
        && let (Ok(memory_kib), Ok(iterations)) =
            (u32::try_from(memory_kib), u32::try_from(iterations))
    {
        parts.push(Params { memory_kib, iterations, parallelism: 1 });
    }
    parts
}

/// The result of [`Hasher::check`].
#[derive(Debug)]
pub struct Checked {
    pub verdict: Verdict,
    /// Why the stored string cannot be verified.
    pub fault: Option<HashError>,
}

impl Hasher {
    /// Checks the password of a login against the stored string of the account. `stored` is none if
    /// there is no account.
    ///
    /// A mismatch costs one hash with the current parameters, or two if NFC changes the password,
    /// because [`Hasher::verify`] perhaps tries both forms. A stored string that cannot be verified
    /// is a mismatch, because an error would show that the account exists. [`Checked::fault`] says
    /// why it cannot be verified.
    ///
    /// # Errors
    /// [`HashError::Engine`] if the engine failed.
    pub fn check(
        &mut self,
        password: &Secret<String>,
        stored: Option<&str>,
    ) -> Result<Checked, HashError> {
        let today = self.today();
        if self.work.pace.is_none() {
            self.compute_in_vain(today)?;
        }
        self.work.done_kib = 0;
        let (verdict, fault) = match stored.map(|stored| self.verify(password, stored)) {
            Some(Ok(verdict)) => (verdict, None),
            Some(Err(error @ HashError::Engine(_))) => return Err(error),
            Some(Err(fault)) => (Verdict::Mismatch, Some(fault)),
            None => (Verdict::Mismatch, None),
        };
        if verdict == Verdict::Mismatch {
            let forms = if *normalized(password) == **password.expose() { 1 } else { 2 };
            let wanted = work_of(today.params).saturating_mul(forms);
            for params in parts(wanted.saturating_sub(self.work.done_kib), today.params) {
                self.compute_in_vain(Kind { params, ..today })?;
            }
        }
        Ok(Checked { verdict, fault })
    }

    /// Computes a hash that nobody uses.
    fn compute_in_vain(&mut self, kind: Kind) -> Result<(), HashError> {
        let (salt, mut tag) = (secret::random_bytes::<SALT_BYTES>(), [0; TAG_BYTES]);
        self.compute(kind, "", &salt, &mut tag)
    }
}

#[cfg(test)]
mod tests {
    use super::super::hashing::Setup;
    use super::*;

    const TODAY: Params = Params { memory_kib: 64, iterations: 3, parallelism: 1 };
    const NFC: &str = "a wrong password";
    /// NFC joins the accent with its letter.
    const TYPED: &str = "a wrong passwo\u{301}rd";

    fn hasher(params: Params) -> Hasher {
        Hasher::new(Setup::plain(params)).unwrap()
    }

    fn hashed(params: Params) -> String {
        hasher(params).hash(&Secret::new("the right password".to_owned())).unwrap()
    }

    /// The work of a refused login.
    fn refused(password: &str, stored: Option<&str>) -> u64 {
        let mut hasher = hasher(TODAY);
        let password = Secret::new(password.to_owned());
        assert_eq!(hasher.check(&password, stored).unwrap().verdict, Verdict::Mismatch);
        hasher.work.done_kib
    }

    #[test]
    fn a_refused_login_costs_the_same_whatever_is_stored() {
        let today = hashed(TODAY);
        let of = |memory_kib, iterations| Params { memory_kib, iterations, parallelism: 1 };
        let cheaper: Vec<String> =
            [of(8, 1), of(64, 1), of(64, 2), of(32, 5), of(100, 1)].map(hashed).into();
        let unreadable = ["", "x", "$argon2id$v=19$m=64,t=3", "$2b$99$x", "!"].map(str::to_owned);
        let too_costly = today.replace("m=64", "m=4194304");
        let of_pepper = today.replace("p=1", "p=1,keyid=Nw");
        for (password, forms) in [(NFC, 1), (TYPED, 2)] {
            let unknown = refused(password, None);
            assert_eq!(unknown, forms * 64 * 3);
            assert_eq!(refused(password, Some(&today)), unknown);
            for stored in unreadable.iter().chain([&too_costly, &of_pepper]) {
                assert_eq!(refused(password, Some(stored)), unknown, "{stored}");
            }
            for stored in &cheaper {
                let work = refused(password, Some(stored));
                // What is left is perhaps too small for a hash, or no whole number of passes.
                assert!(work <= unknown && work + MEMORY_KIB_MIN > unknown, "{stored}: {work}");
            }
            let dearer = hashed(of(64, 4));
            assert_eq!(refused(password, Some(&dearer)), forms * 64 * 4, "it cannot cost less");
        }
    }

    #[test]
    fn a_right_password_costs_its_own_hash_alone() {
        for params in [TODAY, Params { iterations: 1, ..TODAY }] {
            let (stored, mut hasher) = (hashed(params), hasher(TODAY));
            let right = Secret::new("the right password".to_owned());
            let verdict = hasher.check(&right, Some(&stored)).unwrap().verdict;
            let is_of_today = params == TODAY;
            assert_eq!(verdict == Verdict::Match, is_of_today);
            assert_eq!(hasher.work.done_kib, work_of(params));
        }
    }

    #[test]
    fn a_hash_of_another_format_is_counted_by_its_time() {
        let mut work = Work::default();
        work.foreign(TODAY, Duration::from_millis(4));
        assert_eq!(work.done_kib, 0, "no hash was measured yet");
        work.argon2(TODAY, TODAY, Duration::from_millis(8));
        work.done_kib = 0;
        work.foreign(TODAY, Duration::from_millis(2));
        assert_eq!(work.done_kib, 48);
        work.foreign(TODAY, Duration::from_secs(1_000));
        assert!(work.done_kib > work_of(TODAY));
        let half =
            "$pbkdf2-sha256$i=1000,l=32$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let mut hasher = hasher(TODAY);
        let password = Secret::new(NFC.to_owned());
        assert_eq!(hasher.check(&password, Some(half)).unwrap().verdict, Verdict::Mismatch);
        assert!(hasher.work.done_kib + MEMORY_KIB_MIN > work_of(TODAY));
    }

    #[test]
    fn work_is_split_into_hashes_that_argon2_allows() {
        for left in 0..700 {
            let parts = parts(left, TODAY);
            let sum: u64 = parts.iter().copied().map(work_of).sum();
            assert!(sum <= left && sum + MEMORY_KIB_MIN > left, "{left}: {parts:?}");
            assert!(parts.iter().all(|part| part.memory_kib <= TODAY.memory_kib));
        }
    }
}
