//! Tests of derived defaults, of rules between settings, and of the production profile.

use std::time::Duration;

use super::{Given, KEY, SECRET, keys, toml, variable};
use crate::config::RegistrationMode;
use crate::config::setting;

pub(super) fn production(text: &str) -> Given {
    toml(&format!("profile = 'production'\nmail.smtp_url = 'smtps://mail.example.com'\n{text}"))
}

#[test]
fn defaults_follow_what_was_given() {
    let loaded = toml(
        "public_url = 'https://auth.example.com/'\ndata_dir = '/var/lib/latchkey/'\n\
         http.tls.cert = 'a'\nhttp.tls.key = 'b'",
    )
    .loaded();
    assert_eq!(loaded.config.public_url, "https://auth.example.com");
    assert_eq!(loaded.config.tokens.issuer, "https://auth.example.com");
    assert_eq!(loaded.config.mail.from, "latchkey <no-reply@auth.example.com>");
    assert_eq!(loaded.config.database.url.expose(), "sqlite:///var/lib/latchkey/latchkey.db");
    assert!(loaded.config.http.tls().is_some());

    let tls = toml("http.tls.cert = 'a'\nhttp.tls.key = 'b'\nhttp.listen = '[::1]:0'").loaded();
    assert_eq!(tls.config.public_url, "https://[::1]:0");
    assert_eq!(tls.config.mail.from, "latchkey <no-reply@localhost>");

    for (url, helo, domain) in [
        ("https://auth.example.com:8443", "auth.example.com", "auth.example.com"),
        ("https://Bücher.example", "xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("http://192.0.2.7:8080", "[192.0.2.7]", "localhost"),
        ("http://[::1]:8080", "[IPv6:::1]", "localhost"),
        ("http://localhost:8080", "[127.0.0.1]", "localhost"),
        ("http://0.0.0.0:8080", "[127.0.0.1]", "localhost"),
    ] {
        let mail = toml(&format!("public_url = '{url}'")).loaded().config.mail;
        assert_eq!(mail.helo, helo, "{url}");
        assert_eq!(mail.from, format!("latchkey <no-reply@{domain}>"), "{url}");
    }

    let postgres = variable("LATCHKEY_DATABASE__URL", "postgresql://db/latchkey")
        .variable("LATCHKEY_SECRETS__MASTER_KEY", KEY)
        .loaded();
    assert!(!postgres.config.database.auto_migrate && !postgres.config.is_embedded());

    let short = toml("sessions.absolute_ttl = '1h'").loaded().config.sessions;
    assert_eq!(short.idle_ttl, Duration::from_hours(1));
}

#[test]
fn a_session_of_more_than_thirty_days_is_warned_of() {
    for (ttl, warned) in [("30d", false), ("721h", true)] {
        let loaded = variable("LATCHKEY_SESSIONS__ABSOLUTE_TTL", ttl).loaded();
        assert_eq!(keys(&loaded.warnings).contains(&"sessions.absolute_ttl"), warned, "{ttl}");
    }
}

#[test]
fn postgresql_needs_a_master_key_of_32_bytes() {
    let given = || variable("LATCHKEY_DATABASE__URL", "postgres://db/latchkey");
    let missing = given().problems();
    assert_eq!(keys(&missing), ["secrets.master_key"]);
    assert!(missing[0].fix.contains("an existing installation: restore its key"), "{missing:?}");
    for key in [KEY, KEY.trim_end_matches('='), "_-_-EjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA"] {
        assert!(given().variable("LATCHKEY_SECRETS__MASTER_KEY", key).load().is_ok(), "{key}");
    }
    for key in ["AAAA", "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJCr", "not base64!"] {
        let problems = given().variable("LATCHKEY_SECRETS__MASTER_KEY", key).problems();
        assert_eq!(keys(&problems), ["secrets.master_key"], "{key}");
        assert!(problems[0].what.contains("32 bytes"), "{problems:?}");
    }
}

#[test]
fn hs256_needs_a_long_secret_and_a_word_of_consent() {
    let hs256 = || variable("LATCHKEY_TOKENS__ALGORITHM", "HS256");
    assert_eq!(keys(&hs256().problems()), ["tokens.secret", "tokens.algorithm"]);
    let allowed = || hs256().variable("LATCHKEY_TOKENS__ALLOW_SHARED_SECRET", "true");
    let short = allowed().variable("LATCHKEY_TOKENS__SECRET", "kJ8s0bQ2mZr7Tt4cXv9LwYp1Ne6Ua3G");
    assert!(short.problems()[0].what.contains("shorter than 32 bytes"));
    assert_eq!(allowed().variable("LATCHKEY_TOKENS__SECRET", SECRET).loaded().warnings, []);
    let idle = variable("LATCHKEY_TOKENS__SECRET", SECRET).loaded();
    assert_eq!(keys(&idle.warnings), ["tokens.secret"]);
}

#[test]
fn production_refuses_what_development_warns_of() {
    let cheap = "password.memory_kib = 19455";
    let http = "public_url = 'http://auth.example.com'";
    let key = format!("secrets.master_key = '{}'", setting::EXAMPLE_KEY);
    let secret = "tokens = { algorithm = 'HS256', allow_shared_secret = true, secret = 'your-256-bit-secret-your-256-bit-secret' }";
    for (text, name, keeps_the_mailbox_closed) in [
        (cheap, "password.memory_kib", false),
        (http, "public_url", true),
        ("http.listen = '0.0.0.0:8080'", "public_url", true),
        (&key, "secrets.master_key", false),
        (secret, "tokens.secret", false),
    ] {
        assert_eq!(keys(&production(text).problems()), [name], "{text}");
        let mut warnings = vec![name];
        if keeps_the_mailbox_closed {
            warnings.insert(0, "mail.smtp_url");
        }
        if text.contains("0.0.0.0") {
            // Without a name there are no passkeys.
            warnings.insert(0, "public_url");
        }
        assert_eq!(keys(&toml(text).loaded().warnings), warnings, "{text}");
    }
    assert_eq!(production("").loaded().warnings, []);
    let mailbox = toml("profile = 'production'").problems();
    assert_eq!(keys(&mailbox), ["mail.smtp_url"]);
}

#[test]
fn a_mailbox_that_nobody_can_open_is_warned_of() {
    let warnings = |text: &str| toml(text).loaded().warnings;
    for text in ["", "public_url = 'http://app.localhost:8080'", "public_url = 'https://[::1]'"] {
        assert_eq!(warnings(text), [], "{text}");
    }
    for (text, reason) in [
        ("public_url = 'https://auth.example.com'", "`public_url` does not name this machine"),
        (
            "http.listen = '0.0.0.0:8080'\npublic_url = 'http://localhost:8080'",
            "`http.listen` is not a loopback address",
        ),
    ] {
        let warned = warnings(text);
        assert_eq!(keys(&warned), ["mail.smtp_url"], "{text}");
        assert!(warned[0].what.contains(reason), "{:?}", warned[0]);
        let with_smtp = format!("{text}\nmail.smtp_url = 'smtps://mail.example.com'");
        assert_eq!(warnings(&with_smtp), [], "{text}");
    }
}

#[test]
fn production_refuses_every_vendors_test_keys_and_development_warns_of_them() {
    for (provider, secrets, site_keys) in [
        (
            "turnstile",
            &["1x0000000000000000000000000000000AA", "2x0000000000000000000000000000000AA"][..],
            &["1x00000000000000000000AA", "3x00000000000000000000FF"][..],
        ),
        (
            "hcaptcha",
            &["0x0000000000000000000000000000000000000000"],
            &["10000000-ffff-ffff-ffff-000000000001", "30000000-ffff-ffff-ffff-000000000003"],
        ),
        (
            "recaptcha",
            &["6LeIxAcTAAAAAGG-vFI1TnRWxMZNFuojJ4WifJWe"],
            &["6LeIxAcTAAAAAJcZVRqyHh71UMIEGNQ_MXjiZKhI"],
        ),
    ] {
        let text = |secret: &str, site_key: &str| {
            format!(
                "captcha = {{ provider = '{provider}', secret = '{secret}', site_key = '{site_key}' }}"
            )
        };
        assert_eq!(production(&text("own", "own")).loaded().warnings, [], "{provider}");
        let secrets = secrets.iter().map(|secret| ("captcha.secret", text(secret, "own")));
        let site_keys = site_keys.iter().map(|key| ("captcha.site_key", text("own", key)));
        for (name, text) in secrets.chain(site_keys) {
            assert_eq!(keys(&production(&text).problems()), [name], "{text}");
            assert_eq!(keys(&toml(&text).loaded().warnings), [name], "{text}");
        }
    }
}

#[test]
fn owasps_floor_is_a_choice_of_five() {
    for (memory, passes, warnings) in [
        (47_104, 1, 0),
        (47_103, 1, 1),
        (19_456, 2, 0),
        (12_288, 3, 0),
        (9_216, 4, 0),
        (7_168, 5, 0),
        (7_167, 500, 1),
        (4_194_304, 1, 0),
    ] {
        let text = format!("password.memory_kib = {memory}\npassword.iterations = {passes}");
        assert_eq!(toml(&text).loaded().warnings.len(), warnings, "{text}");
    }
    let lanes = toml("password.memory_kib = 31\npassword.parallelism = 4").problems();
    assert_eq!(lanes[0].fix, "set it to at least 32");
    assert_eq!(toml("password.memory_kib = 4194305").problems().len(), 1);
}

#[test]
fn every_mode_of_registration_is_read() {
    let invite = toml("registration.mode = 'invite'").loaded();
    assert_eq!(invite.config.registration.mode, RegistrationMode::Invite);
}

#[test]
fn peppers_have_versions_of_their_own_and_keys_that_nobody_knows() {
    let key = |version: u16| format!("{version}:{KEY}");
    let pair = |current: &str, previous: &[String]| {
        variable("LATCHKEY_PASSWORD__PEPPER", current)
            .variable("LATCHKEY_PASSWORD__PEPPER_PREVIOUS", &previous.join(","))
    };
    let password = pair(&key(3), &[key(2), key(1)]).loaded().config.password;
    assert_eq!(password.pepper.unwrap().version, 3);
    let previous: Vec<_> = password.pepper_previous.iter().map(|pepper| pepper.version).collect();
    assert_eq!(previous, [2, 1]);
    assert_eq!(password.pepper_previous[0].key.expose().len(), 32);
    for (current, previous) in [(key(1), vec![key(1)]), (key(3), vec![key(2), key(2)])] {
        let problems = pair(&current, &previous).problems();
        assert_eq!(keys(&problems), ["password.pepper_previous"]);
        assert!(problems[0].what.contains("another pepper"), "{problems:?}");
    }
    assert_eq!(keys(&toml("password.pepper = '1:short'").problems()), ["password.pepper"]);
    let example = format!("password.pepper = '1:{}'", setting::EXAMPLE_KEY);
    assert_eq!(keys(&toml(&example).loaded().warnings), ["password.pepper"]);
    assert_eq!(keys(&production(&example).problems()), ["password.pepper"]);
    let shown = pair(&key(2), &[key(1)]).loaded().sources;
    let shown: Vec<_> = shown.iter().filter(|shown| shown.key.contains("pepper")).collect();
    assert!(shown.iter().all(|shown| !shown.value.to_string().contains(&KEY[..8])), "{shown:?}");
}

#[test]
fn clients_of_introspection_have_ids_of_their_own_and_long_secrets() {
    let given = |items: &str| toml(&format!("introspection.clients = [{items}]"));
    assert!(given("").loaded().config.introspection.clients.is_empty());
    let two = given(&format!("'gateway:{SECRET}', 'shop:x{SECRET}:y'")).loaded();
    let clients = two.config.introspection.clients;
    assert_eq!(
        clients.iter().map(|client| client.id.as_str()).collect::<Vec<_>>(),
        ["gateway", "shop"]
    );
    assert_eq!(clients[1].secret.expose(), &format!("x{SECRET}:y"));
    assert!(!format!("{clients:?}").contains(SECRET));
    for wrong in [
        format!("'a:{SECRET}', 'a:x{SECRET}'"),
        "'a:kJ8s0bQ2mZr7Tt4cXv9Lw'".to_owned(),
        "'no secret'".to_owned(),
    ] {
        assert_eq!(keys(&given(&wrong).problems()), ["introspection.clients"], "{wrong}");
    }
    let example = "introspection.clients = ['a:an-example-secret-of-32-characters']";
    assert_eq!(toml(example).loaded().warnings.len(), 1);
    assert!(keys(&production(example).problems()).contains(&"introspection.clients"));
}

#[test]
fn settings_that_need_each_other_say_so() {
    for (text, key) in [
        ("http.tls.cert = 'a'", "http.tls.cert"),
        ("http.tls.key = 'a'", "http.tls.key"),
        ("admin.listen = '127.0.0.1:8080'", "admin.listen"),
        ("registration.mode = 'domains'", "registration.domains"),
        (
            "captcha.provider = 'none'\nregistration.expose_existence = 'captcha'",
            "registration.expose_existence",
        ),
        ("sessions.idle_ttl = '31d'", "sessions.idle_ttl"),
        ("data_dir = 'a?b'", "data_dir"),
        ("tokens.user_ttl = '25h'", "tokens.user_ttl"),
        ("tokens.vault_ttl = '61m'", "tokens.vault_ttl"),
        ("tokens.vault_ttl = '999ms'", "tokens.vault_ttl"),
        ("tokens.rotate_every = '59m'", "tokens.rotate_every"),
    ] {
        assert_eq!(keys(&toml(text).problems()), [key], "{text}");
    }
    let domains =
        toml("registration = { mode = 'domains', domains = ['Bücher.example'] }").loaded();
    assert_eq!(domains.config.registration.domains, ["xn--bcher-kva.example"]);
}

#[test]
fn a_captcha_vendor_needs_its_secret_and_a_page_its_key() {
    let vendor = |name: &str, more: &str| {
        toml(&format!("public_url = 'https://A.example:8443'\ncaptcha.provider = '{name}'\n{more}"))
    };
    for name in ["turnstile", "hcaptcha", "recaptcha"] {
        assert_eq!(keys(&vendor(name, "").problems()), ["captcha.secret"]);
        let captcha = vendor(name, "captcha.secret = 's'").loaded().config.captcha;
        assert_eq!(captcha.hostnames, ["a.example"], "the host of public_url");
        assert_eq!(captcha.min_score, None);
        let page = "captcha.secret = 's'\ncaptcha.on = ['forgot']";
        assert_eq!(keys(&vendor(name, page).problems()), ["captcha.site_key"]);
    }
    let score = "captcha.secret = 's'\ncaptcha.min_score = 0.7";
    assert_eq!(vendor("recaptcha", score).loaded().config.captcha.min_score, Some(0.7));
    for name in ["turnstile", "hcaptcha"] {
        assert_eq!(keys(&vendor(name, score).problems()), ["captcha.min_score"]);
    }
    let whole = "captcha.secret = 's'\ncaptcha.min_score = 1";
    assert_eq!(vendor("recaptcha", whole).loaded().config.captcha.min_score, Some(1.0));
    for wrong in ["1.5", "-0.1", "'0.5'", "true"] {
        let text = format!("captcha.secret = 's'\ncaptcha.min_score = {wrong}");
        assert_eq!(keys(&vendor("recaptcha", &text).problems()), ["captcha.min_score"], "{wrong}");
    }
    let hosts = "captcha.secret = 's'\ncaptcha.hostnames = ['App.Example', 'localhost']";
    let captcha = vendor("turnstile", hosts).loaded().config.captcha;
    assert_eq!(captcha.hostnames, ["app.example", "localhost"]);
    let none = "captcha.secret = 's'\ncaptcha.hostnames = []";
    assert_eq!(keys(&vendor("turnstile", none).problems()), ["captcha.hostnames"]);
}

#[test]
fn whom_we_ask_is_asked_over_https_but_on_this_machine() {
    for key in ["captcha.verify_url", "password.breach_url"] {
        let given = |url: &str| {
            toml(&format!("captcha.provider = 'turnstile'\ncaptcha.secret = 's'\n{key} = '{url}'"))
        };
        for good in ["https://a.example/x", "http://127.0.0.1:1/x", "http://localhost:1"] {
            assert!(given(good).load().is_ok(), "{key} {good}");
        }
        for wrong in ["http://a.example/x", "https://u:p@a.example/", "https://a.example/?k=v"] {
            assert_eq!(keys(&given(wrong).problems()), [key], "{wrong}");
        }
    }
}

#[test]
fn what_changes_nothing_is_a_warning() {
    for (text, key) in [
        ("registration.domains = ['a.example']", "registration.domains"),
        ("captcha.secret = 'x'", "captcha.secret"),
        ("captcha.fallback = 'altcha'", "captcha.fallback"),
        ("captcha.hostnames = ['a.example']", "captcha.hostnames"),
        ("captcha.min_score = 0.5", "captcha.min_score"),
        ("verification.ttl = '5d'", "registration.unverified_ttl"),
    ] {
        assert_eq!(keys(&toml(text).loaded().warnings), [key], "{text}");
    }
}

#[test]
fn a_public_url_is_scheme_and_host() {
    for good in ["https://a.example", "http://localhost:8080/", "https://[2001:db8::1]:8443"] {
        assert!(toml(&format!("public_url = '{good}'")).load().is_ok(), "{good}");
    }
    for wrong in [
        "auth.example.com",
        "ftp://a.example",
        "https://",
        "https://a.example/auth",
        "https://a.example//",
        "https://a.example?x",
        "https://a.example#x",
        "https://u@a.example",
        "https://a.example:99999",
    ] {
        assert_eq!(
            keys(&toml(&format!("public_url = '{wrong}'")).problems()),
            ["public_url"],
            "{wrong}"
        );
    }
}

#[test]
fn urls_have_the_schemes_that_are_known() {
    for (key, good, wrong) in [
        ("DATABASE__URL", "sqlite://x.db", "mysql://db/x"),
        ("REDIS__URL", "redis+cluster://a:1,b:2", "valkey://a"),
        ("REDIS__URL", "rediss://:p@a:1/0", "redis://"),
        ("MAIL__SMTP_URL", "smtp://u:p@a:25?tls=required", "mail.example.com:25"),
    ] {
        let name = format!("LATCHKEY_{key}");
        assert!(variable(&name, good).load().is_ok(), "{good}");
        assert_eq!(variable(&name, wrong).problems().len(), 1, "{wrong}");
    }
}
