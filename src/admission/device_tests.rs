//! Tests of `device.rs`.

use proptest::prelude::*;

use super::*;

const NOW: UnixMillis = 1_795_467_791_042;
const ADA: &str = "ada@example.org";
const WHO: (Uuid, i32) = (Uuid::from_u128(7), 3);

fn devices(key: u8) -> Devices {
    Devices::new(&MasterKey::new([key; 32]), None)
}

#[test]
fn a_token_is_read_for_its_address_until_it_runs_out() {
    let devices = devices(1);
    let token = devices.issue(ADA, WHO, (None, None), NOW);
    assert_eq!(token.len(), TOKEN_CHARS);
    let device = devices.read(token.as_bytes(), ADA, NOW + KNOWN_MS - 1).unwrap();
    assert!(device.knows(WHO.0, WHO.1));
    assert!(!device.knows(WHO.0, WHO.1 + 1) && !device.knows(Uuid::from_u128(8), WHO.1));
    assert_eq!(devices.read(token.as_bytes(), ADA, NOW + KNOWN_MS), None);
    for other in ["bob@example.org", "ada@example.or", "ada@example.orgg", ""] {
        assert_eq!(devices.read(token.as_bytes(), other, NOW), None, "{other}");
    }
}

#[test]
fn a_device_keeps_its_id_and_another_gets_another() {
    let devices = devices(1);
    let read = |token: &str| devices.read(token.as_bytes(), ADA, NOW).unwrap();
    let first = read(&devices.issue(ADA, WHO, (None, None), NOW));
    assert_eq!(read(&devices.issue(ADA, (WHO.0, 4), (Some(first), None), NOW)).id(), first.id());
    assert_ne!(read(&devices.issue(ADA, WHO, (None, None), NOW)).id(), first.id());
}

#[test]
fn the_master_key_before_is_read_and_another_is_not() {
    let token = devices(1).issue(ADA, WHO, (None, None), NOW);
    let rotated = Devices::new(&MasterKey::new([2; 32]), Some(&MasterKey::new([1; 32])));
    assert!(rotated.read(token.as_bytes(), ADA, NOW).is_some());
    let renewed = rotated.issue(ADA, WHO, (None, None), NOW);
    assert!(rotated.read(renewed.as_bytes(), ADA, NOW).is_some());
    assert_eq!(devices(1).read(renewed.as_bytes(), ADA, NOW), None);
    assert_eq!(devices(2).read(token.as_bytes(), ADA, NOW), None);
}

#[test]
fn a_token_that_is_changed_in_any_bit_or_length_is_none() {
    let devices = devices(1);
    let token = devices.issue(ADA, WHO, (None, None), NOW).into_bytes();
    for at in 0..token.len() {
        for byte in 0..=u8::MAX {
            let mut changed = token.clone();
            changed[at] = byte;
            let is_read = devices.read(&changed, ADA, NOW).is_some();
            assert_eq!(is_read, byte == token[at], "{byte} at {at}");
        }
        assert_eq!(devices.read(&token[..at], ADA, NOW), None);
    }
    for more in ["=", "A", "==", "\n"] {
        assert_eq!(devices.read(&[&token, more.as_bytes()].concat(), ADA, NOW), None);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), now: i64) {
        prop_assert_eq!(devices(1).read(&bytes, ADA, now), None);
    }

    #[test]
    fn no_text_of_the_right_shape_is_a_token(text in "[A-Za-z0-9_-]{102}") {
        prop_assert_eq!(devices(1).read(text.as_bytes(), ADA, NOW), None);
    }
}
