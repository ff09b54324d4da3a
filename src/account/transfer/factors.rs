//! The second factors in a line of the import or the export.
//!
//! An export contains no secrets. So an import can bring only TOTP factors, and only from a file
//! that another program has written with their secrets.

use latchkey_entity::factor;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::line::millis_of;
use crate::clock::{UnixMillis, rfc3339};
use crate::factor::totp::TotpSecret;
use crate::factor::{FACTORS_MAX, Factor, FactorKind};
use crate::secret::{KeyError, Secret, uuid_v7};
use crate::token::keys::FactorKeys;
use crate::user::PersonName;

/// A second factor as it is written in a file of the import or the export.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FactorRecord {
    /// `totp` or `passkey`.
    pub kind: String,
    pub name: String,
    /// When the factor was added. By default it is added now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// The secret of a TOTP factor, in base32. No export contains it.
    #[serde(default, skip_serializing, deserialize_with = "secret")]
    pub secret: Option<Secret<String>>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret<String>>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}

impl From<factor::Model> for FactorRecord {
    fn from(factor: factor::Model) -> Self {
        Self {
            kind: factor.kind.as_str().to_owned(),
            name: factor.name,
            created_at: Some(rfc3339(factor.created_at)),
            secret: None,
        }
    }
}

/// The valid factors of a line.
#[derive(Clone, Debug, Default)]
pub struct LineFactors(Vec<LineFactor>);

#[derive(Clone, Debug)]
struct LineFactor {
    kind: FactorKind,
    name: String,
    created_at: Option<UnixMillis>,
    secret: Option<TotpSecret>,
}

impl LineFactors {
    /// Checks the factors of a line.
    ///
    /// # Errors
    /// What is wrong. The text contains no value from the line.
    pub(super) fn read(records: Vec<FactorRecord>, latest: UnixMillis) -> Result<Self, String> {
        if records.len() as u64 > FACTORS_MAX {
            return Err(format!("more than {FACTORS_MAX} factors"));
        }
        let factors: Vec<LineFactor> =
            records.into_iter().map(|it| read(it, latest)).collect::<Result<_, _>>()?;
        if factors.iter().filter(|it| it.kind == FactorKind::Totp).count() > 1 {
            return Err("an account has at most one factor of the kind `totp`".to_owned());
        }
        Ok(Self(factors))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of factors that an import creates, if it reads the secrets.
    pub(super) fn importable(&self) -> usize {
        self.0.iter().filter(|it| it.secret.is_some()).count()
    }

    /// The number of factors that an import cannot create, although it reads the secrets.
    pub(super) fn lost(&self) -> usize {
        self.0.len() - self.importable()
    }

    /// The rows of the factors that have a secret.
    pub(super) fn rows<'a>(
        &'a self,
        keys: &'a FactorKeys,
        user_id: Uuid,
        now: UnixMillis,
    ) -> impl Iterator<Item = Result<Factor, KeyError>> + 'a {
        let with_secret = |it: &'a LineFactor| it.secret.as_ref().map(|secret| (it, secret));
        self.0.iter().filter_map(with_secret).map(move |(factor, secret)| {
            let (id, at) = (uuid_v7(now), factor.created_at.unwrap_or(now));
            let named = (factor.kind, factor.name.clone());
            let sealed = secret.seal(keys, id)?;
            Ok(Factor { sealed, ..Factor::new(id, user_id, named, at) })
        })
    }

    /// Everything that the factors say, for the digest of the line. Empty if there are none.
    pub(super) fn content(&self) -> Secret<Vec<u8>> {
        let mut all = Vec::new();
        for LineFactor { kind, name, created_at, secret } in &self.0 {
            let secret = secret.as_ref().map(TotpSecret::to_base32);
            let at = created_at.map(UnixMillis::to_be_bytes);
            let fields = [
                Some(kind.as_str().as_bytes()),
                Some(name.as_bytes()),
                at.as_ref().map(|at| &at[..]),
                secret.as_ref().map(|it| it.expose().as_bytes()),
            ];
            for field in fields {
                all.push(u8::from(field.is_some()));
                all.extend((field.map_or(0, <[u8]>::len) as u64).to_be_bytes());
                all.extend(field.unwrap_or_default());
            }
        }
        Secret::new(all)
    }
}

fn read(record: FactorRecord, latest: UnixMillis) -> Result<LineFactor, String> {
    let FactorRecord { kind, name, created_at, secret } = record;
    let kind = FactorKind::ALL.iter().copied().find(|it| it.as_str() == kind);
    let kind = kind.ok_or("kind: neither `totp` nor `passkey`")?;
    let name = PersonName::parse(&name).map_err(|error| format!("name: {error}"))?;
    let created_at = created_at.as_deref().map(millis_of).transpose();
    let created_at = created_at.map_err(|()| "createdAt: not a time in the format of RFC 3339")?;
    if created_at.is_some_and(|at| !(0..=latest).contains(&at)) {
        return Err("createdAt: before 1970, or in the future".to_owned());
    }
    let secret = match (kind, secret) {
        (_, None) => None,
        (FactorKind::Passkey, Some(_)) => {
            return Err("secret: only a factor of the kind `totp` has one".to_owned());
        }
        (FactorKind::Totp, Some(text)) => Some(
            TotpSecret::from_base32(text.expose())
                .ok_or("secret: not base32 (RFC 4648 §6) of 16 to 64 bytes")?,
        ),
    };
    Ok(LineFactor { kind, name: name.as_str().to_owned(), created_at, secret })
}
