//! Tests of `engine.rs`: both engines compute argon2, and the self-test finds an engine that gives
//! wrong results.

use proptest::prelude::*;

use super::*;

const OWN: Kind = Kind {
    algorithm: Algorithm::Argon2id,
    version: Version::V0x13,
    params: Params { memory_kib: 64, iterations: 2, parallelism: 1 },
    pepper: None,
};

#[test]
fn both_engines_pass_the_self_test_also_at_our_default_costs() {
    let owasp = Params { memory_kib: 19_456, iterations: 2, parallelism: 1 };
    for engine in [PasswordEngine::Argon2, PasswordEngine::Simd] {
        self_test(engine, owasp).unwrap();
        self_test(engine, OWN.params).unwrap();
    }
}

#[test]
fn the_fast_engine_computes_the_test_vectors_of_rfc_9106() {
    let params = simd::Params::builder()
        .memory(simd::params::Memory::kib(32))
        .passes(3)
        .lanes(4)
        .threads(1)
        .tag_len(simd::params::TagLen::bytes(32))
        .build()
        .unwrap();
    // RFC 9106 §5.1, §5.2, §5.3.
    for (algorithm, expected) in [
        (
            simd::Algorithm::Argon2d,
            "512b391b6f1162975371d30919734294f868e3be3984f3c1a13a4db9fabe4acb",
        ),
        (
            simd::Algorithm::Argon2i,
            "c814d9d1dc7f37aa13f0d77f2494bda1c8de6b016dd388d29952a4c4672b6ce8",
        ),
        (
            simd::Algorithm::Argon2id,
            "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659",
        ),
    ] {
        let mut tag = [0; 32];
        simd::Argon2::new(algorithm, simd::Version::V0x13, params)
            .hash_into_with_ad(&[1; 32], &[2; 16], &[3; 8], &[4; 12], &mut tag)
            .unwrap();
        assert_eq!(hex(expected).unwrap(), tag, "{algorithm:?}");
    }
}

#[test]
fn an_engine_that_is_wrong_anywhere_fails_the_self_test() {
    // Each engine in this list gives wrong results for one kind of input only. The self-test must
    // find each of them with its vectors, edge cases and configured parameters.
    let wrong: [fn(Kind) -> bool; 6] = [
        |kind| kind.algorithm == Algorithm::Argon2d,
        |kind| kind.version == Version::V0x10,
        |kind| kind.params.parallelism == 3,
        |kind| kind.params.memory_kib == 37,
        |kind| kind.params.iterations > 2,
        |kind| kind == OWN,
    ];
    for is_wrong in wrong {
        let mut right = Engine::new(PasswordEngine::Argon2);
        let failed = agrees(OWN, |kind, secret, salt, tag| {
            right.compute(kind, OWN, secret, salt, tag)?;
            tag[31] ^= u8::from(is_wrong(kind));
            Ok(())
        });
        let text = failed.unwrap_err().to_string();
        assert!(text.contains("set password.engine = \"argon2\""), "{text}");
    }
    let fails = |_, _: &[u8], _: &[u8], _: &mut [u8]| Err(HashError::engine("no memory"));
    assert!(agrees(OWN, fails).unwrap_err().to_string().contains("no memory"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn the_engines_agree(
        algorithm in prop_oneof![
            Just(Algorithm::Argon2d), Just(Algorithm::Argon2i), Just(Algorithm::Argon2id)
        ],
        version in prop_oneof![Just(Version::V0x10), Just(Version::V0x13)],
        lanes in 1_u32..5,
        memory in 0_u32..300,
        iterations in 1_u32..4,
        secret in proptest::collection::vec(any::<u8>(), 0..300),
        salt in proptest::collection::vec(any::<u8>(), 8..64),
        tag_bytes in 10_usize..=TAG_BYTES_MAX,
    ) {
        let params = Params { memory_kib: 8 * lanes + memory, iterations, parallelism: lanes };
        let kind = Kind { algorithm, version, params, pepper: None };
        let (mut one, mut other) = (vec![0; tag_bytes], vec![0; tag_bytes]);
        Engine::new(PasswordEngine::Argon2).compute(kind, OWN, &secret, &salt, &mut one).unwrap();
        Engine::new(PasswordEngine::Simd).compute(kind, OWN, &secret, &salt, &mut other).unwrap();
        prop_assert_eq!(one, other);
    }
}
