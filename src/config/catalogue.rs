//! Every setting there is: its name, what it may be, its default and what it means.
//!
//! This table is the one source: files, variables, the JSON Schema, `config init`, `config print` and
//! `docs/configuration.md` all come from it. A new setting is an entry here and a line in `assemble.rs`.

use super::kind::Item::{self, Client, Domain, Host, Network, Origin};
use super::kind::Kind::{
    Address, BaseUrl, Bool, Duration, Filter, Fraction, Integer, Key, List, Mailbox, Path, Pepper,
    Secret, SecretUrl, Text, Url, Word,
};
use Fallback::{Derived, Is, Nothing};

use super::setting::{D, H, M, S, new};
pub use super::setting::{EXAMPLE_KEY, Fallback, PREFIX, Setting};
use super::words::{self as of, CaptchaPoint as Point};

/// The setting of this name.
pub fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// Every setting, in the order of the sections.
pub const SETTINGS: &[Setting] = &[
    new(
        "profile",
        Word(of::Profile::WORDS),
        Is("development"),
        "`production` refuses what must not face the world: the built-in mailbox, cheap hashes, plain http, keys that everybody knows.",
    ),
    new(
        "public_url",
        BaseUrl,
        Derived("`http://` (with TLS `https://`) and `http.listen`", "https://auth.example.com"),
        "Where clients reach the daemon: the issuer of tokens and the base of every link.",
    ),
    new(
        "data_dir",
        Path,
        Is("./data"),
        "Files of the embedded mode: database, master key, mails and the mailbox's key; made with mode 0700.",
    ),
    new("http.listen", Address, Is("127.0.0.1:8080"), "Where the public listener binds."),
    new("http.tls.cert", Path, Nothing("/etc/latchkey/tls.crt"), "Certificate chain in PEM."),
    new("http.tls.key", Path, Nothing("/etc/latchkey/tls.key"), "Its private key in PEM."),
    new(
        "http.trusted_proxies",
        List(Network),
        Is(""),
        "Networks whose `X-Forwarded-For`, or else `Forwarded` (RFC 7239), names the client; without them every client behind a proxy is one address.",
    ),
    new(
        "http.cors_origins",
        List(Origin),
        Is(""),
        "Origins of web pages that may call the API from a browser; exact.",
    ),
    new(
        "http.max_connections",
        Integer(1, 1_000_000),
        Is("20000"),
        "Connections open at once; beyond it new ones wait to be accepted.",
    ),
    // A twentieth of all: an office or a carrier behind one address has hundreds, and one source never most.
    new(
        "http.max_connections_per_source",
        Integer(1, 1_000_000),
        Is("1000"),
        "Connections that one address (IPv6: /64) may hold; more are closed. Trusted proxies may hold any number.",
    ),
    new(
        "http.max_in_flight",
        Integer(1, 100_000),
        Is("1024"),
        "Requests in work at once, and as many that wait for their body; of either one source has half at most. Beyond it the answer is 503.",
    ),
    new(
        "http.drain_delay",
        Duration(0, 5 * M),
        Is("5s"),
        "How long a stopping daemon serves on after it reports unready, so that load balancers notice.",
    ),
    new(
        "admin.listen",
        Address,
        Is("127.0.0.1:9090"),
        "Where `/livez`, `/readyz` and `/metrics` answer.",
    ),
    new(
        "database.url",
        SecretUrl(&["sqlite", "postgres", "postgresql"]),
        Derived("`sqlite://<data_dir>/latchkey.db`", "postgres://latchkey@db.example.com/latchkey"),
        "SQLite for one node, PostgreSQL for several.",
    ),
    new(
        "database.auto_migrate",
        Bool,
        Derived("`true` with SQLite, `false` with PostgreSQL", "true"),
        "Apply pending migrations on start; else run `latchkey migrate up`.",
    ),
    new(
        "database.max_connections",
        Integer(1, 1_000),
        Is("20"),
        "Connections to PostgreSQL; with SQLite, readers beside the one writer.",
    ),
    new(
        "redis.url",
        SecretUrl(&["redis", "rediss", "redis+cluster", "rediss+cluster"]),
        Nothing("rediss://redis.example.com:6379"),
        "Redis as the token store; without it the store is a table of the database.",
    ),
    new(
        "mail.smtp_url",
        SecretUrl(&["smtp", "smtps"]),
        Nothing("smtp://user:password@smtp.example.com:587?tls=required"),
        "Without it mails stay in the built-in mailbox at `/dev/mailbox`. It opens with the key in `<data_dir>/mailbox-key`, on this machine alone, and only while `public_url` and `http.listen` are loopback.",
    ),
    new(
        "mail.from",
        Mailbox,
        Derived(
            "`latchkey <no-reply@HOST>` with the host of `public_url`",
            "latchkey <no-reply@example.com>",
        ),
        "The sender of every mail.",
    ),
    new("mail.new_device", Bool, Is("true"), "Mail people about log-ins from a new device."),
    new(
        "captcha.provider",
        Word(of::CaptchaProvider::WORDS),
        Is("altcha"),
        "`altcha` is built in, a proof of work; `none` asks nowhere; the others are vendors: see `docs/captcha.md`.",
    ),
    new("captcha.on", List(Item::Word(Point::WORDS)), Is("resend"), "Where a captcha is needed."),
    new(
        "captcha.secret",
        Secret,
        Nothing("the-secret-of-your-site"),
        "The vendor's secret of this site; required with a vendor.",
    ),
    new(
        "captcha.site_key",
        Text,
        Nothing("the-key-of-your-site"),
        "The vendor's public key of this site; required where a page of ours shows the widget (`forgot`).",
    ),
    new(
        "captcha.hostnames",
        List(Host),
        Derived("the host of `public_url`", "app.example.com"),
        "Hosts of the pages that show the vendor's widget; an answer from another one is refused.",
    ),
    new(
        "captcha.min_score",
        Fraction,
        Nothing("0.5"),
        "The least score of reCAPTCHA v3; given, the keys are of v3, else of v2.",
    ),
    new(
        "captcha.verify_url",
        Url(&["http", "https"]),
        Nothing("https://captcha.example.com/siteverify"),
        "Where the vendor's answers are checked, if not at its usual place; https, or this machine.",
    ),
    new(
        "captcha.fallback",
        Word(of::CaptchaFallback::WORDS),
        Is("none"),
        "What counts while the vendor does not answer: nothing, or the built-in proof of work.",
    ),
    new(
        "tokens.algorithm",
        Word(of::VaultAlgorithm::WORDS),
        Is("ES256"),
        "What signs a vaultToken. With `HS256` whoever verifies could also forge.",
    ),
    new(
        "tokens.issuer",
        Url(&["http", "https"]),
        Derived("`public_url`", "https://auth.example.com"),
        "The tokens' `iss`.",
    ),
    new("tokens.audience", Text, Is("vault"), "The vaultToken's `aud`."),
    new(
        "tokens.secret",
        Secret,
        Nothing("an-example-secret-of-at-least-32-bytes"),
        "The shared secret, at least 32 bytes; with `HS256` alone.",
    ),
    new(
        "tokens.allow_shared_secret",
        Bool,
        Is("false"),
        "Says that you know what `HS256` means: every verifier can forge.",
    ),
    new("tokens.user_ttl", Duration(S, 24 * H), Is("15m"), "How long a userToken lives."),
    new(
        "tokens.vault_ttl",
        Duration(S, H),
        Is("5m"),
        "How long a vaultToken lives: how late a revocation may arrive elsewhere.",
    ),
    new(
        "tokens.rotate_every",
        Duration(H, 4_000 * D),
        Is("90d"),
        "How long a key signs before another takes its place; both tokens' keys, without a restart.",
    ),
    new(
        "secrets.master_key",
        Key,
        Derived("made in `data_dir` on the first start; required with PostgreSQL", EXAMPLE_KEY),
        "32 random bytes in base64 (`openssl rand -base64 32`). Seals signing keys and makes mailed tokens; losing it means new keys and void links, nothing else.",
    ),
    new(
        "secrets.master_key_previous",
        Key,
        Nothing(EXAMPLE_KEY),
        "The key before, while a new one is brought in.",
    ),
    new(
        "sessions.idle_ttl",
        Duration(S, 400 * D),
        Is("14d"),
        "How long a session lives from its last refresh; never beyond `sessions.absolute_ttl`.",
    ),
    new(
        "sessions.absolute_ttl",
        Duration(S, 400 * D),
        Is("30d"),
        "How long a session lives from its sign-in, refreshed or not.",
    ),
    new(
        "sessions.refresh_grace",
        Duration(0, 5 * M),
        Is("30s"),
        "How long the token before the current one may still refresh: parallel tabs, lost answers.",
    ),
    new("verification.ttl", Duration(S, 30 * D), Is("24h"), "How long the link lives."),
    new("recovery.ttl", Duration(S, 24 * H), Is("30m"), "How long the link lives."),
    new(
        "registration.mode",
        Word(of::RegistrationMode::WORDS),
        Is("open"),
        "Who may register: anybody, the invited, addresses of `registration.domains`, nobody.",
    ),
    new(
        "registration.domains",
        List(Domain),
        Is(""),
        "With mode `domains`: the domains whose addresses may register, subdomains not included.",
    ),
    new(
        "registration.unverified_ttl",
        Duration(S, 400 * D),
        Is("72h"),
        "When an account is removed whose address was never confirmed.",
    ),
    new(
        "registration.expose_existence",
        Word(of::ExposeExistence::WORDS),
        Is("limited"),
        "Who may ask whether an address has an account: anybody within limits, with a captcha, nobody.",
    ),
    new(
        "password.memory_kib",
        Integer(8, 4_194_304),
        Is("19456"),
        "argon2id's memory for one hash in KiB, at least 8 a lane; the default is OWASP's.",
    ),
    new("password.iterations", Integer(1, u32::MAX as u64), Is("2"), "argon2id's passes."),
    new("password.parallelism", Integer(1, 16_777_215), Is("1"), "argon2id's lanes."),
    new(
        "password.min_length",
        Integer(8, 256),
        Is("8"),
        "The fewest code points of a password; NIST asks for 15 where it is the only factor.",
    ),
    new(
        "password.workers",
        Integer(1, 1_024),
        Derived("one for each core", "2"),
        "Hashes computed at once; the memory is this times `password.memory_kib`.",
    ),
    new(
        "password.engine",
        Word(of::PasswordEngine::WORDS),
        Is("argon2"),
        "Which code computes hashes. `simd` computes 2.7 to 3 times as many, has not been audited, and is held to `argon2` at every start (docs/passwords.md).",
    ),
    new(
        "password.pepper",
        Pepper,
        Nothing("2:YW4gZXhhbXBsZSBvZiAzMiBieXRlczogbm90IGtlcHQ="),
        "A key in front of every hash: a version from 1 to 9999, a colon, and at least 32 bytes in base64. Whoever loses it loses every password.",
    ),
    new(
        "password.pepper_previous",
        List(Item::Pepper),
        Is(""),
        "Earlier peppers, each `version:key`, while hashes of theirs are left; a log-in rehashes.",
    ),
    new(
        "password.breach_url",
        Url(&["http", "https"]),
        Nothing("https://api.pwnedpasswords.com/range/"),
        "A service that knows breached passwords by the first five digits of their SHA-1 (k-anonymity); without it none is asked, and while it does not answer, passwords pass.",
    ),
    new(
        "rate_limit.enabled",
        Bool,
        Is("true"),
        "`false` turns off every limit, those of mailboxes too: for tests and benchmarks.",
    ),
    new(
        "rate_limit.replicas",
        Integer(1, 1_000),
        Is("1"),
        "How many daemons share the stores: while the token store is down each grants its share of the budgets.",
    ),
    new(
        "rate_limit.account_writes",
        Integer(1, 100_000),
        Is("120"),
        "How many writes an hour a signed-in user has for profile, sessions, teams, projects and keys together.",
    ),
    new(
        "rate_limit.keys_max",
        Integer(10_000, 1_000_000_000),
        Is("1000000"),
        "How many failed logins the token store keeps at most, of all replicas together; about 300 bytes each. Beyond it accounts that are new to the store share one back-off.",
    ),
    new(
        "introspection.clients",
        List(Client),
        Nothing("gateway:an-example-secret-of-32-characters"),
        "Who may introspect every token, userTokens too: each `id:secret`, the secret of 22 characters or more (`openssl rand -base64 32`).",
    ),
    new(
        "teams.max_per_user",
        Integer(1, 1_000),
        Is("50"),
        "Teams that one person may be in; making or joining one more is refused.",
    ),
    new("teams.projects_max", Integer(1, 100_000), Is("100"), "Projects of one team."),
    new(
        "teams.members_max",
        Integer(1, 100_000),
        Is("500"),
        "Members of one team, open invitations counted with them.",
    ),
    new(
        "teams.keys_max",
        Integer(1, 100_000),
        Is("200"),
        "Keys of one team, over all its projects.",
    ),
    new(
        "teams.invitations_per_day",
        Integer(1, 100_000),
        Is("100"),
        "Invitations that one team may mail in a day, and one person for all teams together; those sent again included.",
    ),
    new("audit.retention", Duration(D, 4_000 * D), Is("400d"), "How long a record is kept."),
    new(
        "log.format",
        Word(of::LogFormat::WORDS),
        Derived("`pretty` on a terminal, else `json`", "json"),
        "For people, or one JSON object a line.",
    ),
    new(
        "log.filter",
        Filter,
        Is("info"),
        "A level, or directives by module: `info,latchkey::mail=debug`.",
    ),
    new(
        "telemetry.endpoint",
        Url(&["http", "https"]),
        Nothing("http://collector.example.com:4318"),
        "A collector's base URL; without it nothing is exported, and `/metrics` is there all the same.",
    ),
    new(
        "telemetry.protocol",
        Word(of::Protocol::WORDS),
        Is("http/protobuf"),
        "OTLP over HTTP (usually port 4318) or gRPC (4317).",
    ),
    new(
        "telemetry.headers",
        Secret,
        Nothing("api-key=a%20b"),
        "Sent along: `key=value,key=value`.",
    ),
    new("telemetry.logs", Bool, Is("false"), "Export log records too, beside stderr."),
    new("telemetry.sample_ratio", Fraction, Is("1"), "Traces kept, of those that begin here."),
];
