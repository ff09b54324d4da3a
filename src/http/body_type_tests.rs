//! Tests of `body_type.rs`.

use serde_json::json;
use utoipa::PartialSchema as _;

use super::*;
use crate::problem::Code;

request_body! {
    /// What is read
    /// is documented.
    pub struct Sample {
        /// An address.
        email: EmailAddress,
        /// A role.
        role as "teamRole": Role,
        /// May be missing.
        slug: Option<Slug>,
    }
}

fn read(body: &serde_json::Value) -> Result<Sample, Vec<(String, &'static str)>> {
    let body = Object::parse(body.to_string().as_bytes()).unwrap();
    Sample::read(body).map_err(|problem| {
        assert_eq!(problem.code, Code::ValidationFailed);
        problem.errors.into_iter().map(|error| (error.pointer, error.code)).collect()
    })
}

#[test]
fn a_body_is_read_by_its_declaration() {
    let body = json!({ "email": "ada@example.org", "teamRole": "admin", "slug": null });
    let read = read(&body).unwrap();
    assert_eq!((read.email.normal(), read.role), ("ada@example.org", Role::Admin));
    assert!(read.slug.is_none());
}

#[test]
fn every_broken_rule_of_a_body_is_told_at_once() {
    let told = |body| read(&body).unwrap_err();
    let pointer = |name: &str, code| (format!("/{name}"), code);
    assert_eq!(
        told(json!({ "email": "ada", "teamRole": "king", "slug": "A" })),
        [pointer("email", "format"), pointer("teamRole", "unknown"), pointer("slug", "format")]
    );
    assert_eq!(
        told(json!({ "slug": 1 })),
        [pointer("email", "required"), pointer("teamRole", "required"), pointer("slug", "type")]
    );
}

#[test]
fn a_rule_of_several_members_is_told_with_the_others() {
    let body = Object::parse(br#"{"email":"ada@example.org","teamRole":1}"#).unwrap();
    let refused = Sample::read_and_check(body, |body, (email, role, _)| {
        assert!(email.is_some() && role.is_none());
        body.reject("email", "taken", "`email` is taken.");
    });
    let codes: Vec<_> = refused.unwrap_err().errors.iter().map(|error| error.code).collect();
    assert_eq!(codes, ["type", "taken"]);
}

#[test]
fn a_body_is_documented_by_its_declaration() {
    let schema = serde_json::to_value(Sample::schema()).unwrap();
    assert_eq!(schema["description"], "What is read\nis documented.");
    assert_eq!(schema["required"], json!(["email", "teamRole"]));
    let slug = json!({ "type": ["string", "null"], "description": "May be missing." });
    assert_eq!(schema["properties"]["slug"], slug);
    assert_eq!(schema["properties"]["teamRole"]["enum"], json!(Role::ALL.map(Role::name)));
}
