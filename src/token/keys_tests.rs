use super::*;
use crate::config;

pub(in super::super) struct Fixture {
    pub(in super::super) needs: Needs,
    _dir: tempfile::TempDir,
}

pub(in super::super) async fn fixture(algorithm: VaultAlgorithm) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let config = config::Database {
        url: Secret::new(format!("sqlite://{}/test.db", dir.path().display())),
        auto_migrate: true,
        max_connections: 2,
    };
    let db = Db::connect(&config).await.unwrap();
    db.migrate().await.unwrap();
    let needs = Needs {
        db,
        master: MasterKey::new([1; 32]),
        previous: None,
        tokens: Tokens {
            algorithm,
            issuer: "https://auth.example".to_owned(),
            audience: "vault".to_owned(),
            secret: None,
            user_ttl: Duration::from_mins(15),
            vault_ttl: Duration::from_mins(5),
        },
        absolute_ttl: Duration::from_hours(30 * 24),
        clock: Clock::manual(1_000_000_000_000),
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
    let lost = Needs { master: MasterKey::new([2; 32]), ..fixture.needs.clone() };
    let after = KeyRing::load(lost).await.unwrap();
    assert_ne!(before.current().user.id, after.current().user.id);
    assert_eq!(after.current().jwks().len(), 1);
}

#[tokio::test]
async fn the_previous_master_key_still_opens() {
    let fixture = fixture(VaultAlgorithm::Es256).await;
    let before = KeyRing::load(fixture.needs.clone()).await.unwrap();
    let changed = Needs {
        master: MasterKey::new([2; 32]),
        previous: Some(MasterKey::new([1; 32])),
        ..fixture.needs.clone()
    };
    let after = KeyRing::load(changed).await.unwrap();
    assert_eq!(before.current().vault.id, after.current().vault.id);
}

#[tokio::test]
async fn another_algorithm_retires_the_key_which_verifies_until_its_last_token_ends() {
    let fixture = fixture(VaultAlgorithm::Es256).await;
    let before = KeyRing::load(fixture.needs.clone()).await.unwrap();
    let mut needs = fixture.needs.clone();
    needs.tokens.algorithm = VaultAlgorithm::EdDsa;
    let after = KeyRing::load(needs.clone()).await.unwrap();
    after.reload().await.unwrap();
    let old = before.current().vault.header.clone();
    assert_ne!(after.current().vault.header, old);
    assert!(after.current().by_header(&old).is_some());
    assert_eq!(after.current().jwks().len(), 2);
    needs.clock.advance(needs.tokens.vault_ttl + SKEW + Duration::from_secs(1));
    after.reload().await.unwrap();
    assert!(after.current().by_header(&old).is_none());
}

#[tokio::test]
async fn a_shared_secret_publishes_no_key() {
    let fixture = fixture(VaultAlgorithm::Hs256).await;
    let mut needs = fixture.needs.clone();
    needs.tokens.secret = Some(Secret::new("0123456789abcdef0123456789abcdef".to_owned()));
    let ring = KeyRing::load(needs).await.unwrap();
    assert!(ring.current().jwks().is_empty());
}
