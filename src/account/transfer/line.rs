//! The format of the import and the export: one account as one line of JSON.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::factors::{FactorRecord, LineFactors};
use crate::clock::{UnixMillis, rfc3339};
use crate::password::Setup;
use crate::secret::{Secret, sha256_of};
use crate::user::{EmailAddress, PersonName, UserState};

/// Greatest length of a line in bytes. An email address, a name and the longest accepted hash
/// together take less than 2 KiB.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// An account as it is written in a file of the import or the export.
///
/// If a JSON member is missing or null, its default is used. By default the account has no password
/// (the user sets one with a recovery mail), has no second factors, is not verified, is not
/// disabled, is created now and gets a new id.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// The account's id, a UUID. The imported account has the same id, so that references from
    /// other systems stay valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    pub email: String,
    pub name: String,
    /// A hash in one of the formats of docs/passwords.md. If it is empty or begins with `!`, the
    /// account has no password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    #[serde(default, deserialize_with = "false_if_null")]
    pub email_verified: bool,
    #[serde(default, deserialize_with = "false_if_null")]
    pub disabled: bool,
    /// When the account was created, in the format of RFC 3339 or as psql prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// The account's second factors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factors: Option<Vec<FactorRecord>>,
}

fn false_if_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A line whose JSON members are valid.
#[derive(Clone, Debug)]
pub struct Line {
    /// The number of the line, counted from 1.
    pub number: u64,
    /// The id in the file. None means that the account gets a new id.
    pub id: Option<Uuid>,
    pub email: EmailAddress,
    pub name: String,
    /// The hash in the file. None means that no password matches.
    pub password_hash: Option<String>,
    pub email_verified: bool,
    pub disabled: bool,
    /// When the account was created, as the file says. None means that it is created now.
    pub created_at: Option<UnixMillis>,
    pub factors: LineFactors,
}

/// Why a line cannot become an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineError {
    /// The number of the line, counted from 1.
    pub line: u64,
    /// The name of the JSON member that is wrong. Empty if the line as a whole is wrong.
    pub member: &'static str,
    /// What is wrong with the member or the line. This text never contains the password hash.
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
    /// Reads a line. `hashing` says which password hashes this installation can verify. `now` is
    /// the current time, against which `createdAt` is checked.
    ///
    /// # Errors
    /// [`LineError`] says what is wrong. It contains no value from the line.
    pub fn read(
        number: u64,
        text: &[u8],
        hashing: &Setup,
        now: UnixMillis,
    ) -> Result<Self, LineError> {
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
        // Django begins an unusable password with `!`, and GoTrue has an empty one.
        let password_hash =
            record.password_hash.filter(|hash| !hash.is_empty() && !hash.starts_with('!'));
        if let Some(hash) = &password_hash {
            hashing.admit(hash).map_err(|error| wrong("passwordHash", error.to_string()))?;
        }
        let created_at = record.created_at.as_deref().map(millis_of).transpose().map_err(|()| {
            let right = "2020-02-03T04:05:06Z";
            wrong("createdAt", format!("not a time in the format of RFC 3339, such as {right}"))
        })?;
        if created_at.is_some_and(|at| !is_a_time_of_making(at, now)) {
            return Err(wrong("createdAt", "before 1970, or in the future".to_owned()));
        }
        let factors = record.factors.unwrap_or_default();
        let factors = LineFactors::read(factors, now.saturating_add(DAY_MS))
            .map_err(|error| wrong("factors", error))?;
        if record.id.is_some_and(|id| id.is_nil() || id.is_max()) {
            return Err(wrong(
                "id",
                "the nil and the max UUID cannot be ids (RFC 9562 §5.9)".into(),
            ));
        }
        Ok(Self {
            number,
            id: record.id,
            email,
            name: name.as_str().to_owned(),
            password_hash,
            email_verified: record.email_verified,
            disabled: record.disabled,
            created_at,
            factors,
        })
    }
}

impl Line {
    /// Whether an import of this line leaves out factors of the account. `with_secrets` says
    /// whether the import reads the secrets of TOTP factors.
    pub fn loses_factors(&self, with_secrets: bool) -> bool {
        if with_secrets { self.factors.lost() > 0 } else { !self.factors.is_empty() }
    }

    /// A digest of everything that the line says, except its id and its number.
    pub fn content(&self) -> [u8; 32] {
        let Self { number: _, id: _, email, name, password_hash, .. } = self;
        let created_at = self.created_at.map(UnixMillis::to_be_bytes);
        let flags = [u8::from(self.email_verified), u8::from(self.disabled)];
        let fields = [
            Some(email.as_typed().as_bytes()),
            Some(name.as_bytes()),
            password_hash.as_deref().map(str::as_bytes),
            Some(&flags[..]),
            created_at.as_ref().map(|at| &at[..]),
        ];
        // Each field begins with a byte that says whether it has a value. The length of the value
        // follows. So two different lines never have the same encoding.
        let mut all = b"latchkey import line 1".to_vec();
        for field in fields {
            all.push(u8::from(field.is_some()));
            if let Some(value) = field {
                all.extend((value.len() as u64).to_be_bytes());
                all.extend(value);
            }
        }
        // A line without factors has the same digest as before lines could have factors.
        let all = Secret::new([all.as_slice(), self.factors.content().expose()].concat());
        sha256_of(all.expose())
    }
}

/// Returns the error message of serde without the values that the message quotes from the line.
/// Such a value is perhaps a password hash or an email address. If two columns were mixed up, it is
/// perhaps quoted as the name of a JSON member.
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // The messages `missing field` and `duplicate field` quote only names of members of [`Record`].
    // The other messages quote text from the line.
    if text.contains("UUID parsing failed") {
        return "`id` is not a UUID".to_owned();
    }
    for (quoting, told) in [
        ("unknown field", "an unknown member"),
        ("invalid type", "a member of the wrong type"),
        ("invalid value", "a member with a wrong value"),
        ("invalid length", "a list instead of an object"),
    ] {
        let Some((_, rest)) = text.split_once(quoting) else { continue };
        return match rest.rsplit_once("expected ") {
            Some((_, expected)) => format!("{told}, expected {expected}"),
            None => told.to_owned(),
        };
    }
    text
}

/// A creation time is at most this far in the future, because the clocks of two systems can differ.
const DAY_MS: UnixMillis = 24 * 60 * 60 * 1_000;

/// Whether this is a possible creation time of an account. No system has accounts from before 1970.
fn is_a_time_of_making(at: UnixMillis, now: UnixMillis) -> bool {
    (0..=now.saturating_add(DAY_MS)).contains(&at)
}

/// Reads a time in the format of RFC 3339, or as psql prints it: `2020-02-03 04:05:06+00`. There,
/// an offset of whole hours has no minutes.
pub(super) fn millis_of(text: &str) -> Result<UnixMillis, ()> {
    let minutes = match text.rsplit_once(['+', '-']).map(|(_, offset)| offset.len()) {
        Some(2) if text.contains(':') => ":00",
        _ => "",
    };
    let at = OffsetDateTime::parse(&format!("{text}{minutes}"), &Rfc3339).map_err(drop)?;
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
            disabled: user.status != UserState::Active,
            created_at: Some(rfc3339(user.created_at)),
            factors: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::Params;

    /// 2026-11-28.
    const NOW: UnixMillis = 1_795_824_000_000;

    fn read(text: &str) -> Result<Line, String> {
        let hashing = Setup::plain(Params { memory_kib: 19_456, iterations: 2, parallelism: 1 });
        Line::read(7, text.as_bytes(), &hashing, NOW).map_err(|error| error.to_string())
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
            (r#"{"email":"ada@example.com","name":"Ada","admin":true}"#, "an unknown member"),
            (r#"{"email":"a@example.com","email":"b@example.com","name":"A"}"#, "duplicate field"),
            (r#"{"email":"a@example.com","name":"A","createdAt":"yesterday"}"#, "createdAt: "),
            (r#"{"email":"a@example.com","name":"A","createdAt":"1969-12-31T23:59:59Z"}"#, "1970"),
            (
                r#"{"email":"a@example.com","name":"A","createdAt":"2027-11-28T00:00:00Z"}"#,
                "in the future",
            ),
            (
                r#"{"id":"00000000-0000-0000-0000-000000000000","email":"a@b.example","name":"A"}"#,
                "id: ",
            ),
            (r#"{"email":"a@example.com","name":"A","passwordHash":"plain"}"#, "passwordHash: "),
        ] {
            let told = read(text).unwrap_err();
            assert!(told.contains(wrong), "{text}: {told}");
        }
        let long = format!(r#"{{"email":"ada@example.com","name":"{}"}}"#, "a".repeat(20_000));
        assert!(read(&long).unwrap_err().contains("longer than"));
    }

    /// The ids of imported accounts are made from this digest, so it must not change.
    #[test]
    fn the_digest_of_a_line_stays_the_same_and_covers_every_member_except_the_id() {
        let digest = |rest: &str| {
            let line = format!(r#"{{"email":"Ada@example.com","name":"Ada"{rest}}}"#);
            read(&line).unwrap().content()
        };
        let first = u64::from_be_bytes(*digest("").first_chunk().unwrap());
        assert_eq!(first, 0x75a9_034a_674b_a908);
        assert_eq!(digest(""), digest(r#","id":"0197d3c1-0000-7000-8000-000000000001""#));
        let others = [
            r#","createdAt":"1970-01-01T00:00:00Z""#,
            r#","emailVerified":true"#,
            r#","disabled":true"#,
            r#","passwordHash":"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW""#,
        ];
        let mut all: Vec<_> = others.iter().map(|rest| digest(rest)).chain([digest("")]).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 5);
    }

    #[test]
    fn null_and_an_empty_hash_mean_that_there_is_none() {
        let line = read(
            r#"{"email":"a@example.com","name":"A","id":null,"passwordHash":null,
                "emailVerified":null,"disabled":null,"createdAt":null}"#,
        );
        let line = line.unwrap();
        assert!(!line.email_verified && !line.disabled && line.password_hash.is_none());
        assert!(line.id.is_none() && line.created_at.is_none());
        for hash in ["", "!", "!5vbG8KzSTVvWoJMSXWlPJ6jXnB0nqmhFpDwvQeAZ"] {
            let line =
                read(&format!(r#"{{"email":"a@example.com","name":"A","passwordHash":"{hash}"}}"#));
            assert_eq!(line.unwrap().password_hash, None, "{hash}");
        }
    }

    #[test]
    fn a_time_is_read_as_rfc_3339_and_as_psql_prints_it() {
        let millis = |text: &str| {
            read(&format!(r#"{{"email":"a@example.com","name":"A","createdAt":"{text}"}}"#))
                .map(|line| line.created_at)
        };
        for text in [
            "2020-02-03T04:05:06Z",
            "2020-02-03T04:05:06.000+00:00",
            "2020-02-03 04:05:06+00",
            "2020-02-03 04:05:06.000000+00",
            "2020-02-03 02:05:06-02",
            "2020-02-03 09:35:06+05:30",
        ] {
            assert_eq!(millis(text), Ok(Some(1_580_702_706_000)), "{text}");
        }
        for text in ["2020-02-03 04:05:06", "2020-02-03", "2020-02-03 04:05:06+0", "1580702706"] {
            assert!(millis(text).unwrap_err().contains("RFC 3339"), "{text}");
        }
    }

    #[test]
    fn what_was_sent_is_never_told_again() {
        for (sent, told) in [
            (r#""emailVerified":"$2b$10$hash""#, "expected a boolean"),
            (r#""disabled":"$2b$10$hash""#, "expected a boolean"),
            (r#""$2b$10$hash":true"#, "an unknown member"),
            (r#""id":"$2b$10$hash""#, "not a UUID"),
            (r#""createdAt":"$2b$10$hash""#, "RFC 3339"),
            (r#""passwordHash":"$2b$10$hash""#, "passwordHash: "),
        ] {
            let line = format!(r#"{{"email":"ada@example.com","name":"Ada",{sent}}}"#);
            let error = read(&line).unwrap_err();
            assert!(error.contains(told) && !error.contains("$2b$"), "{error}");
        }
    }
}
