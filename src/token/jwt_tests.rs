use jsonwebtoken::{DecodingKey, Validation};
use proptest::prelude::*;

use super::super::keys::KeyRing;
use super::super::keys::tests::fixture;
use super::*;
use crate::config::VaultAlgorithm;
use samples::{user_claims, vault_claims};

#[path = "samples.rs"]
mod samples;

const NOW: i64 = 1_000_000_000;
const ISSUER: &str = "https://auth.example";

async fn ring(algorithm: VaultAlgorithm) -> KeyRing {
    KeyRing::load(fixture(algorithm).await.needs.clone()).await.unwrap()
}

fn read(ring: &KeyRing, token: &str) -> Result<UserClaims, Invalid> {
    verify_user(&ring.current(), token, ISSUER, NOW, Expiry::Enforced)
}

#[tokio::test]
async fn claims_are_an_object_never_a_list_of_values() {
    let ring = ring(VaultAlgorithm::Es256).await;
    let keys = ring.current();
    let claims = user_claims();
    let list = (
        (&claims.iss, &claims.aud, &claims.sub, &claims.sid, &claims.jti, claims.generation),
        (claims.iat, claims.nbf, claims.exp),
        (&claims.email, claims.email_verified, &claims.name),
        (&claims.acr, &claims.amr, claims.auth_time),
    );
    let mut values = Vec::new();
    let parts = serde_json::json!([list.0, list.1, list.2, list.3]);
    for part in parts.as_array().unwrap() {
        values.extend(part.as_array().unwrap().clone());
    }
    assert!(serde_json::from_value::<UserClaims>(values.clone().into()).is_ok(), "serde reads it");
    assert_eq!(read(&ring, &mint(&keys.user, &values).unwrap()), Err(Invalid));
    assert_eq!(read(&ring, &mint(&keys.user, &claims).unwrap()), Ok(claims));
}

#[tokio::test]
async fn claims_are_utf_8_those_that_nobody_asks_for_included() {
    let ring = ring(VaultAlgorithm::Es256).await;
    let key = ring.current().user.clone();
    let signed = |claims: &[u8]| {
        let message = format!("{}.{}", key.header, URL_SAFE_NO_PAD.encode(claims));
        let signature = key.material.sign(message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    };
    let mut claims = serde_json::to_vec(&user_claims()).unwrap();
    claims.pop();
    let with = |more: &[u8]| [claims.as_slice(), b",\"more\":\"", more, b"\"}"].concat();
    assert!(read(&ring, &signed(&with("ä".as_bytes()))).is_ok());
    assert_eq!(read(&ring, &signed(&with(b"\xe4"))), Err(Invalid));
}

#[tokio::test]
async fn a_user_token_is_read_back_as_it_was_minted() {
    let ring = ring(VaultAlgorithm::Es256).await;
    let token = mint(&ring.current().user, &user_claims()).unwrap();
    assert_eq!(read(&ring, &token).unwrap(), user_claims());
}

#[tokio::test]
async fn every_algorithm_verifies_with_the_published_key_by_a_stock_library() {
    for algorithm in [VaultAlgorithm::Es256, VaultAlgorithm::EdDsa, VaultAlgorithm::Rs256] {
        let ring = ring(algorithm).await;
        let keys = ring.current();
        let token = mint(&keys.vault, &vault_claims()).unwrap();
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!(header.typ.as_deref(), Some("at+jwt"));
        let jwk = keys.jwks().iter().find(|jwk| jwk.common.key_id == header.kid).unwrap();
        let mut validation = Validation::new(header.alg);
        validation.set_audience(&["vault"]);
        validation.set_issuer(&[ISSUER]);
        validation.validate_exp = false;
        let decoded = jsonwebtoken::decode::<VaultClaims>(
            &token,
            &DecodingKey::from_jwk(jwk).unwrap(),
            &validation,
        )
        .unwrap();
        assert_eq!(decoded.claims, vault_claims());
        assert_eq!(verify_vault(&keys, &token, ISSUER, "vault", NOW).unwrap(), vault_claims());
        // This is the token of a user who is in no team yet.
        let (tid, role, pid, scope, mep) = (None, None, None, String::new(), None);
        let teamless = VaultClaims { tid, role, pid, scope, mep, ..vault_claims() };
        let token = mint(&keys.vault, &teamless).unwrap();
        assert_eq!(verify_vault(&keys, &token, ISSUER, "vault", NOW).unwrap(), teamless);
    }
}

#[tokio::test]
async fn one_kind_never_passes_for_the_other() {
    let ring = ring(VaultAlgorithm::Es256).await;
    let keys = ring.current();
    let user = mint(&keys.user, &user_claims()).unwrap();
    let vault = mint(&keys.vault, &vault_claims()).unwrap();
    assert!(verify_vault(&keys, &user, ISSUER, "vault", NOW).is_err());
    assert!(verify_user(&keys, &vault, ISSUER, NOW, Expiry::Enforced).is_err());
    // The token is also refused if a key of one kind signs the claims of the other kind.
    let crossed = mint(&keys.vault, &user_claims()).unwrap();
    assert!(verify_user(&keys, &crossed, ISSUER, NOW, Expiry::Enforced).is_err());
}

#[tokio::test]
async fn an_expired_token_passes_for_refresh_alone() {
    let ring = ring(VaultAlgorithm::Es256).await;
    let keys = ring.current();
    let token = mint(&keys.user, &user_claims()).unwrap();
    let later = NOW + 900;
    assert!(verify_user(&keys, &token, ISSUER, later, Expiry::Enforced).is_err());
    assert!(verify_user(&keys, &token, ISSUER, later, Expiry::Ignored).is_ok());
}

#[tokio::test]
async fn wrong_claims_are_refused_though_signed() {
    let ring = ring(VaultAlgorithm::Es256).await;
    let cases: [fn(&mut UserClaims); 7] = [
        |claims| claims.iss = "https://evil.example".to_owned(),
        |claims| claims.aud = "vault".to_owned(),
        |claims| claims.sub = String::new(),
        |claims| claims.exp = NOW,
        |claims| claims.exp = NOW + 86_400 + 1,
        |claims| claims.nbf = NOW + 121,
        |claims| claims.iat = NOW + 121,
    ];
    for (at, change) in cases.into_iter().enumerate() {
        let mut claims = user_claims();
        change(&mut claims);
        let token = mint(&ring.current().user, &claims).unwrap();
        assert_eq!(read(&ring, &token), Err(Invalid), "case {at}");
    }
}

#[tokio::test]
async fn claims_that_are_missing_or_of_another_type_are_refused_though_signed() {
    let ring = ring(VaultAlgorithm::Es256).await;
    let whole = serde_json::to_value(user_claims()).unwrap();
    for name in whole.as_object().unwrap().keys() {
        for wrong in [None, Some(serde_json::json!({})), Some(serde_json::json!(1.5))] {
            let mut claims = whole.clone();
            match wrong {
                None => drop(claims.as_object_mut().unwrap().remove(name)),
                Some(value) => claims[name] = value,
            }
            let token = mint(&ring.current().user, &claims).unwrap();
            assert_eq!(read(&ring, &token), Err(Invalid), "{name}");
        }
    }
}

#[tokio::test]
async fn headers_of_a_strangers_making_are_refused() {
    let ring = ring(VaultAlgorithm::Es256).await;
    let keys = ring.current();
    let token = mint(&keys.user, &user_claims()).unwrap();
    let (_, rest) = token.split_once('.').unwrap();
    let kid = &keys.user.id;
    for header in [
        r#"{"alg":"none","typ":"user+jwt"}"#.to_owned(),
        format!(r#"{{"alg":"HS256","typ":"user+jwt","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"JWT","alg":"HS256","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"user+jwt","alg":"HS256","kid":"{kid}","crit":["b64"]}}"#),
        format!(r#"{{"typ":"user+jwt","alg":"HS256","kid":"../{kid}"}}"#),
        String::new(),
    ] {
        let forged = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header));
        assert_eq!(read(&ring, &forged), Err(Invalid), "{forged}");
    }
}

#[tokio::test]
async fn other_spellings_of_a_good_token_are_refused() {
    let ring = ring(VaultAlgorithm::Es256).await;
    let token = mint(&ring.current().user, &user_claims()).unwrap();
    for other in [
        format!("{token}="),
        format!("{token}."),
        format!(".{token}"),
        format!(" {token}"),
        token.replace('.', ".."),
        token[..token.len() - 1].to_owned(),
        token.rsplit_once('.').unwrap().0.to_owned() + ".",
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
    ] {
        assert_eq!(read(&ring, &other), Err(Invalid), "{other:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_changed_byte_passes(at in 0_usize..10_000, to in "[A-Za-z0-9_.-]") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let ring = ring(VaultAlgorithm::Es256).await;
            let token = mint(&ring.current().user, &user_claims()).unwrap();
            let at = at % token.len();
            let mut changed = token.clone();
            changed.replace_range(at..=at, &to);
            prop_assume!(changed != token);
            prop_assert_eq!(read(&ring, &changed), Err(Invalid));
            Ok(())
        })?;
    }
}
