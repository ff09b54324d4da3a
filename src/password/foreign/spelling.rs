//! Rewrites the spellings of other systems to the spellings that the parsers of the formats read.
//!
//! - `{SCHEME}` before the hash: LDAP (OpenLDAP, 389 Directory Server), Dovecot and Spring
//!   Security. Upper and lower case count as the same.
//! - `argon2$`, `bcrypt$` before the hash: Django.
//! - `$fbscrypt$` (GoTrue, the auth server of Supabase) and `$f_scrypt$` (SuperTokens): Firebase's
//!   scrypt.
//! - base64 of a version byte and the parameters: ASP.NET Core Identity.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::hashing::{Format, Unsupported};
use super::text::{base64, hex, number};

/// The lengths in bytes of unsalted digests: MD5, SHA-1, SHA-256, SHA-384 and SHA-512.
const DIGESTS: [usize; 5] = [16, 20, 32, 48, 64];

/// Returns a stored string in the spelling of its format.
pub fn plain(stored: &str) -> Result<Cow<'_, str>, Unsupported> {
    if let Some((scheme, rest)) = stored.strip_prefix('{').and_then(|it| it.split_once('}')) {
        return of_scheme(&scheme.to_ascii_lowercase(), stored, rest);
    }
    if let Some(rest) = stored.strip_prefix("argon2").filter(|it| it.starts_with("$argon2")) {
        return Ok(rest.into());
    }
    if let Some(rest) = stored.strip_prefix("bcrypt$") {
        return Ok(rest.into());
    }
    let firebase = stored.strip_prefix("$fbscrypt$").map(of_gotrue);
    if let Some(found) = firebase.or_else(|| stored.strip_prefix("$f_scrypt$").map(of_supertokens))
    {
        return found.map(Cow::Owned).ok_or(Unsupported::Malformed(Format::FirebaseScrypt));
    }
    if hex(stored).is_some_and(|digest| DIGESTS.contains(&digest.len())) {
        return Err(Unsupported::Unsalted);
    }
    if let Some(found) = of_asp_net(stored) {
        return found.map(Cow::Owned);
    }
    Ok(stored.into())
}

fn of_scheme<'a>(
    scheme: &str,
    stored: &'a str,
    rest: &'a str,
) -> Result<Cow<'a, str>, Unsupported> {
    let pbkdf2 =
        |format, found: Option<String>| found.map(Cow::Owned).ok_or(Unsupported::Malformed(format));
    match scheme {
        "bcrypt" | "blf-crypt" | "crypt" | "sha256-crypt" | "sha512-crypt" | "argon2"
        | "argon2i" | "argon2id" | "argon2@springsecurity_v5_8" => Ok(rest.into()),
        // The module `salted_sha` reads the scheme.
        _ if scheme.starts_with("ssha") => Ok(stored.into()),
        // Spring's strings differ from lambdaworks' strings only in the missing `$s0`.
        "scrypt" | "scrypt@springsecurity_v5_8" if rest.starts_with("$scrypt$") => Ok(rest.into()),
        "scrypt" | "scrypt@springsecurity_v5_8" => Ok(format!("$s0{rest}").into()),
        "pbkdf2-sha1" | "pbkdf2-sha256" | "pbkdf2-sha512" => Ok(format!("${scheme}${rest}").into()),
        "pbkdf2" if rest.starts_with("$1$") => pbkdf2(Format::Pbkdf2Sha1, of_dovecot(rest)),
        "pbkdf2" if rest.contains('$') => Ok(format!("$pbkdf2-sha1${rest}").into()),
        // Spring does not write the parameters. These are its defaults.
        "pbkdf2" => pbkdf2(Format::Pbkdf2Sha1, of_spring("sha1", 185_000, 8, rest)),
        "pbkdf2@springsecurity_v5_8" => {
            pbkdf2(Format::Pbkdf2Sha256, of_spring("sha256", 310_000, 16, rest))
        }
        "pbkdf2_sha256" => pbkdf2(Format::Pbkdf2Sha256, of_389(rest)),
        "noop" | "plain" | "clear" | "cleartext" | "sha" | "sha1" | "sha256" | "sha384"
        | "sha512" | "md5" | "plain-md5" | "ldap-md5" | "md4" | "plain-md4" | "cram-md5"
        | "lanman" | "ntlm"
            // Spring writes a salt in braces, or 80 hexadecimal digits of salt and digest.
            if !rest.starts_with('{') && rest.len() != 80 =>
        {
            Err(Unsupported::Unsalted)
        }
        _ => Err(Unsupported::Algorithm),
    }
}

/// The PHC string of a PBKDF2 hash.
fn phc(digest: &str, iterations: u32, salt: &[u8], tag: &[u8]) -> String {
    let (salt, tag) = (STANDARD.encode(salt), STANDARD.encode(tag));
    format!("$pbkdf2-{digest}${iterations}${salt}${tag}")
}

/// Dovecot's `$1$salt$iterations$hash`. The salt is text, and the hash is in hexadecimal.
fn of_dovecot(rest: &str) -> Option<String> {
    let [_, _, salt, iterations, tag] = rest.split('$').collect::<Vec<_>>()[..] else {
        return None;
    };
    Some(phc("sha1", number(iterations)?, salt.as_bytes(), &hex(tag)?))
}

/// Spring's hexadecimal digits of the salt and the hash.
fn of_spring(digest: &str, iterations: u32, salt_bytes: usize, rest: &str) -> Option<String> {
    let bytes = hex(rest)?;
    let (salt, tag) = bytes.split_at_checked(salt_bytes)?;
    (tag.len() == 32).then(|| phc(digest, iterations, salt, tag))
}

/// The base64 of the C plugin of 389 Directory Server: the number of iterations, 64 bytes of salt
/// and 256 bytes of hash.
fn of_389(rest: &str) -> Option<String> {
    let bytes = base64(rest)?;
    let (iterations, bytes) = bytes.split_first_chunk::<4>()?;
    let (salt, tag) = bytes.split_at_checked(64)?;
    (tag.len() == 256).then(|| phc("sha256", u32::from_be_bytes(*iterations), salt, tag))
}

/// The base64 of ASP.NET Core Identity: a version byte, the parameters, the salt and the hash.
/// Returns None if the string is something else.
fn of_asp_net(stored: &str) -> Option<Result<String, Unsupported>> {
    let bytes = STANDARD.decode(stored).ok()?;
    let number = |at: usize| Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    match *bytes.first()? {
        // Version 2 of Identity: 16 bytes of salt and 32 bytes of hash.
        0 if bytes.len() == 49 => Some(Ok(phc("sha1", 1000, &bytes[1..17], &bytes[17..]))),
        1 if bytes.len() > 13 => {
            let (digest, format) = match number(1)? {
                0 => ("sha1", Format::Pbkdf2Sha1),
                1 => ("sha256", Format::Pbkdf2Sha256),
                2 => ("sha512", Format::Pbkdf2Sha512),
                _ => return None,
            };
            let salt_bytes = usize::try_from(number(9)?).ok()?;
            let parts = bytes[13..].split_at_checked(salt_bytes).zip(number(5));
            let found = parts.map(|((salt, tag), rounds)| phc(digest, rounds, salt, tag));
            Some(found.ok_or(Unsupported::Malformed(format)))
        }
        _ => None,
    }
}

/// GoTrue's `v=1,n=14,r=8,p=1,ss=separator,sk=signer_key$salt$hash`, after `$fbscrypt$`.
fn of_gotrue(rest: &str) -> Option<String> {
    let [params, salt, tag] = rest.split('$').collect::<Vec<_>>()[..] else { return None };
    let value =
        |name: &str| params.split(',').find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
    if value("v")? != "1" {
        return None;
    }
    let (n, r, p) = (value("n")?, value("r")?, value("p")?);
    let (separator, key) = (value("ss").unwrap_or_default(), value("sk")?);
    Some(format!("$firescrypt$ln={n},r={r},p={p}${salt}${tag}${separator}${key}"))
}

/// SuperTokens' `hash$salt$m=14$r=8$s=separator`, after `$f_scrypt$`. SuperTokens has the signer
/// key in its configuration, so it has to be appended as `$k=signer_key`.
fn of_supertokens(rest: &str) -> Option<String> {
    let [tag, salt, m, r, separator, key] = rest.split('$').collect::<Vec<_>>()[..] else {
        return None;
    };
    let (m, r) = (m.strip_prefix("m=")?, r.strip_prefix("r=")?);
    let (separator, key) = (separator.strip_prefix("s=")?, key.strip_prefix("k=")?);
    Some(format!("$firescrypt$ln={m},r={r},p=1${salt}${tag}${separator}${key}"))
}

#[cfg(test)]
#[path = "spelling_tests.rs"]
mod tests;
