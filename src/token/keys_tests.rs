use super::*;
use crate::audit::{Chain, Masters};
use crate::clock::Clock;
use crate::config::{self, Tokens, VaultAlgorithm};
use crate::database::Db;
use crate::secret::{MasterKey, Secret};
use crate::token::KeyState;
use crate::token::key_events::Why;
use crate::token::rotation::{Listed, PUBLISH_AHEAD, Retired, Rotated, Sealed};
use crate::token::stored::RETIRED_SLACK;
use latchkey_entity::signing_key::SigningKeyState;

pub(in super::super) struct Fixture {
    pub(in super::super) needs: KeyDependencies,
    _dir: tempfile::TempDir,
}

pub(in super::super) async fn fixture(algorithm: VaultAlgorithm) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let config = config::Database {
        max_connections: 2,
        ..config::Database::at(&format!("sqlite://{}/test.db", dir.path().display()))
    };
    let db = Db::connect(&config).await.unwrap();
    db.migrate().await.unwrap();
    let needs = KeyDependencies {
        db,
        master: MasterKey::new([1; 32]),
        previous: None,
        tokens: Tokens {
            allow_shared_secret: true,
            algorithm,
            issuer: "https://auth.example".to_owned(),
            audience: "vault".to_owned(),
            secret: None,
            user_ttl: Duration::from_mins(15),
            vault_ttl: Duration::from_mins(5),
            rotate_every: Duration::from_hours(90 * 24),
        },
        absolute_ttl: Duration::from_hours(30 * 24),
        clock: Clock::manual(1_000_000_000_000),
        metrics: None,
    };
    Fixture { needs, _dir: dir }
}

#[tokio::test]
async fn keys_are_made_once_and_read_again() {
    let fixture = fixture(VaultAlgorithm::Es256).await;
    let first = KeyRing::load(fixture.needs.clone()).await.unwrap();
    let second = KeyRing::load(fixture.needs.clone()).await.unwrap();
    assert_eq!(first.current().user.id, second.current().user.id);
    assert_eq!(first.current().vault.id, second.current().vault.id);
    assert_eq!(first.current().jwks().len(), 1);
}

#[tokio::test]
async fn replicas_that_start_at_once_agree_on_one_key() {
    let fixture = fixture(VaultAlgorithm::EdDsa).await;
    let rings =
        futures_util::future::join_all((0..6).map(|_| KeyRing::load(fixture.needs.clone()))).await;
    let ids: std::collections::HashSet<String> =
        rings.iter().map(|ring| ring.as_ref().unwrap().current().vault.id.clone()).collect();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn another_master_key_means_new_keys_and_nothing_worse() {
    let fixture = fixture(VaultAlgorithm::Es256).await;
    let before = KeyRing::load(fixture.needs.clone()).await.unwrap();
    let lost = KeyDependencies { master: MasterKey::new([2; 32]), ..fixture.needs.clone() };
    let after = KeyRing::load(lost).await.unwrap();
    assert_ne!(before.current().user.id, after.current().user.id);
    assert_eq!(after.current().jwks().len(), 1);
}

#[tokio::test]
async fn the_previous_master_key_still_opens() {
    let fixture = fixture(VaultAlgorithm::Es256).await;
    let before = KeyRing::load(fixture.needs.clone()).await.unwrap();
    let changed = KeyDependencies {
        master: MasterKey::new([2; 32]),
        previous: Some(MasterKey::new([1; 32])),
        ..fixture.needs.clone()
    };
    let after = KeyRing::load(changed).await.unwrap();
    assert_eq!(before.current().vault.id, after.current().vault.id);
}

#[tokio::test]
async fn another_algorithm_is_published_ahead_and_the_old_key_verifies_until_its_last_token_ends() {
    let fixture = fixture(VaultAlgorithm::Es256).await;
    let before = KeyRing::load(fixture.needs.clone()).await.unwrap();
    let mut needs = fixture.needs.clone();
    needs.tokens.algorithm = VaultAlgorithm::EdDsa;
    let after = KeyRing::load(needs.clone()).await.unwrap();
    let old = before.current().vault.header.clone();
    assert_eq!(after.current().vault.header, old);
    assert_eq!(after.current().algorithms(), ["ES256", "EdDSA"]);
    // A replica with the old setting also uses the new key, and creates no key with the algorithm
    // of its own setting.
    needs.clock.advance(PUBLISH_AHEAD);
    before.turn().await.unwrap();
    after.turn().await.unwrap();
    assert_ne!(after.current().vault.header, old);
    assert_eq!(before.current().vault.id, after.current().vault.id);
    assert!(after.current().by_header(&old).is_some());
    assert_eq!(after.current().jwks().len(), 2);
    needs.clock.advance(needs.tokens.vault_ttl + RETIRED_SLACK + Duration::from_secs(1));
    after.turn().await.unwrap();
    assert!(after.current().by_header(&old).is_none());
    assert_eq!(after.current().algorithms(), ["EdDSA"]);
    assert!(
        needs.list().await.unwrap().iter().all(|key| key.state == KeyState::Signing),
        "the row is gone"
    );
}

#[tokio::test]
async fn a_change_of_algorithm_that_is_taken_back_in_time_changes_nothing() {
    let fixture = fixture(VaultAlgorithm::Es256).await;
    let before = KeyRing::load(fixture.needs.clone()).await.unwrap();
    let mut needs = fixture.needs.clone();
    needs.tokens.algorithm = VaultAlgorithm::EdDsa;
    KeyRing::load(needs.clone()).await.unwrap();
    let back = KeyRing::load(fixture.needs.clone()).await.unwrap();
    fixture.needs.clock.advance(PUBLISH_AHEAD);
    back.turn().await.unwrap();
    assert_eq!(back.current().vault.id, before.current().vault.id);
    assert_eq!(back.current().jwks().len(), 1);
}

#[tokio::test]
async fn both_kinds_are_published_ahead_sign_and_are_forgotten_in_their_time() {
    let fixture = fixture(VaultAlgorithm::EdDsa).await;
    let mut needs = fixture.needs.clone();
    needs.tokens.rotate_every = Duration::from_hours(1);
    let ring = KeyRing::load(needs.clone()).await.unwrap();
    let (user, vault) = (ring.current().user.header.clone(), ring.current().vault.header.clone());
    needs.clock.advance(Duration::from_mins(50) - Duration::from_millis(1));
    ring.turn().await.unwrap();
    assert_eq!(ring.current().jwks().len(), 1, "not yet");
    needs.clock.advance(Duration::from_millis(1));
    ring.turn().await.unwrap();
    assert_eq!(ring.current().jwks().len(), 2, "published");
    assert_eq!(ring.current().vault.header, vault, "and does not sign yet");
    needs.clock.advance(PUBLISH_AHEAD);
    ring.turn().await.unwrap();
    assert_ne!(ring.current().vault.header, vault);
    assert_ne!(ring.current().user.header, user);
    let next = ring.current().vault.header.clone();
    needs.clock.advance(needs.tokens.vault_ttl + RETIRED_SLACK + Duration::from_millis(1));
    ring.turn().await.unwrap();
    assert!(ring.current().by_header(&vault).is_none(), "its last token has expired");
    assert!(ring.current().by_header(&user).is_some(), "an expired userToken still refreshes");
    assert_eq!(ring.current().vault.header, next);
    needs.clock.advance(needs.absolute_ttl);
    ring.turn().await.unwrap();
    assert!(ring.current().by_header(&user).is_none());
    let rows = needs.list().await.unwrap();
    assert!(rows.iter().all(|row| row.state != KeyState::Retired || row.verifies_until.is_some()));
}

#[tokio::test]
async fn replicas_that_rotate_at_once_make_one_key_of_each_kind() {
    let fixture = fixture(VaultAlgorithm::EdDsa).await;
    let mut needs = fixture.needs.clone();
    needs.tokens.rotate_every = Duration::from_hours(1);
    let mut rings = Vec::new();
    for _ in 0..6 {
        rings.push(KeyRing::load(needs.clone()).await.unwrap());
    }
    for (advance, rows) in [(Duration::from_mins(50), 6), (PUBLISH_AHEAD, 6)] {
        needs.clock.advance(advance);
        let turns = futures_util::future::join_all(rings.iter().map(KeyRing::turn)).await;
        assert!(turns.iter().all(Result::is_ok), "{turns:?}");
        assert_eq!(needs.list().await.unwrap().len(), rows);
    }
    let ids: std::collections::HashSet<String> =
        rings.iter().map(|ring| ring.current().vault.id.clone()).collect();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn by_hand_a_key_is_published_once_and_signs_when_its_time_has_come() {
    let fixture = fixture(VaultAlgorithm::EdDsa).await;
    let needs = &fixture.needs;
    let ring = KeyRing::load(needs.clone()).await.unwrap();
    let before = ring.current().vault.id.clone();
    let from = needs.clock.now() + 600_000;
    assert_eq!(needs.rotate(Kind::Vault).await.unwrap(), Rotated::Published(from));
    needs.clock.advance(Duration::from_secs(1));
    assert_eq!(needs.rotate(Kind::Vault).await.unwrap(), Rotated::Waiting(from));
    ring.turn().await.unwrap();
    assert_eq!(ring.current().vault.id, before);
    needs.clock.advance(PUBLISH_AHEAD);
    ring.turn().await.unwrap();
    assert_ne!(ring.current().vault.id, before);
}

#[tokio::test]
async fn a_key_that_signs_out_of_turn_is_found_by_its_tokens_once_in_ten_seconds() {
    let fixture = fixture(VaultAlgorithm::EdDsa).await;
    let needs = &fixture.needs;
    let ring = KeyRing::load(needs.clone()).await.unwrap();
    let header = async || {
        assert_eq!(needs.rotate_now(Kind::Vault).await.unwrap(), Rotated::Signs);
        let rows = needs.rows().await.unwrap();
        let signing =
            crate::token::stored::of(&rows, Kind::Vault, SigningKeyState::Signing).unwrap();
        needs.parse(signing).unwrap().header
    };
    let (first, second) = (header().await, header().await);
    let token = |header: &str| format!("{header}.e30.c2ln");
    let set = ring.for_token(&token(&second)).await.unwrap();
    assert!(set.by_header(&first).is_some() && set.by_header(&second).is_some());
    let third = header().await;
    let set = ring.for_token(&token(&third)).await.unwrap();
    assert!(set.by_header(&third).is_none(), "strangers do not make us read at their pace");
    ring.turn().await.unwrap();
    assert!(ring.for_token(&token(&third)).await.unwrap().by_header(&third).is_some());
}

#[tokio::test]
async fn only_a_header_of_our_shape_makes_a_replica_look() {
    let encode = |json: &str| URL_SAFE_NO_PAD.encode(json);
    assert!(may_be_ours(&encode(
        r#"{"typ":"at+jwt","alg":"ES256","kid":"0123456789012345678901"}"#
    )));
    for other in [
        String::new(),
        "%%%".to_owned(),
        encode(r#"{"typ":"JWT","kid":"0123456789012345678901"}"#),
        encode(r#"{"typ":"at+jwt","kid":"short"}"#),
        encode(r#"{"typ":"at+jwt"}"#),
        encode(&format!(
            r#"{{"typ":"at+jwt","kid":"0123456789012345678901","x":"{}"}}"#,
            "x".repeat(200)
        )),
    ] {
        assert!(!may_be_ours(&other), "{other}");
    }
}

#[tokio::test]
async fn a_compromised_key_verifies_nothing_and_another_signs_at_once() {
    let fixture = fixture(VaultAlgorithm::EdDsa).await;
    let needs = &fixture.needs;
    let ring = KeyRing::load(needs.clone()).await.unwrap();
    for kind in Kind::TOKENS {
        let key = |ring: &KeyRing| {
            let set = ring.current();
            if kind == Kind::User { set.user.clone() } else { set.vault.clone() }
        };
        let stolen = key(&ring);
        assert_eq!(needs.retire(&stolen.id).await.unwrap(), Retired::Replaced);
        ring.turn().await.unwrap();
        assert!(ring.current().by_header(&stolen.header).is_none());
        assert_ne!(key(&ring).id, stolen.id);
        assert_eq!(needs.retire(&stolen.id).await.unwrap(), Retired::Revoked, "once more");
        let listed = needs.list().await.unwrap();
        let listed = listed.iter().find(|key| key.id == stolen.id).unwrap();
        assert_eq!((listed.state, listed.verifies_until), (KeyState::Revoked, None));
    }
    assert_eq!(needs.retire("nobody's").await.unwrap(), Retired::Unknown);
    // A compromised next key never signs.
    needs.rotate(Kind::Vault).await.unwrap();
    let rows = needs.rows().await.unwrap();
    let next =
        crate::token::stored::of(&rows, Kind::Vault, SigningKeyState::Next).unwrap().id.clone();
    assert_eq!(needs.retire(&next).await.unwrap(), Retired::Revoked);
    needs.clock.advance(PUBLISH_AHEAD);
    ring.turn().await.unwrap();
    assert_ne!(ring.current().vault.id, next);
}

#[tokio::test]
async fn the_new_master_key_alone_opens_what_was_sealed_before_once_both_were_set() {
    let fixture = fixture(VaultAlgorithm::Es256).await;
    let (a, b) = (MasterKey::new([1; 32]), MasterKey::new([2; 32]));
    let first = KeyRing::load(fixture.needs.clone()).await.unwrap();
    fixture.needs.rotate(Kind::Vault).await.unwrap();
    let both = KeyDependencies { master: b.clone(), previous: Some(a), ..fixture.needs.clone() };
    KeyRing::load(both.clone()).await.unwrap();
    assert_eq!(both.reseal().await.unwrap(), 0, "nothing is left to seal");
    let alone = KeyDependencies { master: b, previous: None, ..fixture.needs.clone() };
    let last = KeyRing::load(alone.clone()).await.unwrap();
    assert_eq!(last.current().user.id, first.current().user.id);
    assert_eq!(last.current().vault.id, first.current().vault.id);
    assert!(alone.list().await.unwrap().iter().all(Listed::opens));
    // A replica that has only the old master key keeps its keys in memory and creates no key.
    assert!(matches!(first.reload().await, Err(KeysError::Sealed(_))));
    assert!(first.turn().await.is_err());
    assert_eq!(alone.list().await.unwrap().len(), 5);
}

#[tokio::test]
async fn what_a_daemon_with_the_master_keys_the_other_way_round_makes_is_sealed_anew_without_a_restart()
 {
    let fixture = fixture(VaultAlgorithm::EdDsa).await;
    let (a, b) = (MasterKey::new([1; 32]), MasterKey::new([2; 32]));
    let before = KeyDependencies { previous: Some(b.clone()), ..fixture.needs.clone() };
    let after = KeyDependencies { master: b, previous: Some(a), ..fixture.needs.clone() };
    KeyRing::load(before.clone()).await.unwrap();
    let ring = KeyRing::load(after.clone()).await.unwrap();
    before.rotate(Kind::User).await.unwrap();
    let sealed = async || {
        let keys = after.list().await.unwrap();
        keys.iter().map(|key| key.sealed).collect::<Vec<_>>()
    };
    assert_eq!(sealed().await.iter().filter(|it| **it == Sealed::Before).count(), 1);
    ring.turn().await.unwrap();
    assert_eq!(sealed().await, [Sealed::Now; 5]);
    // The audit key is also encrypted with the new master key, even if the other daemon has
    // encrypted it with the old master key before.
    let alone = Masters { current: &after.master, previous: None };
    Chain::join(&after.db, alone, 0).await.unwrap();
}

/// Inserts a key in the state `next` that is encrypted with a master key that no daemon has.
async fn sealed_elsewhere(needs: &KeyDependencies) -> String {
    let lost = KeyDependencies { master: MasterKey::new([9; 32]), ..needs.clone() };
    let ours = Masters { current: &needs.master, previous: None };
    Chain::join(&needs.db, ours, 0).await.unwrap();
    // The audit key cannot be decrypted with this lost master key, so the publication cannot be
    // recorded.
    assert!(matches!(
        lost.publish(Kind::Vault, Algorithm::EdDSA, Why::Due).await,
        Err(KeysError::SealedAudit)
    ));
    let fresh = lost.fresh(Kind::Vault, Algorithm::EdDSA, SigningKeyState::Next).await.unwrap();
    let tx = needs.db.begin().await.unwrap();
    assert!(fresh.insert(&tx).await.unwrap());
    tx.commit().await.unwrap();
    next(needs).await.unwrap()
}

async fn next(needs: &KeyDependencies) -> Option<String> {
    let rows = needs.rows().await.unwrap();
    crate::token::stored::of(&rows, Kind::Vault, SigningKeyState::Next).map(|row| row.id.clone())
}

#[tokio::test]
async fn a_next_key_that_no_master_key_opens_does_not_stop_the_rotation() {
    let fixture = fixture(VaultAlgorithm::EdDsa).await;
    let needs = &fixture.needs;
    let ring = KeyRing::load(needs.clone()).await.unwrap();
    // When a daemon starts, it removes a published key that it cannot decrypt.
    sealed_elsewhere(needs).await;
    KeyRing::load(needs.clone()).await.unwrap();
    assert_eq!(next(needs).await, None);
    // A rotation by hand replaces a published key that cannot be decrypted.
    let lost = sealed_elsewhere(needs).await;
    assert!(matches!(needs.rotate(Kind::Vault).await, Ok(Rotated::Published(_))));
    let good = next(needs).await.unwrap();
    assert_ne!(good, lost);
    needs.clock.advance(PUBLISH_AHEAD);
    ring.turn().await.unwrap();
    assert_eq!(ring.current().vault.id, good);
    // A running daemon keeps a published key that it cannot decrypt, because another replica may be
    // able to decrypt it. One hour after the time at which the key was due to start signing, the
    // daemon removes the key.
    let lost = sealed_elsewhere(needs).await;
    needs.clock.advance(PUBLISH_AHEAD + Duration::from_mins(59));
    ring.turn().await.unwrap();
    assert_eq!(next(needs).await, Some(lost));
    needs.clock.advance(Duration::from_mins(1));
    ring.turn().await.unwrap();
    assert_eq!(next(needs).await, None);
    needs.clock.advance(needs.tokens.rotate_every);
    ring.turn().await.unwrap();
    assert!(next(needs).await.is_some(), "the rotation goes on");
}

#[tokio::test]
async fn a_command_with_a_wrong_master_key_takes_nothing_back() {
    let fixture = fixture(VaultAlgorithm::EdDsa).await;
    KeyRing::load(fixture.needs.clone()).await.unwrap();
    fixture.needs.rotate(Kind::Vault).await.unwrap();
    let published = next(&fixture.needs).await;
    let wrong = KeyDependencies { master: MasterKey::new([9; 32]), ..fixture.needs.clone() };
    assert!(matches!(wrong.rotate(Kind::Vault).await, Err(KeysError::Sealed(_))));
    assert_eq!(next(&fixture.needs).await, published);
    // The command does not publish a key that the daemons cannot decrypt.
    assert!(matches!(wrong.rotate(Kind::User).await, Err(KeysError::Sealed(_))));
}

#[tokio::test]
async fn a_shared_secret_publishes_no_key() {
    let fixture = fixture(VaultAlgorithm::Hs256).await;
    let mut needs = fixture.needs.clone();
    needs.tokens.secret = Some(Secret::new("0123456789abcdef0123456789abcdef".to_owned()));
    let ring = KeyRing::load(needs).await.unwrap();
    assert!(ring.current().jwks().is_empty());
}
