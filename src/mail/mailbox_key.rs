//! The key that opens the built-in mailbox, and the browser cookie that is derived from it.
//!
//! Cookies of `localhost` go to every port of the machine, so the cookie does not contain the key.
//! It contains an expiry time and an HMAC of that time. A service on another port that receives the
//! cookie gets neither the key nor permanent access. The cookie's name is also derived from the
//! key, so that two daemons on one machine do not overwrite each other's cookie.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::UnixMillis;
use crate::secret::{Secret, equal, hmac_sha256, random_bytes};

/// The name of the key's file in `data_dir`.
pub const MAILBOX_KEY_FILE: &str = "mailbox-key";

/// How long a browser has access after it opened the mailbox with the key, in seconds: 7 days.
pub const COOKIE_TTL_S: i64 = 7 * 24 * 60 * 60;

/// The number of the HMAC's characters in a cookie's name. They distinguish the cookies of two
/// daemons.
const NAME_CHARS: usize = 8;

/// A mailbox's key: 256 random bits in base64url without padding, 43 characters.
#[derive(Clone, Debug)]
pub struct MailboxKey(Secret<String>);

impl MailboxKey {
    pub fn random() -> Self {
        Self(Secret::new(URL_SAFE_NO_PAD.encode(random_bytes::<32>())))
    }

    /// Reads a key from text. `None` if the text is not 32 bytes in base64url. White space around
    /// it is ignored.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = Secret::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        (bytes.expose().len() == 32).then(|| Self(Secret::new(text.to_owned())))
    }

    /// The key itself, for its file and for the URL that is printed on a terminal at the start.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    pub fn file_in(data_dir: &Path) -> PathBuf {
        data_dir.join(MAILBOX_KEY_FILE)
    }

    /// Whether a client presented this key. The comparison takes constant time.
    pub fn is(&self, presented: &str) -> bool {
        equal(self.expose().as_bytes(), presented.as_bytes())
    }

    /// The name of the cookie, distinct for each key.
    pub fn cookie_name(&self) -> String {
        format!("latchkey-mailbox-{}", &self.mac("mailbox-cookie-name")[..NAME_CHARS])
    }

    /// The value of a cookie that gives a browser access for [`COOKIE_TTL_S`] from `now`.
    pub fn cookie_value(&self, now: UnixMillis) -> String {
        let expires_at_s = now / 1000 + COOKIE_TTL_S;
        format!("{expires_at_s}.{}", self.cookie_mac(&expires_at_s.to_string()))
    }

    /// Whether a cookie's value was created with this key and has not expired.
    pub fn admits(&self, cookie_value: &str, now: UnixMillis) -> bool {
        let Some((expires_at_s, mac)) = cookie_value.split_once('.') else { return false };
        equal(self.cookie_mac(expires_at_s).as_bytes(), mac.as_bytes())
            && expires_at_s.parse::<i64>().is_ok_and(|expires_at_s| now / 1000 < expires_at_s)
    }

    fn cookie_mac(&self, expires_at_s: &str) -> String {
        self.mac(&format!("mailbox-cookie:{expires_at_s}"))
    }

    fn mac(&self, label: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac_sha256(self.expose().as_bytes(), label.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = 1_800_000_000_000;

    #[test]
    fn a_key_is_32_bytes_in_base64url_and_nothing_else() {
        let key = MailboxKey::random();
        assert_eq!(key.expose().len(), 43);
        assert!(MailboxKey::parse(&format!(" {}\n", key.expose())).unwrap().is(key.expose()));
        for wrong in
            ["", "short", &"A".repeat(42), &"A".repeat(44), &"+".repeat(43), &"B".repeat(43)]
        {
            assert!(MailboxKey::parse(wrong).is_none(), "{wrong}");
        }
        assert!(MailboxKey::parse(&format!("{}=", key.expose())).is_none());
        assert_eq!(format!("{key:?}"), "MailboxKey(Secret(…))");
    }

    #[test]
    fn only_the_whole_key_is_the_key() {
        let key = MailboxKey::random();
        let text = key.expose();
        for wrong in
            ["", &text[..42], &format!("{text}A"), &format!("{text} "), &text.to_lowercase()]
        {
            assert!(!key.is(wrong), "{wrong}");
        }
        assert!(!key.is(MailboxKey::random().expose()));
    }

    #[test]
    fn a_cookie_admits_until_it_expires_and_by_its_own_key_alone() {
        let key = MailboxKey::random();
        let value = key.cookie_value(NOW);
        assert!(!value.contains(key.expose()));
        assert!(key.admits(&value, NOW) && key.admits(&value, NOW + COOKIE_TTL_S * 1000 - 1));
        assert!(!key.admits(&value, NOW + COOKIE_TTL_S * 1000));
        assert!(!MailboxKey::random().admits(&value, NOW));
        let (expires, mac) = value.split_once('.').unwrap();
        let later = expires.parse::<i64>().unwrap() + 1;
        for forged in [
            format!("{later}.{mac}"),
            format!("{expires}."),
            format!("{expires}.{}", &mac[..42]),
            format!("+{expires}.{mac}"),
            mac.to_owned(),
            key.expose().to_owned(),
            String::new(),
        ] {
            assert!(!key.admits(&forged, NOW), "{forged}");
        }
    }

    #[test]
    fn each_key_has_a_cookie_of_its_own() {
        let key = MailboxKey::random();
        assert_eq!(key.cookie_name(), MailboxKey::parse(key.expose()).unwrap().cookie_name());
        assert_ne!(key.cookie_name(), MailboxKey::random().cookie_name());
        assert_eq!(key.cookie_name().len(), "latchkey-mailbox-".len() + NAME_CHARS);
    }
}
