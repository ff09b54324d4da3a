//! [`Redactor`]: removes secrets from texts that a library or a server has written.
//!
//! Such a text perhaps contains a secret. For example, some errors of database drivers quote the
//! URL, and some servers repeat a command with its arguments. So every such text passes through
//! [`Redactor::redact`] before it is logged or returned.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::Secret;

/// The text that replaces a secret.
const BLANK: &str = "***";
/// The minimum length of a value that is removed. Shorter values are not removed, because they also
/// occur in ordinary words.
const CHARS_MIN: usize = 4;
/// The minimum number of bytes in a list that is removed. Lists of bytes in the `Debug` form (`[45,
/// 45, …]`) are removed, because PEM readers quote lines of a private key in this form.
const BYTES_MIN: usize = 8;

/// URL parameters whose values are not removed. They are not secret, and they help to understand an
/// error.
const PLAIN_PARAMETERS: [&str; 13] = [
    "application_name",
    "cache",
    "dbname",
    "host",
    "hostaddr",
    "immutable",
    "mode",
    "port",
    "ssl-mode",
    "sslmode",
    "tls",
    "user",
    "vfs",
];

/// A set of secrets that are removed from texts.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// The forms in which the secrets can occur in a text. The longest form comes first.
    plain: Vec<Secret<String>>,
    /// The secrets in base64 and base64url. A form contains only those characters that do not
    /// depend on the bytes before and after the secret.
    encoded: Vec<Secret<String>>,
    /// The user names from a URL. A user name is removed only where a server reports the user that
    /// it refuses. In other places the same word is perhaps something else, for example the name of
    /// a database.
    users: Vec<Secret<String>>,
}

impl Redactor {
    /// Creates a redactor that removes a URL, the URL's password and the values of the URL's
    /// parameters.
    pub fn of_url(url: &str) -> Self {
        let (mut secrets, mut users) = (vec![url.to_owned()], Vec::new());
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        // Perhaps the password contains a `/`, `?` or `#` that is not escaped. Then the password
        // ends at the last `@` of the whole text. So both cases are tried.
        for text in [authority, rest] {
            let Some((userinfo, _)) = text.rsplit_once('@') else { continue };
            let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
            let decoded = percent_decode_str(user).decode_utf8_lossy().into_owned();
            users.extend([user.to_owned(), decoded].map(Secret::new));
            if password != user {
                secrets.push(password.to_owned());
            }
        }
        let query = rest.split_once('?').map_or("", |(_, query)| query);
        for pair in query.split(['&', '#']) {
            let (name, value) = pair.split_once('=').unwrap_or(("", pair));
            if !PLAIN_PARAMETERS.contains(&name) {
                secrets.push(value.to_owned());
            }
        }
        users.retain(|user| !user.expose().is_empty());
        Self { users, ..Self::of_values(secrets.iter().map(String::as_str)) }
    }

    /// Creates a redactor that removes these values. It also removes the percent-encoded,
    /// percent-decoded, escaped, base64 and base64url forms of each value.
    pub fn of_values<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut plain, mut encoded) = (Vec::new(), Vec::new());
        for value in values {
            let decoded = percent_decode_str(value).decode_utf8_lossy().into_owned();
            for form in [value, decoded.as_str()] {
                plain.push(form.to_owned());
                plain.push(format!("{form:?}").trim_matches('"').to_owned());
                plain.push(utf8_percent_encode(form, NON_ALPHANUMERIC).to_string());
                if form.len() >= CHARS_MIN {
                    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                        let at = |shift| base64_inside(&engine, form, shift);
                        encoded.extend((0..3).filter_map(at));
                    }
                }
            }
        }
        Self { plain: sorted(plain), encoded: sorted(encoded), users: Vec::new() }
    }

    /// Returns the text without the secrets. The user, the password and the parameters of every URL
    /// and all lists of bytes are removed as well.
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.plain {
            text = text.replace(secret.expose().as_str(), BLANK);
        }
        for secret in &self.encoded {
            text = without_words(&text, secret.expose());
        }
        for user in self.users.iter().map(Secret::expose) {
            // In these phrases PostgreSQL and Redis report a user name.
            for (before, after) in [("user \"", "\""), ("role \"", "\""), ("User ", " has ")] {
                let named = format!("{before}{user}{after}");
                text = text.replace(&named, &format!("{before}{BLANK}{after}"));
            }
        }
        redact(&text)
    }
}

/// Returns the text without the user, the password and the parameters of every URL. A printed list
/// of bytes (`[115, 101, …]`) is removed too, because it can contain a secret.
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || c.is_control());
        let (mut url, behind) = after.split_at(end.unwrap_or(after.len()));
        if let Some(at) = url.rfind('@') {
            out.push_str(BLANK);
            url = &url[at..];
        }
        let parameters = url.find(['?', '#']);
        let (shown, parameters) = url.split_at(parameters.unwrap_or(url.len()));
        out.push_str(shown);
        if !parameters.is_empty() {
            let kept = parameters.trim_end_matches(['\'', '"', '`', ')', ',', ';', ':', '.']);
            out.push_str("?***");
            out.push_str(&parameters[kept.len()..]);
        }
        rest = behind;
    }
    out.push_str(rest);
    without_bytes(&out)
}

/// Removes duplicates and texts that are too short, and sorts the other texts. The longest text
/// comes first.
fn sorted(mut texts: Vec<String>) -> Vec<Secret<String>> {
    texts.retain(|text| text.chars().count() >= CHARS_MIN);
    texts.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    texts.dedup();
    texts.into_iter().map(Secret::new).collect()
}

/// The base64 characters of `text` that do not depend on the bytes around it, if `text` is part of
/// a longer text. `shift` is the position of `text` in a group of three bytes: 0, 1 or 2.
fn base64_inside(engine: &GeneralPurpose, text: &str, shift: usize) -> Option<String> {
    let bytes = [&vec![0; shift], text.as_bytes()].concat();
    let encoded = engine.encode(bytes);
    let from = [0, 2, 3].get(shift).copied()?;
    // If the last group is incomplete, its last character depends on the bytes that follow.
    let until = (shift + text.len()) * 8 / 6;
    encoded.get(from..until).filter(|sure| sure.len() >= CHARS_MIN).map(str::to_owned)
}

/// Returns the text without the base64 and base64url words that contain `part`.
fn without_words(text: &str, part: &str) -> String {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_' | '=');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(part) {
        let start = rest[..at].trim_end_matches(is_base64).len();
        let behind = rest[at + part.len()..].trim_start_matches(is_base64);
        out.push_str(&rest[..start]);
        out.push_str(BLANK);
        rest = behind;
    }
    out + rest
}

/// Returns the text without lists of bytes.
fn without_bytes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        let (before, list) = rest.split_at(at + 1);
        out.push_str(before);
        rest = list;
        let Some(end) = list.find(']') else { break };
        let items: Vec<&str> = list[..end].split(',').map(str::trim).collect();
        if items.len() >= BYTES_MIN && items.iter().all(|item| item.parse::<u8>().is_ok()) {
            out.push_str(BLANK);
            rest = &list[end..];
        }
    }
    out + rest
}

#[cfg(test)]
#[path = "redact_tests.rs"]
mod tests;
