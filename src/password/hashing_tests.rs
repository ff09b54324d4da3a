//! Tests of `hashing.rs`: the vector of RFC 9106, foreign hashes, caps and the decoy.

use proptest::prelude::*;

use super::super::argon::{ITERATIONS_MAX, MEMORY_KIB_MAX, PARALLELISM_MAX};
use super::*;

/// The smallest parameters that argon2 allows. Tests of behaviour do not need expensive hashes.
const CHEAP: Params = Params { memory_kib: 8, iterations: 1, parallelism: 1 };

fn hasher() -> Hasher {
    Hasher::new(Setup::plain(CHEAP)).unwrap()
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn verdict(password: &str, phc: &str) -> Verdict {
    hasher().verify(&secret(password), phc).unwrap()
}

#[test]
fn the_engine_computes_the_test_vector_of_rfc_9106() {
    let params = argon2::ParamsBuilder::new()
        .m_cost(32)
        .t_cost(3)
        .p_cost(4)
        .output_len(32)
        .data(argon2::AssociatedData::new(&[4; 12]).unwrap())
        .build()
        .unwrap();
    let engine =
        argon2::Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params)
            .unwrap();
    let mut tag = [0; 32];
    let mut blocks = vec![argon2::Block::new(); engine.params().block_count()];
    engine.hash_password_into_with_memory(&[1; 32], &[2; 16], &mut tag, &mut blocks[..]).unwrap();
    let expected = [
        0x0d, 0x64, 0x0d, 0xf5, 0x8d, 0x78, 0x76, 0x6c, 0x08, 0xc0, 0x37, 0xa3, 0x4a, 0x8b, 0x53,
        0xc9, 0xd0, 0x1e, 0xf0, 0x45, 0x2d, 0x75, 0xb6, 0x5e, 0xb5, 0x25, 0x20, 0xe9, 0x6b, 0x01,
        0xe6, 0x59,
    ];
    assert_eq!(tag, expected);
}

#[test]
fn hashes_of_the_reference_implementation_verify_and_ask_for_a_rehash() {
    for phc in [
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
        "$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ",
    ] {
        assert_eq!(verdict("password", phc), Verdict::MatchNeedsRehash, "{phc}");
        assert_eq!(verdict("Password", phc), Verdict::Mismatch, "{phc}");
    }
}

#[test]
fn argon2d_and_other_parameters_ask_for_a_rehash() {
    let today = Setup::plain(CHEAP).today();
    let others = [
        Kind { algorithm: Algorithm::Argon2d, ..today },
        Kind { algorithm: Algorithm::Argon2i, ..today },
        Kind { version: Version::V0x10, ..today },
        Kind { params: Params { memory_kib: 16, ..CHEAP }, ..today },
        Kind { params: Params { iterations: 2, ..CHEAP }, ..today },
        Kind { params: Params { parallelism: 2, memory_kib: 16, ..CHEAP }, ..today },
    ];
    let stored = |kind: Kind, salt: &[u8], tag: &mut [u8]| {
        hasher().compute(kind, "a password", salt, tag).unwrap();
        kind.phc(salt, tag).unwrap()
    };
    for kind in others {
        let phc = stored(kind, &[7; 16], &mut [0; 32]);
        assert_eq!(verdict("a password", &phc), Verdict::MatchNeedsRehash, "{phc}");
    }
    for phc in [stored(today, &[7; 8], &mut [0; 32]), stored(today, &[7; 16], &mut [0; 16])] {
        assert_eq!(verdict("a password", &phc), Verdict::MatchNeedsRehash, "{phc}");
    }
    assert_eq!(verdict("a password", &stored(today, &[7; 16], &mut [0; 32])), Verdict::Match);
}

#[test]
fn our_hashes_have_the_promised_form() {
    let mut hasher =
        Hasher::new(Setup::plain(Params { memory_kib: 64, iterations: 2, parallelism: 1 }))
            .unwrap();
    let phc = hasher.hash(&secret("a password")).unwrap();
    assert!(phc.starts_with("$argon2id$v=19$m=64,t=2,p=1$"), "{phc}");
    let parsed = Stored::parse(&phc).unwrap();
    assert_eq!((parsed.salt.len(), parsed.tag.len()), (16, 32));
    assert_ne!(phc, hasher.hash(&secret("a password")).unwrap(), "each has a salt of its own");
}

#[test]
fn a_password_is_the_same_in_every_unicode_form_and_in_no_other_spelling() {
    let phc = hasher().hash(&secret("caf\u{e9} cr\u{e8}me")).unwrap();
    assert_eq!(verdict("cafe\u{301} cre\u{300}me", &phc), Verdict::Match);
    for other in ["café crème ", "Café crème", "cafe creme", ""] {
        assert_eq!(verdict(other, &phc), Verdict::Mismatch);
    }
}

#[test]
fn a_corrupt_stored_hash_is_an_error_and_never_a_mismatch() {
    let good = hasher().hash(&secret("a password")).unwrap();
    let mut cut: Vec<String> = (0..good.len()).map(|at| good[..at].to_owned()).collect();
    // If a string is cut inside the tag, it can still be a valid string with a shorter tag. Such a
    // string is another hash and not a corrupt one, so it is not tested here.
    cut.retain(|phc| phc.matches('$').count() < 5);
    let foreign = [
        "$2b$12$KIXQ4S7cZrnZb5oZ5v5b4uJ0m1yJ0y1yJ0y1yJ0y1yJ0y1yJ0y1y",
        "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "$argon2id$v=20$m=8,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=8,t=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=8,t=1,p=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=8,t=1,p=1,data=Hj5$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=7,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=8,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    ];
    for phc in cut.iter().map(String::as_str).chain(foreign) {
        let result = hasher().verify(&secret("a password"), phc);
        assert!(matches!(result, Err(HashError::Corrupt)), "{phc}: {result:?}");
    }
}

#[test]
fn costs_above_the_caps_are_refused_before_any_work() {
    let phc = |m: u32, t: u32, p: u32| {
        format!(
            "$argon2id$v=19$m={m},t={t},p={p}$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
        )
    };
    for phc in [
        phc(u32::MAX, 1, 1),
        phc(MEMORY_KIB_MAX + 1, 1, 1),
        phc(MEMORY_KIB_MAX, 3, 1),
        phc(8, u32::MAX, 1),
        phc(8, ITERATIONS_MAX + 1, 1),
        phc(65_536, 1, PARALLELISM_MAX + 1),
    ] {
        let mut hasher = hasher();
        let result = hasher.verify(&secret("a password"), &phc);
        assert!(matches!(result, Err(HashError::ParametersRefused)), "{phc}: {result:?}");
        assert_eq!(hasher.engine.kept_kib(), 0, "no memory was taken");
    }
}

#[test]
fn an_operators_own_parameters_are_never_above_the_caps() {
    let own = Params { memory_kib: 2 * 1024 * 1024, iterations: 3, parallelism: 100 };
    let kind = Setup::plain(own).today();
    assert!(kind.check_caps(own).is_ok());
    assert!(kind.check_caps(CHEAP).is_err());
}

#[test]
fn parameters_that_argon2_does_not_allow_are_refused_at_the_start() {
    for params in [
        Params { memory_kib: 7, ..CHEAP },
        Params { iterations: 0, ..CHEAP },
        Params { parallelism: 0, ..CHEAP },
        Params { parallelism: 2, ..CHEAP },
        Params { parallelism: u32::MAX, ..CHEAP },
    ] {
        let refused = Hasher::new(Setup::plain(params));
        assert!(matches!(refused, Err(HashError::ParametersRefused)), "{params:?}");
    }
}

#[test]
fn the_decoy_matches_nothing_and_has_the_form_of_a_hash_of_today() {
    let mut hasher = hasher();
    assert_eq!(hasher.engine.kept_kib(), 0, "nothing is computed at the start");
    let (decoy, real) = (hasher.decoy().to_owned(), hasher.hash(&secret("a password")).unwrap());
    assert_eq!(decoy.len(), real.len());
    let kind = Stored::parse(&decoy).unwrap().kind;
    assert!(kind == hasher.setup.today());
    for password in ["", "a password", &decoy] {
        assert_eq!(hasher.verify(&secret(password), &decoy).unwrap(), Verdict::Mismatch);
    }
}

#[test]
fn memory_is_taken_once_and_kept_and_a_larger_foreign_hash_gives_its_own_back() {
    let large = Setup::plain(Params { memory_kib: 1024, ..CHEAP });
    let foreign = Hasher::new(large).unwrap().hash(&secret("a password")).unwrap();
    for engine in [PasswordEngine::Argon2, PasswordEngine::Simd] {
        let mut hasher = Hasher::new(Setup { engine, ..Setup::plain(CHEAP) }).unwrap();
        hasher.hash(&secret("a password")).unwrap();
        assert_eq!(hasher.engine.kept_kib(), 8, "{engine:?}");
        let verdict = hasher.verify(&secret("a password"), &foreign).unwrap();
        assert_eq!(verdict, Verdict::MatchNeedsRehash);
        hasher.hash(&secret("a password")).unwrap();
        assert_eq!(hasher.engine.kept_kib(), 8, "{engine:?}");
    }
}

#[test]
fn what_one_engine_hashed_is_of_today_for_the_other() {
    let with = |engine| Hasher::new(Setup { engine, ..Setup::plain(CHEAP) }).unwrap();
    let (mut one, mut other) = (with(PasswordEngine::Argon2), with(PasswordEngine::Simd));
    let phc = one.hash(&secret("a password")).unwrap();
    assert_eq!(other.verify(&secret("a password"), &phc).unwrap(), Verdict::Match);
    let phc = other.hash(&secret("a password")).unwrap();
    assert_eq!(one.verify(&secret("a password"), &phc).unwrap(), Verdict::Match);
    assert_eq!(one.verify(&secret("A password"), &phc).unwrap(), Verdict::Mismatch);
}

#[test]
fn what_another_system_hashed_as_it_was_typed_matches_as_it_was_typed() {
    let typed = "cafe\u{301} cre\u{300}me";
    let older = Kind { version: Version::V0x10, ..Setup::plain(CHEAP).today() };
    for (hashed, matching) in
        [(typed, &[typed][..]), ("caf\u{e9} cr\u{e8}me", &[typed, "café crème"])]
    {
        let mut tag = [0; 32];
        hasher().compute(older, hashed, &[7; 16], &mut tag).unwrap();
        let phc = older.phc(&[7; 16], &tag).unwrap();
        for password in matching {
            assert_eq!(verdict(password, &phc), Verdict::MatchNeedsRehash, "{password:?}");
        }
        assert_eq!(verdict("cafe creme", &phc), Verdict::Mismatch);
    }
}

#[test]
fn measuring_gives_a_time() {
    assert!(hasher().time_one().unwrap() > Duration::ZERO);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_hashed_matches_and_nothing_else_does(
        password in any::<String>(),
        other in any::<String>(),
    ) {
        let mut hasher = hasher();
        let phc = hasher.hash(&secret(&password)).unwrap();
        prop_assert_eq!(hasher.verify(&secret(&password), &phc).unwrap(), Verdict::Match);
        let same = *normalized(&secret(&password)) == *normalized(&secret(&other));
        let expected = if same { Verdict::Match } else { Verdict::Mismatch };
        prop_assert_eq!(hasher.verify(&secret(&other), &phc).unwrap(), expected);
    }

    #[test]
    fn verifying_garbage_never_panics_and_never_matches(phc in "\\$?[a-z0-9$=,+/]{0,80}") {
        prop_assert!(hasher().verify(&secret("a password"), &phc).is_err());
    }
}
