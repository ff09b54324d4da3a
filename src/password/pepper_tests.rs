//! Tests of `pepper.rs`: adding, replacing and losing a pepper.

use super::*;
use crate::password::{HashError, Hasher, Params, Setup, Unsupported, Verdict};
use crate::secret::Secret;

const CHEAP: Params = Params { memory_kib: 8, iterations: 1, parallelism: 1 };

fn pepper(version: u16) -> Pepper {
    Pepper { version, key: Secret::new(vec![u8::try_from(version).unwrap(); 32]) }
}

fn hasher(current: Option<u16>, previous: &[u16]) -> Hasher {
    let previous: Vec<Pepper> = previous.iter().map(|version| pepper(*version)).collect();
    let peppers = Peppers::new(current.map(pepper).as_ref(), &previous);
    Hasher::new(Setup { peppers, ..Setup::plain(CHEAP) }).unwrap()
}

fn password() -> Secret<String> {
    Secret::new("a password".to_owned())
}

fn verdict(hasher: &mut Hasher, phc: &str) -> Result<Verdict, HashError> {
    let wrong = Secret::new("A password".to_owned());
    if let Ok(verdict) = hasher.verify(&wrong, phc) {
        assert_eq!(verdict, Verdict::Mismatch);
    }
    hasher.verify(&password(), phc)
}

#[test]
fn a_hash_says_which_pepper_it_is_under_and_the_decoy_likewise() {
    let mut hasher = hasher(Some(12), &[]);
    let phc = hasher.hash(&password()).unwrap();
    // "MTI" is the version "12" in base64.
    for phc in [&phc, hasher.decoy()] {
        assert!(phc.starts_with("$argon2id$v=19$m=8,t=1,p=1,keyid=MTI$"), "{phc}");
    }
    assert_eq!(verdict(&mut hasher, &phc).unwrap(), Verdict::Match);
    let decoy = hasher.decoy().to_owned();
    assert_eq!(verdict(&mut hasher, &decoy).unwrap(), Verdict::Mismatch);
}

#[test]
fn the_input_is_the_hmac_of_the_password_in_nfc() {
    let peppers = Peppers::new(Some(&pepper(1)), &[]);
    let input = peppers.input("a password", Some(1)).unwrap();
    assert_eq!(*input, hmac_sha256(&[1; 32], b"a password"));
    assert_eq!(*peppers.input("a password", None).unwrap(), b"a password");
    let mut hasher = hasher(Some(1), &[]);
    let phc = hasher.hash(&Secret::new("caf\u{e9}".to_owned())).unwrap();
    let typed = Secret::new("cafe\u{301}".to_owned());
    assert_eq!(hasher.verify(&typed, &phc).unwrap(), Verdict::Match);
}

#[test]
fn turning_a_pepper_on_later_rehashes_what_is_there() {
    let phc = hasher(None, &[]).hash(&password()).unwrap();
    assert_eq!(verdict(&mut hasher(Some(1), &[]), &phc).unwrap(), Verdict::MatchNeedsRehash);
}

#[test]
fn a_replaced_pepper_verifies_while_it_is_listed() {
    let old = hasher(Some(1), &[]).hash(&password()).unwrap();
    let mut rotated = hasher(Some(2), &[1]);
    assert_eq!(verdict(&mut rotated, &old).unwrap(), Verdict::MatchNeedsRehash);
    let new = rotated.hash(&password()).unwrap();
    assert_eq!(verdict(&mut rotated, &new).unwrap(), Verdict::Match);
    // The settings have no current pepper, and the old pepper is still listed.
    assert_eq!(verdict(&mut hasher(None, &[1]), &old).unwrap(), Verdict::MatchNeedsRehash);
}

#[test]
fn a_hash_under_a_pepper_that_is_gone_is_an_error_and_never_a_mismatch() {
    let old = hasher(Some(1), &[]).hash(&password()).unwrap();
    for mut later in [hasher(Some(2), &[]), hasher(None, &[2])] {
        let result = later.verify(&Secret::new("wrong".to_owned()), &old);
        assert!(matches!(result, Err(HashError::PepperMissing)), "{result:?}");
    }
    // This key id is from another system. It is never a version of a pepper here.
    let foreign = old.replace("keyid=MQ", "keyid=8PDw8A");
    let result = hasher(Some(1), &[]).verify(&password(), &foreign);
    assert!(matches!(result, Err(HashError::PepperMissing)), "{result:?}");
}

#[test]
fn another_key_under_the_same_version_does_not_match() {
    let phc = hasher(Some(1), &[]).hash(&password()).unwrap();
    let stolen = Pepper { version: 1, key: Secret::new(vec![9; 32]) };
    let peppers = Peppers::new(Some(&stolen), &[]);
    let mut other = Hasher::new(Setup { peppers, ..Setup::plain(CHEAP) }).unwrap();
    assert_eq!(other.verify(&password(), &phc).unwrap(), Verdict::Mismatch);
}

#[test]
fn an_import_takes_peppered_hashes_where_their_pepper_is() {
    let phc = hasher(Some(1), &[]).hash(&password()).unwrap();
    let peppers = Peppers::new(Some(&pepper(2)), &[pepper(1)]);
    let setup = Setup { peppers, ..Setup::plain(CHEAP) };
    assert!(setup.admit(&phc).is_ok());
    assert_eq!(crate::password::admit(&phc), Err(Unsupported::Pepper));
    assert!(!format!("{setup:?}").contains("1, 1"), "the keys are not shown: {setup:?}");
}
