//! Runs the Wycheproof test vectors through the code that verifies tokens. The vectors contain edge
//! cases of arithmetic and encoding that other implementations handle wrongly.

use wycheproof::{TestResult, ecdsa, eddsa, mac, rsa_pkcs1_verify};

use super::*;

/// Compares a result with the expected result of its vector. If the expected result is
/// "acceptable", the signature may be accepted or refused.
#[track_caller]
fn judged(what: usize, comment: &str, expected: TestResult, accepted: bool) {
    match expected {
        TestResult::Valid => assert!(accepted, "{what} is good: {comment}"),
        TestResult::Invalid => assert!(!accepted, "{what} is bad: {comment}"),
        TestResult::Acceptable => {}
    }
}

/// Parses the public key first and then verifies, as the daemon does.
fn accepts(algorithm: Verifying, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    ParsedPublicKey::new(algorithm, key).is_ok_and(|key| key.verify_sig(message, signature).is_ok())
}

#[test]
fn es256_judges_as_wycheproof_does() {
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let mut count = 0;
    for group in &set.test_groups {
        for test in &group.tests {
            let accepted = accepts(ES256, &group.key.key, &test.msg, &test.sig);
            judged(test.tc_id, &test.comment, test.result, accepted);
            count += 1;
        }
    }
    assert!(count >= 250, "{count}");
}

#[test]
fn a_signature_in_der_is_none_of_es256() {
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256).unwrap();
    let mut count = 0;
    for group in &set.test_groups {
        for test in group.tests.iter().filter(|test| test.sig.len() != 64) {
            assert!(!accepts(ES256, &group.key.key, &test.msg, &test.sig), "{}", test.tc_id);
            count += 1;
        }
    }
    assert!(count >= 400, "{count}");
}

#[test]
fn eddsa_judges_as_wycheproof_does() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut count = 0;
    for group in &set.test_groups {
        for test in &group.tests {
            let accepted = accepts(EDDSA, &group.key.pk, &test.msg, &test.sig);
            judged(test.tc_id, &test.comment, test.result, accepted);
            count += 1;
        }
    }
    assert!(count >= 140, "{count}");
}

#[test]
fn rs256_judges_as_wycheproof_does() {
    let set = rsa_pkcs1_verify::TestSet::load(rsa_pkcs1_verify::TestName::Rsa2048Sha256).unwrap();
    let mut count = 0;
    for group in &set.test_groups {
        for test in &group.tests {
            let accepted = accepts(RS256, &group.asn_key, &test.msg, &test.sig);
            judged(test.tc_id, &test.comment, test.result, accepted);
            count += 1;
        }
    }
    assert!(count >= 240, "{count}");
}

#[test]
fn hs256_judges_as_wycheproof_does_and_takes_no_shortened_tag() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let mut count = 0;
    for group in &set.test_groups {
        for test in &group.tests {
            let key = Material::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &test.key)));
            let accepted = key.verify(&test.msg, &test.tag).is_ok();
            let whole = group.tag_size == 256;
            let expected = if whole { test.result } else { TestResult::Invalid };
            judged(test.tc_id, &test.comment, expected, accepted);
            let parsed = Material::parse(Algorithm::HS256, &test.key);
            assert_eq!(parsed.is_ok(), test.key.len() >= 32, "a short secret is none");
            count += 1;
        }
    }
    assert!(count >= 170, "{count}");
}
