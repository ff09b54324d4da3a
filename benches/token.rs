//! Benchmark: creating and verifying both kinds of tokens. It is compared with aws-lc, which only
//! signs or verifies the same number of bytes with a key that is already parsed.

use std::hint::black_box;
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, ParsedPublicKey, RsaKeyPair,
};
use latchkey::clock::Clock;
use latchkey::config::{Database, Tokens, VaultAlgorithm};
use latchkey::database::Db;
use latchkey::secret::{MasterKey, random_bytes};
use latchkey::token::jwt::{self, Expiry, UserClaims, VaultClaims};
use latchkey::token::{KeyDependencies, KeyRing};
use tempfile::TempDir;

use crate::measure::{Effort, Table};
use samples::{user_claims, vault_claims};

#[path = "../src/token/samples.rs"]
mod samples;

const ISSUER: &str = "https://auth.example.com";
const NOW: i64 = 1_800_000_000;

/// A function that signs a message.
type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;
/// A function that verifies the signature of a message. It panics if the signature is not valid.
type Verify = Box<dyn Fn(&[u8], &[u8])>;

/// A key of aws-lc that signs and verifies bytes. The bytes are not a token.
struct Bare {
    sign: Sign,
    verify: Verify,
}

pub fn run(effort: Effort) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let table = Table::new("token", effort);
    let (ring, _directory) = runtime.block_on(fresh_ring(VaultAlgorithm::Es256));
    user(&table, &ring);
    for (name, algorithm, bare) in [
        ("ES256", VaultAlgorithm::Es256, bare_es256()),
        ("EdDSA", VaultAlgorithm::EdDsa, bare_ed25519()),
        ("RS256", VaultAlgorithm::Rs256, bare_rs256()),
    ] {
        let (ring, _directory) = runtime.block_on(fresh_ring(algorithm));
        vault(&table, name, &ring, &bare);
    }
}

fn user(table: &Table, ring: &KeyRing) {
    let (keys, claims, bare) = (ring.current(), user_claims(), bare_hs256());
    let token = jwt::mint(&keys.user, &claims).expect("minted");
    let (signed, signature) = parts(&token, &bare);
    table.row(
        "mint a userToken, HS256",
        || {
            black_box(jwt::mint(&keys.user, black_box(&claims)).expect("minted"));
        },
        "HMAC-SHA-256",
        || {
            black_box((bare.sign)(black_box(&signed)));
        },
    );
    table.row(
        "verify a userToken, HS256",
        || {
            let read = jwt::verify_user(&keys, black_box(&token), ISSUER, NOW, Expiry::Enforced);
            black_box(read.expect("good"));
        },
        "HMAC-SHA-256",
        || (bare.verify)(black_box(&signed), &signature),
    );
}

fn vault(table: &Table, name: &str, ring: &KeyRing, bare: &Bare) {
    let (keys, claims) = (ring.current(), vault_claims());
    let token = jwt::mint(&keys.vault, &claims).expect("minted");
    let (signed, signature) = parts(&token, bare);
    table.row(
        &format!("mint a vaultToken, {name}"),
        || {
            black_box(jwt::mint(&keys.vault, black_box(&claims)).expect("minted"));
        },
        &format!("{name} signature"),
        || {
            black_box((bare.sign)(black_box(&signed)));
        },
    );
    table.row(
        &format!("verify a vaultToken, {name}"),
        || {
            let read = jwt::verify_vault(&keys, black_box(&token), ISSUER, "vault", NOW);
            black_box(read.expect("good"));
        },
        &format!("{name} verification, public key parsed"),
        || (bare.verify)(black_box(&signed), &signature),
    );
}

/// Returns the signed part of a token, and the signature of `bare` over this part.
fn parts(token: &str, bare: &Bare) -> (Vec<u8>, Vec<u8>) {
    let (signed, _) = token.rsplit_once('.').expect("a JWS");
    let signature = (bare.sign)(signed.as_bytes());
    (signed.as_bytes().to_vec(), signature)
}

fn bare_hs256() -> Bare {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &random_bytes::<32>());
    let verifies = key.clone();
    Bare {
        sign: Box::new(move |message| hmac::sign(&key, message).as_ref().to_vec()),
        verify: Box::new(move |message, tag| {
            hmac::verify(&verifies, message, tag).expect("good");
        }),
    }
}

fn bare_es256() -> Bare {
    let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = EcdsaKeyPair::generate(algorithm).expect("a key");
    let verify = verify(&signature::ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
    let sign = move |message: &[u8]| {
        pair.sign(&SystemRandom::new(), message).expect("signed").as_ref().to_vec()
    };
    Bare { sign: Box::new(sign), verify }
}

fn bare_ed25519() -> Bare {
    let pair = Ed25519KeyPair::generate().expect("a key");
    let verify = verify(&signature::ED25519, pair.public_key().as_ref());
    Bare { sign: Box::new(move |message| pair.sign(message).as_ref().to_vec()), verify }
}

fn bare_rs256() -> Bare {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let verify = verify(&signature::RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
    let sign = move |message: &[u8]| {
        let mut out = vec![0; pair.public_modulus_len()];
        let random = SystemRandom::new();
        pair.sign(&signature::RSA_PKCS1_SHA256, &random, message, &mut out).expect("signed");
        out
    };
    Bare { sign: Box::new(sign), verify }
}

fn verify(algorithm: &'static dyn signature::VerificationAlgorithm, key: &[u8]) -> Verify {
    let key = ParsedPublicKey::new(algorithm, key).expect("a public key");
    Box::new(move |message, signature| key.verify_sig(message, signature).expect("good"))
}

async fn fresh_ring(algorithm: VaultAlgorithm) -> (KeyRing, TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite://{}/bench.db", directory.path().display());
    let database = Database { max_connections: 2, ..Database::at(&url) };
    let db = Db::connect(&database).await.expect("a database");
    db.migrate().await.expect("migrated");
    let needs = KeyDependencies {
        db,
        master: MasterKey::new(random_bytes()),
        previous: None,
        tokens: Tokens {
            allow_shared_secret: true,
            algorithm,
            issuer: ISSUER.to_owned(),
            audience: "vault".to_owned(),
            secret: None,
            user_ttl: Duration::from_mins(15),
            vault_ttl: Duration::from_mins(5),
            rotate_every: Duration::from_hours(90 * 24),
        },
        absolute_ttl: Duration::from_hours(30 * 24),
        clock: Clock::System,
        metrics: None,
    };
    (KeyRing::load(needs).await.expect("keys"), directory)
}
