//! The settings of passkeys: their defaults, their rules, and whether passkeys work at all.
//!
//! Browsers bind a passkey to a domain name, so passkeys do not work where `public_url` is an IP
//! address. A loopback address is the exception: the same daemon is reached as `localhost`.

use std::net::IpAddr;

use super::Config;
use super::check::Rules;
use super::kind::{self, Value};
use super::layers::Values;
use super::problems::Problem;
use super::text::domain_name;
use super::url::{self, Url};

/// Whether passkeys work. They do not work if `public_url` names an IP address that is not a
/// loopback address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passkeys {
    On,
    Off,
}

impl Config {
    /// The domain of the passkeys. None if passkeys are off.
    pub fn passkey_domain(&self) -> Option<&str> {
        let domain = self.webauthn.rp_id.as_deref();
        domain.filter(|_| !is_remote_address(&self.public_url))
    }

    pub fn passkeys(&self) -> Passkeys {
        if self.passkey_domain().is_some() { Passkeys::On } else { Passkeys::Off }
    }
}

/// Sets the defaults of `webauthn.rp_id` and `webauthn.origins`.
pub(super) fn derive(values: &mut Values, public_url: &str) {
    if is_remote_address(public_url) {
        return;
    }
    let Some(parsed) = Url::parse(public_url) else { return };
    let (id, origin) = if url::is_loopback(parsed.host) {
        let port = parsed.port.map_or_else(String::new, |port| format!(":{port}"));
        ("localhost".to_owned(), format!("{}://localhost{port}", parsed.scheme))
    } else {
        let Ok(domain) = domain_name(parsed.host) else { return };
        (domain, public_url.to_owned())
    };
    values.derive("webauthn.rp_id", Value::Text(id));
    let own = kind::origin(&origin).ok();
    let pages = values.list("http.cors_origins").unwrap_or_default();
    let mut origins: Vec<String> = own.into_iter().collect();
    for page in pages {
        if !origins.contains(page) {
            origins.push(page.clone());
        }
    }
    values.derive("webauthn.origins", Value::List(origins));
}

impl Rules<'_> {
    pub(super) fn passkeys(&mut self) {
        let Some(public_url) = self.values.text("public_url") else { return };
        if is_remote_address(public_url) {
            let fix = "set `public_url` to a URL with a domain name, if you want passkeys";
            self.passkey_warning(
                "public_url",
                "turns passkeys off, because it is an IP address",
                "so their routes respond with 404",
                fix,
            );
            for key in ["webauthn.rp_id", "webauthn.origins"] {
                if self.is_there(key) {
                    let why = "because passkeys are off: `public_url` is an IP address";
                    self.passkey_warning(key, "has no effect", why, fix);
                }
            }
            return;
        }
        let (Some(id), Some(origins)) =
            (self.values.text("webauthn.rp_id"), self.values.list("webauthn.origins"))
        else {
            return;
        };
        let is_ours = |host: &str| {
            host == id || host.strip_suffix(id).is_some_and(|rest| rest.ends_with('.'))
        };
        let foreign: Vec<&str> = (origins.iter())
            .filter(|origin| Url::parse(origin).is_some_and(|url| !is_ours(url.host)))
            .map(String::as_str)
            .collect();
        let serves_domain = Url::parse(public_url).is_some_and(|url| url.host == id);
        if foreign.is_empty() || serves_domain || !self.is_there("webauthn.rp_id") {
            return;
        }
        let what = format!(
            "which is not the domain of {}: browsers ask https://{id}/.well-known/webauthn whether \
             these pages may use the passkeys",
            foreign.join(", ")
        );
        let fix = "forward this path to latchkey, or correct the domain";
        self.passkey_warning("webauthn.rp_id", &format!("is {id}"), &what, fix);
    }

    /// Warns with a long sentence. The source of the setting is between its two parts, because at
    /// the end of the sentence it would be far from the value.
    fn passkey_warning(&mut self, key: &str, what: &str, then: &str, fix: &str) {
        let place = self.values.source(key).place();
        self.warnings.push(Problem::new(key, format!("{what}{place}, {then}"), fix));
    }
}

/// Whether the host of a URL is an IP address of another machine.
fn is_remote_address(url: &str) -> bool {
    Url::parse(url).is_some_and(|url| {
        url.host.parse::<IpAddr>().is_ok_and(|address| !address.to_canonical().is_loopback())
    })
}
