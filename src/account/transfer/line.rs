//! One account as one line of JSON.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::account::{EmailAddress, PersonName};
use crate::clock::{UnixMillis, rfc3339};
use crate::password::Setup;

/// A line's length at most, in bytes: an address, a name and the longest hash that we admit are below 2 KiB.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// An account as it stands in a file. What is left out is: no password (a recovery mail sets one), not verified, not
/// disabled, made now, an id of ours.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// The account's id, a UUID; kept, so that what refers to it elsewhere stays right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// The address.
    pub email: String,
    /// What the person is called.
    pub name: String,
    /// A hash in one of the formats of docs/passwords.md.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// Whether the address is proven.
    #[serde(default)]
    pub email_verified: bool,
    /// Whether the account may not be used.
    #[serde(default)]
    pub disabled: bool,
    /// When it was made: RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
}

/// A line that may become an account.
#[derive(Clone, Debug)]
pub struct Line {
    /// Counted from 1.
    pub number: u64,
    /// As given; none: one of ours.
    pub id: Option<Uuid>,
    /// The address.
    pub email: EmailAddress,
    /// What the person is called.
    pub name: String,
    /// As given; none: no password fits.
    pub password_hash: Option<String>,
    /// Whether the address is proven.
    pub email_verified: bool,
    /// Whether the account may not be used.
    pub disabled: bool,
    /// As given; none: now.
    pub created_at: Option<UnixMillis>,
}

/// Why a line is no account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineError {
    /// Counted from 1.
    pub line: u64,
    /// The member that is wrong; empty where it is the line as a whole.
    pub member: &'static str,
    /// What is wrong with it. Never the password's hash.
    pub detail: String,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.member {
            "" => write!(f, "line {}: {}", self.line, self.detail),
            member => write!(f, "line {}: {member}: {}", self.line, self.detail),
        }
    }
}

impl Line {
    /// Reads a line; `hashing` says which hashes can be verified here.
    pub fn read(number: u64, text: &[u8], hashing: &Setup) -> Result<Self, LineError> {
        let wrong = |member, detail: String| LineError { line: number, member, detail };
        if text.len() > LINE_BYTES_MAX {
            return Err(wrong("", format!("longer than {LINE_BYTES_MAX} bytes")));
        }
        let record: Record = serde_json::from_slice(text)
            .map_err(|error| wrong("", format!("not an account: {}", without_values(&error))))?;
        let email = EmailAddress::parse(&record.email)
            .map_err(|error| wrong("email", error.to_string()))?;
        let name =
            PersonName::parse(&record.name).map_err(|error| wrong("name", error.to_string()))?;
        if let Some(hash) = &record.password_hash {
            hashing.admit(hash).map_err(|error| wrong("passwordHash", error.to_string()))?;
        }
        let created_at = record.created_at.as_deref().map(millis_of).transpose().map_err(|()| {
            wrong("createdAt", "not a point in time as RFC 3339 has it".to_owned())
        })?;
        Ok(Self {
            number,
            id: record.id,
            email,
            name: name.as_str().to_owned(),
            password_hash: record.password_hash,
            email_verified: record.email_verified,
            disabled: record.disabled,
            created_at,
        })
    }
}

/// What serde says, without the values that it quotes: they may be a hash or an address.
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // `unknown field`, `missing field` and `duplicate field` name a member; `invalid type` quotes a value.
    match text.split_once("invalid type: ") {
        Some((_, rest)) => match rest.rsplit_once("expected ") {
            Some((_, expected)) => format!("a member of the wrong type, expected {expected}"),
            None => "a member of the wrong type".to_owned(),
        },
        None => text,
    }
}

fn millis_of(text: &str) -> Result<UnixMillis, ()> {
    let at = OffsetDateTime::parse(text, &Rfc3339).map_err(drop)?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).map_err(drop)
}

impl From<latchkey_entity::user::Model> for Record {
    fn from(user: latchkey_entity::user::Model) -> Self {
        Self {
            id: Some(user.id),
            email: user.email,
            name: user.name,
            password_hash: Some(user.password_hash),
            email_verified: user.verified_at.is_some(),
            disabled: user.status != "active",
            created_at: Some(rfc3339(user.created_at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::Params;

    fn read(text: &str) -> Result<Line, String> {
        let hashing = Setup::plain(Params { memory_kib: 19_456, iterations: 2, parallelism: 1 });
        Line::read(7, text.as_bytes(), &hashing).map_err(|error| error.to_string())
    }

    #[test]
    fn the_least_is_an_address_and_a_name() {
        let line = read(r#"{"email":"Ada@Example.com","name":" Ada "}"#).unwrap();
        assert_eq!((line.email.normal(), line.name.as_str()), ("ada@example.com", "Ada"));
        assert!(!line.email_verified && !line.disabled && line.password_hash.is_none());
    }

    #[test]
    fn what_is_wrong_is_named_by_line_and_member() {
        for (text, wrong) in [
            ("{", "line 7: not an account"),
            ("[]", "line 7: not an account"),
            (r#"{"email":"ada@example.com"}"#, "missing field `name`"),
            (r#"{"email":"ada","name":"Ada"}"#, "line 7: email: "),
            (r#"{"email":"ada@example.com","name":""}"#, "line 7: name: "),
            (r#"{"email":"ada@example.com","name":"Ada","admin":true}"#, "unknown field `admin`"),
            (r#"{"email":"a@example.com","email":"b@example.com","name":"A"}"#, "duplicate field"),
            (r#"{"email":"a@example.com","name":"A","createdAt":"yesterday"}"#, "createdAt: "),
            (r#"{"email":"a@example.com","name":"A","passwordHash":"plain"}"#, "passwordHash: "),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.contains(wrong), "{text}: {told}");
        }
        let long = format!(r#"{{"email":"ada@example.com","name":"{}"}}"#, "a".repeat(20_000));
        assert!(read(&long).unwrap_err().contains("longer than"));
    }

    #[test]
    fn a_wrong_type_is_told_without_its_value() {
        let told =
            read(r#"{"email":"ada@example.com","name":"Ada","emailVerified":"$2b$10$hash"}"#)
                .unwrap_err();
        assert!(told.contains("expected a boolean") && !told.contains("$2b$"), "{told}");
    }
}
