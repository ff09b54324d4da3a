//! Checks the master key, the signing keys that it encrypts, and the secrets of second factors.

use uuid::Uuid;

use super::{Finding, Patient, unread};
use crate::clock::{Clock, UnixMillis, millis};
use crate::daemon::read_master_key;
use crate::factor::totp::TotpSecret;
use crate::factor::{Factor, table};
use crate::token::keys::FactorKeys;
use crate::token::rotation::Listed;
use crate::token::{KeyDependencies, KeyState, KeysError, Kind};

/// Why a check of the keys is skipped.
const NEEDS: &str = "this check needs the database and the master key";
/// This many of the oldest secrets of authenticator apps are decrypted, and as many of the newest.
/// This takes a few milliseconds.
const FACTORS_CHECKED: u64 = 500;
/// At most this many users are named whose secrets cannot be decrypted.
const USERS_NAMED: usize = 10;

/// Checks that there is a master key.
pub(super) async fn master(patient: &Patient<'_>) -> Vec<Finding> {
    let config = patient.config;
    let place =
        if config.secrets.master_key.is_some() { "`secrets.master_key`" } else { "`data_dir`" };
    vec![match read_master_key(config) {
        Ok(_) if config.secrets.master_key_previous.is_some() => Finding::warning(
            format!("read from {place}, and `secrets.master_key_previous` is set too"),
            "remove `secrets.master_key_previous` when every daemon has restarted with the new key",
        ),
        Ok(_) => Finding::ok(format!("read from {place}")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Finding::warning(
            error.to_string(),
            "start the daemon once to create it, or set `secrets.master_key_file`",
        ),
        Err(error) => Finding::failed(
            error.to_string(),
            "restore the master key from the backup: without it, the signing keys, the unused links \
             in mails, the authenticator apps and the recovery codes are invalid",
        ),
    }]
}

/// Checks that there are signing keys, that the master key decrypts them, and that they rotate in
/// time.
pub(super) async fn signing(patient: &Patient<'_>) -> Vec<Finding> {
    let Some(needs) = dependencies(patient) else { return vec![Finding::skipped(NEEDS)] };
    let keys = match needs.list().await {
        Ok(keys) => keys,
        Err(error) => return vec![unread("signing keys", &error)],
    };
    assess(&keys, Clock::System.now(), millis(patient.config.tokens.rotate_every))
}

/// Checks that the secrets of the oldest and of the newest authenticator apps can be decrypted. If
/// the key of second factors was replaced, the oldest secrets cannot be decrypted. If an earlier
/// key is used again after that, the newest cannot.
pub(super) async fn factors(patient: &Patient<'_>) -> Vec<Finding> {
    let Some(needs) = dependencies(patient) else { return vec![Finding::skipped(NEEDS)] };
    let found = match table::oldest_and_newest_totp(needs.db.reader(), FACTORS_CHECKED).await {
        Ok(found) => found,
        Err(error) => return vec![unread("second factors", &error)],
    };
    let keys = match needs.existing_factor_keys().await {
        Ok(keys) => keys,
        Err(KeysError::Sealed(_)) => None,
        Err(error) => return vec![unread("signing keys", &error)],
    };
    let lost = found.iter().filter(|it| !opens(keys.as_ref(), it));
    let lost: Vec<Uuid> = lost.map(|it| it.user_id).collect();
    vec![assess_factors(found.len(), &lost)]
}

/// `lost` are the users whose secrets cannot be decrypted.
fn assess_factors(checked: usize, lost: &[Uuid]) -> Finding {
    if checked == 0 {
        return Finding::skipped("no user has an authenticator app");
    }
    if lost.is_empty() {
        return Finding::ok(format!(
            "the oldest and the newest secrets can be decrypted ({checked} checked)"
        ));
    }
    let named: Vec<String> = lost.iter().take(USERS_NAMED).map(Uuid::to_string).collect();
    let more = if lost.len() > USERS_NAMED { ", …" } else { "" };
    Finding::failed(
        format!(
            "{} of the {checked} oldest and newest secrets cannot be decrypted, of the users {}{more}",
            lost.len(),
            named.join(", ")
        ),
        "these apps were added while the daemons had another master key. If these are most of the \
         apps, start the daemons with that master key, without `secrets.master_key_previous`. If \
         they are only a few, or if that master key is lost, run `latchkey users reset-factors ID` \
         for each of these users",
    )
}

fn opens(keys: Option<&FactorKeys>, factor: &Factor) -> bool {
    keys.is_some_and(|keys| TotpSecret::open(keys, factor.id, &factor.sealed).is_ok())
}

/// The keys of the database. `None` if the database or the master key cannot be read.
fn dependencies(patient: &Patient<'_>) -> Option<KeyDependencies> {
    let config = patient.config;
    let (Some(db), Ok(master)) = (patient.db.clone(), read_master_key(config)) else {
        return None;
    };
    Some(KeyDependencies {
        db,
        master,
        previous: config.secrets.master_key_previous.clone(),
        tokens: config.tokens.clone(),
        absolute_ttl: config.sessions.absolute_ttl,
        clock: Clock::System,
        metrics: None,
    })
}

/// Reports every signing key. `period` is the time after which a new key should replace a key.
fn assess(keys: &[Listed], now: UnixMillis, period: i64) -> Vec<Finding> {
    let signing: Vec<_> = keys.iter().filter(|key| key.state == KeyState::Signing).collect();
    if signing.is_empty() {
        let remedy = "start the daemon: its first start creates the keys";
        return vec![Finding::warning("there is no key that signs yet", remedy)];
    }
    let one = |key: &&Listed| {
        let name = format!("{} {} ({})", key.kind, key.id, key.algorithm);
        let days = (now - key.signs_from) / 86_400_000;
        if !key.opens() {
            let remedy = if key.kind == Kind::Factor.name() {
                "set the master key that encrypted it as `secrets.master_key_previous`; otherwise \
                 the next start creates a new key, and no authenticator app and no recovery code is \
                 accepted any more"
            } else {
                "set the master key that encrypted it as `secrets.master_key_previous`; otherwise \
                 the next start creates a new key, and all users have to log in again"
            };
            return Finding::failed(format!("{name} is encrypted with another master key"), remedy);
        }
        // A delay of a tenth of the period is allowed, because a daemon that was off for a while
        // rotates the keys by itself. The key of the token store is not rotated.
        let rotates = Kind::TOKENS.iter().any(|kind| key.kind == kind.name());
        if rotates && now - key.signs_from > period + period / 10 {
            let remedy = "check that a daemon runs, because daemons rotate the keys, or run \
                 `latchkey keys rotate`";
            return Finding::warning(
                format!(
                    "{name} has been signing for {days} days, too long for `tokens.rotate_every`"
                ),
                remedy,
            );
        }
        Finding::ok(format!("{name} has been signing for {days} days"))
    };
    signing.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::super::State::{self, Failed, Ok, Warning};
    use super::super::tests::states;
    use super::*;
    use crate::token::rotation::Sealed;

    const DAY: i64 = 86_400_000;

    fn key(state: KeyState, signs_from: UnixMillis, sealed: Sealed) -> Listed {
        Listed {
            id: "kid".to_owned(),
            kind: "vault".to_owned(),
            algorithm: "ES256".to_owned(),
            state,
            created_at: 0,
            signs_from,
            retired_at: None,
            verifies_until: None,
            sealed,
        }
    }

    #[test]
    fn keys_are_judged_by_age_and_seal_where_they_sign() {
        let (now, period) = (1_000 * DAY, 100 * DAY);
        let at = |days: i64| key(KeyState::Signing, now - days * DAY, Sealed::Now);
        let said = |keys: &[Listed]| states(&assess(keys, now, period));
        assert_eq!(said(&[at(0), at(110), at(111)]), [Ok, Ok, Warning]);
        assert_eq!(said(&[key(KeyState::Signing, now, Sealed::Elsewhere)]), [Failed]);
        assert_eq!(said(&[key(KeyState::Signing, now, Sealed::Before)]), [Ok]);
        assert_eq!(
            said(&[key(KeyState::Retired, 0, Sealed::Elsewhere), at(1)]),
            [Ok],
            "it signs nothing"
        );
        assert_eq!(said(&[]), [Warning]);
        assert_eq!(said(&[key(KeyState::Next, now, Sealed::Now)]), [Warning]);
    }

    #[test]
    fn ten_users_are_named_whose_secrets_cannot_be_decrypted() {
        let users: Vec<Uuid> = (0..11).map(Uuid::from_u128).collect();
        let found = assess_factors(1_000, &users);
        assert_eq!(found.state, Failed);
        let detail = &found.detail;
        assert!(detail.starts_with("11 of the 1000 oldest and newest secrets"), "{detail}");
        assert!(detail.ends_with(&format!("{}, …", users[9])), "{detail}");
        let found = assess_factors(1_000, &users[..10]);
        assert!(found.detail.ends_with(&users[9].to_string()), "{}", found.detail);
        assert_eq!(assess_factors(1, &[]).state, Ok);
        assert_eq!(assess_factors(0, &[]).state, State::Skipped);
    }
}
