//! Endpoints for the factors of the caller's account.

pub mod add_totp;
pub mod confirm;
pub mod list;
pub mod recovery_codes;
pub mod remove;
pub mod rename;

use serde::Serialize;
use utoipa::ToSchema;

use crate::account::ConfirmedFactor;
use crate::clock::rfc3339;
use crate::factor::recovery_code::RecoveryCode;
use crate::factor::{Factor, FactorKind, FactorMethod};
use crate::session::Tokens;

/// A factor of an account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FactorView {
    /// The id of the factor.
    id: String,
    /// `totp` for an authenticator app, or `passkey`.
    kind: &'static str,
    /// The name that the user gave the factor.
    name: String,
    /// When the factor was confirmed (RFC 3339).
    created_at: String,
    /// When the factor was last used (RFC 3339). It is null if it was not used since it was
    /// confirmed.
    #[schema(required = true)]
    last_used_at: Option<String>,
    /// Whether a passkey is backed up. It is null for an authenticator app.
    #[schema(required = true)]
    backed_up: Option<bool>,
}

impl From<Factor> for FactorView {
    fn from(factor: Factor) -> Self {
        Self {
            id: factor.id.to_string(),
            kind: FactorMethod::from(factor.kind).name(),
            name: factor.name,
            created_at: rfc3339(factor.created_at),
            last_used_at: factor.last_used_at.map(rfc3339),
            backed_up: (factor.kind == FactorKind::Passkey).then_some(factor.backed_up),
        }
    }
}

/// A factor that is in force now.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Confirmed {
    factor: FactorView,
    /// Ten recovery codes. Only the first factor of an account brings them, and only this response
    /// shows them.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_codes: Option<Vec<String>>,
    #[serde(flatten)]
    tokens: Tokens,
}

impl From<ConfirmedFactor> for Confirmed {
    fn from(confirmed: ConfirmedFactor) -> Self {
        Self {
            factor: confirmed.factor.into(),
            recovery_codes: confirmed.recovery_codes.as_deref().map(shown),
            tokens: confirmed.tokens,
        }
    }
}

/// The codes as they are shown to the user.
fn shown(codes: &[RecoveryCode]) -> Vec<String> {
    codes.iter().map(RecoveryCode::shown).collect()
}
