//! Signed heads of the audit (`typ` `audit-head+jwt`): JWS compact, under the key of vaultTokens.
//!
//! As with tokens, algorithm and type are never read from what was shown: a header is ours to the byte, or it is not.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_entity::signing_key;
use sea_orm::{ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Needs;
use super::keys::{Key, Kind};
use super::material::KeyError;

const TYP: &str = "audit-head+jwt";

/// The key's header, with the type of heads.
fn header(key: &Key) -> Result<String, KeyError> {
    let json = URL_SAFE_NO_PAD.decode(&key.header).map_err(|_| KeyError)?;
    let mut header: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&json).map_err(|_| KeyError)?;
    header.insert("typ".to_owned(), TYP.into());
    Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header).map_err(|_| KeyError)?))
}

/// Signs claims.
pub fn sign<C: Serialize>(key: &Key, claims: &C) -> Result<String, KeyError> {
    let payload = serde_json::to_vec(claims).map_err(|_| KeyError)?;
    let signed = format!("{}.{}", header(key)?, URL_SAFE_NO_PAD.encode(payload));
    let signature = key.material.sign(signed.as_bytes())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// Reads what one of `keys` signed; none for anything else.
pub fn open<C: DeserializeOwned>(keys: &[Arc<Key>], token: &str) -> Option<C> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (shown, payload) = signed.split_once('.')?;
    let key = keys.iter().find(|key| header(key).is_ok_and(|header| header == shown))?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    key.material.verify(signed.as_bytes(), &signature).ok()?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// Every key that signed vaultTokens and still opens, also long retired ones: heads are kept for years.
pub async fn keys(needs: &Needs) -> Result<Vec<Arc<Key>>, DbErr> {
    let rows = signing_key::Entity::find()
        .filter(signing_key::Column::Kind.eq(Kind::Vault.name()))
        .all(needs.db.reader())
        .await?;
    let shared = needs.shared_secret_key();
    Ok(rows.iter().filter_map(|row| needs.parse(row)).chain(shared).map(Arc::new).collect())
}
