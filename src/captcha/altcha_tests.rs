//! Tests of `altcha.rs`: valid, forged, expired and malformed solutions.

use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const NOW: UnixMillis = 1_000;
const CHEAP: Work = Work { cost: 2, counter_max: 20 };

fn altcha() -> Altcha {
    Altcha::with_work(&Secret::new([7; 32]), CHEAP)
}

fn solved() -> Value {
    let payload = solve(&altcha().challenge(1, NOW)).unwrap();
    serde_json::from_slice(&STANDARD.decode(payload).unwrap()).unwrap()
}

fn check(payload: &Value) -> Result<Solved, CaptchaRefusal> {
    altcha().check(&STANDARD.encode(payload.to_string()), NOW)
}

#[test]
fn a_solved_challenge_passes_whatever_the_systems_clock_says() {
    // NOW is in 1970. If the check used the system clock, the challenge would be expired.
    let solved = check(&solved()).unwrap();
    assert_eq!(solved.expires_at, 601_000);
    assert_eq!(solved.spent_key.len(), 43);
}

#[test]
fn a_challenge_of_the_key_before_passes_while_that_one_is_set() {
    let payload = solve(&altcha().challenge(1, NOW)).unwrap();
    let changed = || Altcha::with_work(&Secret::new([8; 32]), CHEAP);
    assert_eq!(changed().check(&payload, NOW), Err(CaptchaRefusal::Forged));
    let both = changed().and_before(Some(&Secret::new([7; 32])));
    assert_eq!(both.check(&payload, NOW), altcha().check(&payload, NOW));
    assert_eq!(
        changed().and_before(Some(&Secret::new([9; 32]))).check(&payload, NOW),
        Err(CaptchaRefusal::Forged)
    );
}

#[test]
fn a_challenge_has_the_form_that_the_widget_takes_and_the_real_work() {
    let challenge = Altcha::new(&Secret::new([7; 32])).challenge(1, NOW);
    let parameters = &challenge["parameters"];
    assert_eq!(parameters["algorithm"], "PBKDF2/SHA-256");
    assert_eq!(parameters["cost"], 2_000);
    assert_eq!(parameters["expiresAt"], 601);
    assert_eq!(parameters["keyLength"], 32);
    assert_eq!(parameters["keyPrefix"].as_str().unwrap().len(), 32, "half of the key");
    assert_eq!(parameters["nonce"].as_str().unwrap().len(), 32);
    assert_eq!(challenge["signature"].as_str().unwrap().len(), 64);
    assert_ne!(challenge["parameters"]["nonce"], altcha().challenge(1, NOW)["parameters"]["nonce"]);
}

#[test]
fn whatever_else_of_an_answer_is_changed_it_is_the_same_answer() {
    let payload = solved();
    let expected = check(&payload).unwrap();
    let text = payload.to_string();
    for encoded in [
        STANDARD.encode(&text),
        STANDARD_NO_PAD.encode(&text),
        URL_SAFE.encode(&text),
        URL_SAFE_NO_PAD.encode(&text),
        STANDARD.encode(serde_json::to_string_pretty(&payload).unwrap()),
    ] {
        assert_eq!(altcha().check(&encoded, NOW), Ok(expected.clone()));
    }
    let mut changed = payload.clone();
    changed["solution"]["counter"] = json!(4_000_000_000_u32);
    changed["solution"]["time"] = json!(0.5);
    changed["challenge"]["more"] = json!(1);
    changed["challenge"]["parameters"]["more"] = json!(1);
    changed["challenge"]["parameters"]["data"] = json!(null);
    let key = changed["solution"]["derivedKey"].as_str().unwrap().to_uppercase();
    changed["solution"]["derivedKey"] = json!(key);
    assert_eq!(check(&changed), Ok(expected));
    assert_ne!(check(&solved()).unwrap().spent_key, check(&payload).unwrap().spent_key);
}

#[test]
fn whatever_was_signed_cannot_be_changed() {
    let payload = solved();
    for (member, value) in [
        ("algorithm", json!("PBKDF2/SHA-512")),
        ("algorithm", json!("SHA-256")),
        ("algorithm", json!("pbkdf2/sha-256")),
        ("cost", json!(1)),
        ("cost", json!(u32::MAX)),
        ("data", json!({ "a": 1 })),
        ("expiresAt", json!(602)),
        ("expiresAt", json!(0)),
        ("expiresAt", json!(null)),
        ("keyLength", json!(1)),
        ("keyLength", json!(u64::MAX)),
        ("keyPrefix", json!("")),
        ("keyPrefix", json!("zz")),
        ("keySignature", json!(null)),
        ("keySignature", json!("")),
        ("memoryCost", json!(1)),
        ("parallelism", json!(1)),
        ("nonce", json!("00112233445566778899aabbccddeeff")),
        ("salt", json!("00112233445566778899aabbccddeeff")),
        (
            "nonce",
            json!(
                payload["challenge"]["parameters"]["nonce"].as_str().unwrap().to_uppercase() + "A"
            ),
        ),
    ] {
        let mut changed = payload.clone();
        changed["challenge"]["parameters"][member] = value.clone();
        assert_eq!(check(&changed), Err(CaptchaRefusal::Forged), "{member}: {value}");
    }
    for signature in [json!(null), json!(""), json!("00"), json!("0".repeat(64))] {
        let mut changed = payload.clone();
        changed["challenge"]["signature"] = signature;
        assert_eq!(check(&changed), Err(CaptchaRefusal::Forged));
    }
}

#[test]
fn a_challenge_signed_by_somebody_else_is_refused() {
    let other = Altcha::with_work(&Secret::new([8; 32]), CHEAP);
    let payload = solve(&other.challenge(1, NOW)).unwrap();
    assert!(other.check(&payload, NOW).is_ok());
    assert_eq!(altcha().check(&payload, NOW), Err(CaptchaRefusal::Forged));
}

#[test]
fn an_answer_without_the_work_is_refused() {
    let payload = solved();
    let prefix = payload["challenge"]["parameters"]["keyPrefix"].as_str().unwrap().to_owned();
    for key in [String::new(), "0".into(), "zz".into(), "é".into(), "00".repeat(32), prefix] {
        let mut changed = payload.clone();
        changed["solution"]["derivedKey"] = json!(key);
        assert_eq!(check(&changed), Err(CaptchaRefusal::Unsolved), "{key}");
    }
    let mut swapped = solved();
    swapped["challenge"] = payload["challenge"].clone();
    assert_eq!(check(&swapped), Err(CaptchaRefusal::Unsolved), "another challenge's solution");
}

#[test]
fn a_challenge_is_good_for_ten_minutes_of_the_clock_that_is_handed_in() {
    let altcha = altcha();
    let payload = solve(&altcha.challenge(1, NOW)).unwrap();
    assert!(altcha.check(&payload, 600_999).is_ok());
    assert_eq!(altcha.check(&payload, 601_000), Err(CaptchaRefusal::Expired));
    assert_eq!(altcha.check(&payload, UnixMillis::MAX), Err(CaptchaRefusal::Expired));
}

#[test]
fn a_payload_over_4_kib_or_of_another_form_is_refused() {
    let long = "A".repeat(PAYLOAD_BYTES_MAX + 1);
    assert_eq!(altcha().check(&long, NOW), Err(CaptchaRefusal::TooLong));
    let payload = solved();
    let mut twice = payload.to_string();
    twice.insert_str(1, "\"solution\":{\"derivedKey\":\"00\"},");
    let nested = "[".repeat(2_000);
    for text in ["", "null", "[]", "{}", "{\"challenge\":{}}", &nested, &twice] {
        let encoded = STANDARD.encode(text);
        assert_eq!(altcha().check(&encoded, NOW), Err(CaptchaRefusal::Malformed), "{text}");
    }
    assert_eq!(altcha().check("no base64!", NOW), Err(CaptchaRefusal::Malformed));
    assert_eq!(altcha().check("ä", NOW), Err(CaptchaRefusal::Malformed));
}

#[test]
fn what_is_no_challenge_cannot_be_solved() {
    assert_eq!(solve(&json!({})), None);
}

proptest! {
    #[test]
    fn garbage_never_panics_and_never_passes(payload in ".{0,200}", json in "[{}\\[\\]\":,a-z0-9]{0,200}") {
        prop_assert!(altcha().check(&payload, NOW).is_err());
        prop_assert!(altcha().check(&STANDARD.encode(json), NOW).is_err());
    }

    #[test]
    fn a_flipped_character_never_passes_for_another_challenge(at in any::<prop::sample::Index>(), c in "[ -~]") {
        let payload = solved();
        let expected = check(&payload).unwrap();
        let mut text = payload.to_string();
        let at = at.index(text.len());
        text.replace_range(at..=at, &c);
        if let Ok(solved) = altcha().check(&STANDARD.encode(text), NOW) {
            prop_assert_eq!(solved, expected);
        }
    }
}

#[test]
fn a_harder_challenge_says_so_under_its_signature() {
    let easy = check(&solved()).unwrap();
    assert_eq!(easy.difficulty, 1);
    let payload = solve(&altcha().challenge(7, NOW)).unwrap();
    let mut payload: Value = serde_json::from_slice(&STANDARD.decode(payload).unwrap()).unwrap();
    assert_eq!(check(&payload).unwrap().difficulty, 7);
    payload["challenge"]["parameters"]["data"]["difficulty"] = json!(8);
    assert_eq!(check(&payload), Err(CaptchaRefusal::Forged));
    payload["challenge"]["parameters"]["data"] = Value::Null;
    assert_eq!(check(&payload), Err(CaptchaRefusal::Forged));
}

#[test]
fn the_work_grows_with_the_difficulty_and_has_an_end() {
    let work = |difficulty| {
        let counter = |_| {
            let payload = solve(&altcha().challenge(difficulty, NOW)).unwrap();
            let payload: Value =
                serde_json::from_slice(&STANDARD.decode(payload).unwrap()).unwrap();
            payload["solution"]["counter"].as_u64().unwrap()
        };
        (0..200).map(counter).max().unwrap()
    };
    let (usual, hardest, beyond) = (work(1), work(DIFFICULTY_MAX), work(u32::MAX));
    assert!(usual < 20, "{usual}");
    for hard in [hardest, beyond] {
        assert!((20 * 40..20 * 60).contains(&hard), "{hard}");
    }
}
