//! Tests of the spellings of other systems. known_hashes.tsv has a format, a password and its
//! stored hash in each line. The hashes come from the documentation and the tests of the other
//! systems, or were computed with Python's hashlib and crypt(3).

use crate::password::{Format, Hasher, Params, Setup, Unsupported, Verdict, admit};
use crate::secret::Secret;

const KNOWN: &str = include_str!("known_hashes.tsv");

fn verdict(stored: &str, password: &str) -> Verdict {
    let params = Params { memory_kib: 8, iterations: 1, parallelism: 1 };
    let mut hasher = Hasher::new(Setup::plain(params)).unwrap();
    hasher.verify(&Secret::new(password.to_owned()), stored).unwrap()
}

#[test]
fn a_hash_in_the_spelling_of_its_system_matches_its_password() {
    for line in KNOWN.lines() {
        let [format, password, stored] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        assert_eq!(admit(stored).map(|it| it.to_string()), Ok(format.to_owned()), "{stored}");
        assert_eq!(verdict(stored, password), Verdict::MatchNeedsRehash, "{stored}");
        for wrong in [format!("{password}x"), password.to_uppercase(), String::new()] {
            assert_eq!(verdict(stored, &wrong), Verdict::Mismatch, "{stored} {wrong:?}");
        }
    }
}

#[test]
fn the_form_of_a_password_that_better_auth_hashes_is_nfkc() {
    let stored = KNOWN.lines().find_map(|line| line.strip_prefix("scrypt\tｐａｓｓﬁx½\t")).unwrap();
    assert_eq!(verdict(stored, "passfix1⁄2"), Verdict::MatchNeedsRehash);
    assert_eq!(verdict(stored, "passfix1/2"), Verdict::Mismatch);
}

#[test]
fn passwords_and_hashes_without_a_salt_are_refused_with_the_reason() {
    for stored in [
        "{noop}password",
        "{PLAIN}password",
        "{CLEARTEXT}password",
        "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        "{SHA256}XohImNooBHFR0OVvjcYpJ3NgPQ1qq73WKhHvch0VQtg=",
        "{SHA512}xxxx",
        "{MD5}X03MO1qnZdYdgyfeuILPmQ==",
        "{PLAIN-MD5}5f4dcc3b5aa765d61d8327deb882cf99",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8",
        "5E884898DA28047151D0E56F8DC6292773603D0D6AABBDD62A11EF721D1542D8",
    ] {
        assert_eq!(admit(stored), Err(Unsupported::Unsalted), "{stored}");
    }
    let reason = Unsupported::Unsalted.to_string();
    assert!(reason.contains("without a salt") && reason.contains("new password"), "{reason}");
    for stored in [
        "{SMD5}pKqkNr1tq3wtQqk+UcPyA3HnA2NsU5NJ",
        "{MD5}{c2FsdA==}5f4dcc3b5aa765d61d8327deb882cf99",
        "{SCRAM-SHA-256}4096,c2FsdA==,a,b",
        "{DES-CRYPT}1eX5BzWpCkoUo",
        "{CRYPT}$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/",
        "{CRYPT}$y$j9T$salt$hash",
        "{}",
        "{bcrypt}",
    ] {
        assert_eq!(admit(stored), Err(Unsupported::Algorithm), "{stored}");
    }
}

#[test]
fn a_malformed_spelling_is_refused_under_the_name_of_its_format() {
    let hash = "a".repeat(80);
    for (format, stored) in [
        (Format::SaltedSha, "{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=".to_owned()),
        (Format::SaltedSha, "{SSHA999}W6ph5Mm5Pz8GgiULbPgzG37mj9g=".to_owned()),
        (Format::SaltedSha, "{SSHA.xyz}W6ph5Mm5Pz8GgiULbPgzG37mj9hzYWx0".to_owned()),
        (Format::Pbkdf2Sha1, format!("{{pbkdf2}}{hash}aa")),
        (Format::Pbkdf2Sha1, "{PBKDF2}$1$salt$1000".to_owned()),
        (Format::Pbkdf2Sha256, format!("{{pbkdf2@SpringSecurity_v5_8}}{hash}")),
        (Format::Pbkdf2Sha256, "{PBKDF2_SHA256}AAAnEGTxXtnR".to_owned()),
        (Format::Pbkdf2Sha1, "AQAAAAAAAAPoAAAAEHNpeHRlZW4=".to_owned()),
        (Format::FirebaseScrypt, "$fbscrypt$v=2,n=14,r=8,p=1,ss=,sk=a$a$a".to_owned()),
        // SuperTokens' own string does not contain the signer key.
        (Format::FirebaseScrypt, "$f_scrypt$aGFzaA==$c2FsdA==$m=14$r=8$s=Bw==".to_owned()),
        (Format::ShaCrypt, "$6$saltstring$short".to_owned()),
        (Format::ShaCrypt, format!("$6$saltstringsaltstring${}.", "a".repeat(85))),
        (Format::ShaCrypt, format!("$6$rounds=999$salt${}.", "a".repeat(85))),
        (Format::ShaCrypt, format!("$5$rounds=1e9$salt${}.", "a".repeat(42))),
        // The last digit of a hash has unused bits.
        (Format::ShaCrypt, format!("$6$salt${}", "a".repeat(86))),
        (Format::ShaCrypt, format!("$5$salt${}", "a".repeat(43))),
        (Format::Phpass, "$P$BabcdefghkcUTHzFJ2Vxu4q6px4qpa".to_owned()),
        (Format::Phpass, "$P$4abcdefghkcUTHzFJ2Vxu4q6px4qpa0".to_owned()),
        (Format::Bcrypt, "$wp$2y$04$abc".to_owned()),
    ] {
        assert_eq!(admit(&stored), Err(Unsupported::Malformed(format)), "{stored}");
    }
}

#[test]
fn each_spelling_has_the_caps_of_its_format() {
    let bcrypt = "abcdefghijklmnopqrstuuEtApWsU3VtOgou8tE.ovhseYsUlb1fq";
    let sha_crypt = |rounds| format!("$6$rounds={rounds}$salt${}.", "a".repeat(85));
    let phpass = |cost| format!("$P${cost}abcdefghkcUTHzFJ2Vxu4q6px4qpa0");
    let asp_net = |iterations: [u8; 4]| {
        use base64::Engine as _;
        let bytes = [&[1, 0, 0, 0, 1][..], &iterations, &[0, 0, 0, 16], &[7; 48]].concat();
        base64::engine::general_purpose::STANDARD.encode(bytes)
    };
    for stored in [
        format!("$wp$2y$13${bcrypt}"),
        sha_crypt(700_000),
        phpass('G'),
        asp_net([0, 0x16, 0xe3, 0x60]),
    ] {
        assert!(admit(&stored).is_ok(), "{stored}");
    }
    for (format, stored) in [
        (Format::Bcrypt, format!("$wp$2y$14${bcrypt}")),
        (Format::Bcrypt, format!("bcrypt_sha256$$2b$31${bcrypt}")),
        (Format::Bcrypt, format!("{{bcrypt}}$2a$31${bcrypt}")),
        (Format::ShaCrypt, sha_crypt(700_001)),
        (Format::ShaCrypt, sha_crypt(999_999_999)),
        (Format::Phpass, phpass('H')),
        (Format::Phpass, phpass('S')),
        (Format::Pbkdf2Sha256, asp_net([0, 0x16, 0xe3, 0x61])),
        (Format::Pbkdf2Sha256, asp_net([255; 4])),
        (Format::Scrypt, "{scrypt}$1f0801$c2FsdA==$OAOec05+bXxvuu/1qZ6NUR+xQYs=".to_owned()),
        (Format::Pbkdf2Sha1, "{PBKDF2}4000000000$c2FsdA$QBgWRknQopkaAr394JjaMauT6gs".to_owned()),
        (
            Format::FirebaseScrypt,
            format!("$fbscrypt$v=1,n=30,r=8,p=1,sk={0}==$c2FsdA==${0}==", "A".repeat(22)),
        ),
    ] {
        assert_eq!(admit(&stored), Err(Unsupported::TooCostly(format)), "{stored}");
    }
}

/// Whatever the salt and the hash are, a hash that is accepted can be verified.
#[test]
fn an_accepted_sha_crypt_hash_can_always_be_verified() {
    for last in super::super::phpass::DIGITS {
        for (version, length) in [("5", 43), ("6", 86)] {
            let tag = format!("{}{}", "z".repeat(length - 1), char::from(*last));
            for salt in ["s", "./salt09AZ", "rounds"] {
                let stored = format!("${version}$rounds=1000${salt}${tag}");
                if admit(&stored).is_ok() {
                    assert_eq!(verdict(&stored, "password"), Verdict::Mismatch, "{stored}");
                }
            }
        }
    }
}
