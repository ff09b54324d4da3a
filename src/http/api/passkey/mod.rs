//! Endpoints for passkeys, and the JSON forms of WebAuthn that several of them share.

pub mod add;
pub mod begin;
pub mod options;

use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::{RefOr, Schema, Type};

use crate::factor::passkey::CredentialResponse;
use crate::http::body_type::Member;
use crate::http::json::Object;

/// What the browser returned. Whatever is wrong inside of it makes it a wrong passkey.
#[derive(Clone, Debug)]
pub struct Credential(pub Box<CredentialResponse>);

impl Member for Credential {
    const REQUIRED: bool = true;

    fn read(body: &mut Object, name: &'static str) -> Option<Self> {
        let members = body.object(name)?;
        Some(Self(Box::new(CredentialResponse::read(members))))
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Object).build().into()
    }
}

impl Member for Option<Credential> {
    const REQUIRED: bool = false;

    fn read(body: &mut Object, name: &'static str) -> Option<Self> {
        if body.has(name) { Credential::read(body, name).map(Some) } else { Some(None) }
    }

    fn schema() -> RefOr<Schema> {
        Credential::schema()
    }
}
