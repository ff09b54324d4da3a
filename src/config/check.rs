//! Rules between settings, and the rules of the production profile.

use std::time::Duration;

use super::kind::{Kind, Value};
use super::layers::Values;
use super::mailbox::MailboxBarrier;
use super::problems::Problem;
use super::setting::EXAMPLE_KEY;
use super::url::Url;

/// OWASP's minimum costs of argon2id: KiB and passes, with one lane or more.
const OWASP_FLOOR: [(u64, u64); 5] =
    [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

/// Words that occur in published example secrets, and not in generated secrets.
const EXAMPLE_WORDS: [&str; 8] =
    ["example", "change", "secret-", "-secret", "insecure", "password", "your-", "please"];

/// The minimum number of characters of a client's secret: 128 bits in base64 without padding, the
/// minimum of RFC 6749 §10.10.
const CLIENT_SECRET_CHARS_MIN: usize = 22;

/// With one factor, NIST SP 800-63B-4 §2.1.3 allows at most 30 days between two logins.
const ABSOLUTE_TTL_MAX: Duration = Duration::from_hours(30 * 24);

/// Checks what the kind of a single setting cannot check.
pub fn check(values: &Values, problems: &mut Vec<Problem>, warnings: &mut Vec<Problem>) {
    let mut rules = Rules { values, problems, warnings };
    rules.listeners();
    rules.tokens();
    rules.keys();
    rules.clients();
    rules.people();
    rules.passkeys();
    rules.password();
    rules.captcha();
    rules.egress();
    rules.authorities();
    rules.without_effect();
    rules.mailbox();
    rules.production();
    rules.serving_role();
    rules.migrating_role();
}

pub(super) struct Rules<'a> {
    pub(super) values: &'a Values,
    pub(super) problems: &'a mut Vec<Problem>,
    pub(super) warnings: &'a mut Vec<Problem>,
}

impl Rules<'_> {
    pub(super) fn problem(&mut self, key: &str, what: &str, fix: &str) {
        let what = format!("{what}{}", self.values.source(key).place());
        self.problems.push(Problem::new(key, what, fix));
    }

    pub(super) fn warning(&mut self, key: &str, what: &str, fix: &str) {
        let what = format!("{what}{}", self.values.source(key).place());
        self.warnings.push(Problem::new(key, what, fix));
    }

    /// Reports an error in production and a warning otherwise.
    pub(super) fn unfit(&mut self, key: &str, what: &str, fix: &str) {
        if self.values.word("profile") == Some("production") {
            self.problem(key, what, fix);
        } else {
            self.warning(key, what, fix);
        }
    }

    pub(super) fn is(&self, key: &str, word: &str) -> bool {
        self.values.word(key) == Some(word)
    }

    /// Whether a source gave the setting, with a valid value or not. If so, no rule reports that
    /// the setting is missing.
    pub(super) fn is_there(&self, key: &str) -> bool {
        self.values.is_given(key)
    }

    fn listeners(&mut self) {
        let fix = "set both, or neither";
        for (one, other) in [("http.tls.cert", "http.tls.key"), ("http.tls.key", "http.tls.cert")] {
            if self.is_there(one) && !self.is_there(other) {
                self.problem(one, &format!("is set without `{other}`"), fix);
            }
        }
        if let (Some(Value::Address(public)), Some(Value::Address(admin))) =
            (self.values.get("http.listen"), self.values.get("admin.listen"))
            && public == admin
            && public.port() != 0
        {
            self.problem(
                "admin.listen",
                "is the same address as `http.listen`",
                "choose another port",
            );
        }
        if let Some(data_dir) = self.values.text("data_dir")
            && data_dir.contains(['?', '#', '%'])
            && !self.is_there("database.url")
        {
            let fix = "choose another folder, or set `database.url`";
            self.problem(
                "data_dir",
                "contains ?, # or %, so it cannot be part of the default `database.url`",
                fix,
            );
        }
    }

    fn tokens(&mut self) {
        let secret = self.values.text("tokens.secret");
        let is_short = secret.is_some_and(|secret| secret.len() < 32);
        let is_shared = self.is("tokens.algorithm", "HS256");
        if is_short {
            let fix = "create one: openssl rand -base64 32";
            self.problem("tokens.secret", "is shorter than 32 bytes", fix);
        }
        if is_shared && !self.is_there("tokens.secret") {
            let fix = "set a secret of at least 32 bytes, or use ES256";
            self.problem("tokens.secret", "is missing, but `tokens.algorithm` is HS256", fix);
        }
        if is_shared && self.values.read::<bool>("tokens.allow_shared_secret") == Some(false) {
            self.problem(
                "tokens.algorithm",
                "is HS256, so every service that verifies vaultTokens can forge them",
                "use ES256, or set `tokens.allow_shared_secret` to true",
            );
        }
    }

    fn keys(&mut self) {
        let on_postgres =
            self.values.text("database.url").is_some_and(|url| url.starts_with("postgres"));
        if on_postgres && !self.is_there("secrets.master_key") {
            self.problem(
                "secrets.master_key",
                "is missing, but required with PostgreSQL",
                "a new installation: create one (openssl rand -base64 32); an existing \
                 installation: restore its key, because another key does not decrypt its data",
            );
        }
        let fix = "create one: openssl rand -base64 32";
        for key in ["secrets.master_key", "secrets.master_key_previous"] {
            if let Some(Value::Key(bytes)) = self.values.get(key)
                && is_example_key(bytes)
            {
                self.unfit(key, "is a published example", fix);
            }
        }
        if self.values.text("tokens.secret").is_some_and(is_example_secret) {
            self.unfit("tokens.secret", "looks like a published example", fix);
        }
        let exposed = &self.values.secret_files.exposed;
        if self.is("profile", "production") {
            self.problems.extend(exposed.iter().cloned());
        } else {
            self.warnings.extend(exposed.iter().cloned());
        }
    }

    /// Checks the resource servers of the operator. Each id must name one client, and each secret
    /// must be strong.
    fn clients(&mut self) {
        const KEY: &str = "introspection.clients";
        let list = self.values.list(KEY).unwrap_or_default();
        let clients: Vec<(&str, &str)> =
            list.iter().filter_map(|client| client.split_once(':')).collect();
        let ids: std::collections::BTreeSet<&str> = clients.iter().map(|(id, _)| *id).collect();
        if ids.len() < clients.len() {
            self.problem(KEY, "contains the same client id twice", "give each client its own id");
        }
        let fix = "create one: openssl rand -base64 32";
        if clients.iter().any(|(_, secret)| secret.len() < CLIENT_SECRET_CHARS_MIN) {
            self.problem(KEY, "contains a secret of fewer than 22 characters", fix);
        }
        if clients.iter().any(|(_, secret)| is_example_secret(secret)) {
            self.unfit(KEY, "contains a secret that looks like a published example", fix);
        }
    }

    fn people(&mut self) {
        let values = self.values;
        if self.is("registration.mode", "domains")
            && values.list("registration.domains").is_some_and(<[String]>::is_empty)
        {
            let fix = "list the domains, or choose another `registration.mode`";
            self.problem(
                "registration.domains",
                "is empty, but `registration.mode` is domains",
                fix,
            );
        }
        if self.is("registration.expose_existence", "captcha")
            && self.is("captcha.provider", "none")
        {
            let fix = "use limited or off, or set `captcha.provider`";
            self.problem(
                "registration.expose_existence",
                "is captcha, but `captcha.provider` is none",
                fix,
            );
        }
        if let (Some(idle), Some(absolute)) = (
            values.read::<Duration>("sessions.idle_ttl"),
            values.read::<Duration>("sessions.absolute_ttl"),
        ) && idle > absolute
        {
            let fix = "shorten it, or lengthen `sessions.absolute_ttl`";
            self.problem("sessions.idle_ttl", "is longer than `sessions.absolute_ttl`", fix);
        }
        if values
            .read::<Duration>("sessions.absolute_ttl")
            .is_some_and(|ttl| ttl > ABSOLUTE_TTL_MAX)
        {
            let fix = "shorten it to 30d";
            let what = "is longer than a user may stay logged in (NIST SP 800-63B-4 §2.1.3)";
            self.warning("sessions.absolute_ttl", what, fix);
        }
        if let (Some(link), Some(account)) = (
            values.read::<Duration>("verification.ttl"),
            values.read::<Duration>("registration.unverified_ttl"),
        ) && link > account
        {
            let fix = "lengthen it, or shorten `verification.ttl`";
            let what = "is shorter than `verification.ttl`: accounts are deleted before their link \
                 expires";
            self.warning("registration.unverified_ttl", what, fix);
        }
    }

    /// Checks the peppers. Each needs its own version, and a published example protects nothing.
    fn peppers(&mut self) {
        let values = self.values;
        let current = values.text("password.pepper").map(|text| ("password.pepper", text));
        let previous = values.list("password.pepper_previous").unwrap_or_default();
        let previous = previous.iter().map(|text| ("password.pepper_previous", text.as_str()));
        let mut versions = std::collections::BTreeSet::new();
        for (key, text) in current.into_iter().chain(previous) {
            let Ok((version, bytes)) = super::text::pepper(text) else { continue };
            if !versions.insert(version) {
                let fix = "give each pepper its own version";
                self.problem(key, "has the same version as another pepper", fix);
            }
            if bytes.first_chunk().is_some_and(is_example_key) {
                let fix = "create one: openssl rand -base64 32";
                self.unfit(key, "is a published example", fix);
            }
        }
    }

    fn password(&mut self) {
        self.peppers();
        let number = |key: &str| self.values.read::<u64>(&format!("password.{key}"));
        let (Some(memory), Some(passes), Some(lanes)) =
            (number("memory_kib"), number("iterations"), number("parallelism"))
        else {
            return;
        };
        if memory < 8 * lanes {
            let fix = format!("set it to at least {}", 8 * lanes);
            self.problem(
                "password.memory_kib",
                "is less than 8 KiB for each lane (RFC 9106 §3.1)",
                &fix,
            );
        } else if !OWASP_FLOOR.iter().any(|(m, t)| memory >= *m && passes >= *t) {
            let fix = "use at least 19456 KiB (`password.memory_kib`) and 2 passes \
                 (`password.iterations`)";
            let key = if self.is_there("password.memory_kib") {
                "password.memory_kib"
            } else {
                "password.iterations"
            };
            self.unfit(key, "makes a password hash cheaper than OWASP's minimum", fix);
        }
    }

    /// Warns about settings that have no effect.
    fn without_effect(&mut self) {
        if self.is_there("tokens.secret")
            && self.values.word("tokens.algorithm").is_some_and(|word| word != "HS256")
        {
            self.warning(
                "tokens.secret",
                "has no effect, because `tokens.algorithm` is not HS256",
                "remove it",
            );
        }
        if self.values.list("registration.domains").is_some_and(|list| !list.is_empty())
            && !self.is("registration.mode", "domains")
        {
            let fix = "set `registration.mode` to domains, or remove this setting";
            self.warning(
                "registration.domains",
                "has no effect, because `registration.mode` is not domains",
                fix,
            );
        }
    }

    /// Checks that users can receive mails. The built-in mailbox is for development on this
    /// machine. If other machines use the daemon, nobody can open the mailbox, and its mails are
    /// lost.
    fn mailbox(&mut self) {
        if self.is_there("mail.smtp_url") {
            return;
        }
        let fix = "set it to smtp://… or smtps://…";
        if self.is("profile", "production") {
            self.problem(
                "mail.smtp_url",
                "is missing, but the profile production has no built-in mailbox",
                fix,
            );
            return;
        }
        if let (Some(url), Some(Value::Address(listen))) =
            (self.values.text("public_url"), self.values.get("http.listen"))
            && let Some(barrier) = MailboxBarrier::of(url, *listen)
        {
            let reason = barrier.reason();
            let what = format!(
                "is missing, so mails go to the built-in mailbox, which nobody can open, because \
                 {reason}"
            );
            self.warning("mail.smtp_url", &what, fix);
        }
    }

    fn production(&mut self) {
        let public_url = self.values.text("public_url").and_then(Url::parse);
        if public_url.is_some_and(|url| url.scheme == "http" && !url.is_loopback_in_browsers()) {
            let fix = "use https, with a certificate in latchkey or in a proxy in front of it";
            self.unfit("public_url", "is plain http, but does not name this machine", fix);
        }
        if self.values.read::<bool>("rate_limit.enabled") == Some(false)
            && self.is("profile", "production")
        {
            self.warning(
                "rate_limit.enabled",
                "is false, so nothing slows down password guessing",
                "set it to true",
            );
        }
    }
}

/// Whether a key is an example: one repeated byte, consecutive bytes, printable ASCII only, or the
/// key in latchkey's documentation.
fn is_example_key(bytes: &[u8; 32]) -> bool {
    let steps = |step: u8| bytes.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(step));
    let is_ours = Kind::Key.read(EXAMPLE_KEY) == Ok(Value::Key(*bytes));
    steps(0) || steps(1) || is_ours || bytes.iter().all(|byte| (b' '..=b'~').contains(byte))
}

/// Whether a secret contains a word of an example, or has fewer than eight different bytes.
fn is_example_secret(secret: &str) -> bool {
    let lower = secret.to_ascii_lowercase();
    let different: std::collections::BTreeSet<u8> = secret.bytes().collect();
    EXAMPLE_WORDS.iter().any(|word| lower.contains(word)) || different.len() < 8
}
