//! Tests of `chain.rs`.

use std::path::Path;

use super::*;
use crate::audit::Keys;

async fn database(dir: &Path) -> Db {
    let config = crate::config::Database {
        max_connections: 2,
        ..crate::config::Database::at(&format!("sqlite://{}", dir.join("t.db").display()))
    };
    let db = Db::connect(&config).await.unwrap();
    db.migrate().await.unwrap();
    db
}

fn only(current: &MasterKey) -> Masters<'_> {
    Masters { current, previous: None }
}

#[tokio::test]
async fn the_key_is_made_once_and_outlives_the_master_key() {
    let dir = tempfile::tempdir().unwrap();
    let db = database(dir.path()).await;
    let (old, new) = (MasterKey::new([1; 32]), MasterKey::new([2; 32]));
    let first = Chain::load(&db, only(&old), 0).await.unwrap();
    let again = Chain::load(&db, only(&old), 0).await.unwrap();
    assert_eq!(first.key_id(), again.key_id());
    let both = Masters { current: &new, previous: Some(&old) };
    assert_eq!(Chain::load(&db, both, 0).await.unwrap().key_id(), first.key_id());
    // The first call has sealed the audit key again, so the old master key is no longer needed.
    let after = Chain::load(&db, only(&new), 0).await.unwrap();
    assert_eq!(after.key_id(), first.key_id());
    assert_eq!(after.name(&[b"x"]), first.name(&[b"x"]));
}

#[tokio::test]
async fn a_lost_master_key_means_a_new_key_and_the_old_one_is_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let db = database(dir.path()).await;
    let (lost, new) = (MasterKey::new([1; 32]), MasterKey::new([2; 32]));
    let before = Chain::load(&db, only(&lost), 0).await.unwrap();
    let after = Chain::load(&db, only(&new), 1).await.unwrap();
    assert_ne!(before.key_id(), after.key_id());
    let keys = format!("{:?}", Keys::read(db.reader(), only(&new)).await.unwrap());
    assert!(keys.contains(after.key_id()) && !keys.contains(before.key_id()), "{keys}");
}

#[tokio::test]
async fn who_joins_with_another_master_key_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let db = database(dir.path()).await;
    let (ours, theirs) = (MasterKey::new([1; 32]), MasterKey::new([2; 32]));
    let first = Chain::join(&db, only(&ours), 0).await.unwrap();
    let slip = Chain::join(&db, only(&theirs), 1).await;
    assert!(matches!(slip, Err(ChainError::Sealed)), "{slip:?}");
    let both = Masters { current: &theirs, previous: Some(&ours) };
    assert_eq!(Chain::join(&db, both, 1).await.unwrap().key_id(), first.key_id());
    assert_eq!(Chain::load(&db, only(&ours), 1).await.unwrap().key_id(), first.key_id());
}
