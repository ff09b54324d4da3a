//! Tests of the settings of passkeys.

use super::{Problem, keys, toml};

#[test]
fn passkeys_belong_to_the_host_of_public_url() {
    for (url, domain, origin) in [
        ("https://auth.example.com", "auth.example.com", "https://auth.example.com"),
        ("https://Auth.Example.com:443", "auth.example.com", "https://auth.example.com"),
        (
            "https://Bücher.example:8443",
            "xn--bcher-kva.example",
            "https://xn--bcher-kva.example:8443",
        ),
        ("http://127.0.0.1:8080", "localhost", "http://localhost:8080"),
        ("http://[::1]:8080", "localhost", "http://localhost:8080"),
        ("http://localhost", "localhost", "http://localhost"),
        ("http://app.localhost:3000", "app.localhost", "http://app.localhost:3000"),
    ] {
        let config = toml(&format!("public_url = '{url}'")).loaded().config;
        assert_eq!(config.passkey_domain(), Some(domain), "{url}");
        assert_eq!(config.webauthn.origins, [origin], "{url}");
    }
    let config = toml("").loaded().config;
    assert_eq!(config.passkey_domain(), Some("localhost"));
    assert_eq!(config.webauthn.origins, ["http://localhost:8080"]);
    let with_pages = "public_url = 'https://auth.example.com'\n\
         http.cors_origins = ['https://app.example.com', 'https://auth.example.com']";
    let config = toml(with_pages).loaded().config;
    assert_eq!(config.webauthn.origins, ["https://auth.example.com", "https://app.example.com"]);
}

#[test]
fn passkeys_are_off_on_the_ip_address_of_another_machine() {
    for url in ["http://192.0.2.7:8080", "https://[2001:db8::1]", "http://0.0.0.0:8080"] {
        for (given, key) in [
            ("", None),
            ("webauthn.rp_id = 'example.com'", Some("webauthn.rp_id")),
            ("webauthn.origins = ['https://example.com']", Some("webauthn.origins")),
        ] {
            let loaded = toml(&format!("public_url = '{url}'\n{given}")).loaded();
            assert_eq!(loaded.config.passkey_domain(), None, "{url}");
            let of_passkeys = |it: &&Problem| it.what.contains("passkeys");
            let warnings: Vec<&Problem> = loaded.warnings.iter().filter(of_passkeys).collect();
            let what = "turns passkeys off, because it is an IP address (in latchkey.toml:1), so \
                        their routes respond with 404";
            assert_eq!((warnings[0].key.as_str(), warnings[0].what.as_str()), ("public_url", what));
            assert!(warnings[0].fix.contains("a URL with a domain name"), "{:?}", warnings[0]);
            let others: Vec<&str> = warnings[1..].iter().map(|it| it.key.as_str()).collect();
            assert_eq!(others, Vec::from_iter(key), "only settings that somebody set");
        }
    }
}

#[test]
fn a_warning_names_its_source_beside_the_value() {
    let given = toml("public_url = 'https://auth.example.com'");
    let loaded = given.flag("webauthn.rp_id=example.net").loaded();
    let found = loaded.warnings.iter().find(|it| it.key == "webauthn.rp_id").expect("a warning");
    assert_eq!(
        found.what,
        "is example.net (with --set), which is not the domain of https://auth.example.com: browsers \
         ask https://example.net/.well-known/webauthn whether these pages may use the passkeys"
    );
}

#[test]
fn a_domain_that_no_page_has_is_warned_of() {
    let warned = |text: &str| {
        let text = format!("public_url = 'https://auth.example.com'\n{text}");
        keys(&toml(&text).loaded().warnings).contains(&"webauthn.rp_id")
    };
    assert!(!warned("webauthn.rp_id = 'example.com'"));
    assert!(!warned("webauthn.origins = ['https://shop.example.net']"));
    assert!(warned("webauthn.rp_id = 'example.net'"));
    assert!(warned("webauthn.rp_id = 'uth.example.com'"));
    let both = "webauthn.rp_id = 'example.com'\nwebauthn.origins = ['https://shop.example.net']";
    assert!(warned(both));
}

#[test]
fn what_is_no_domain_and_no_origin_is_refused() {
    for domain in ["https://example.com", "example.com:443", "192.0.2.7", "[::1]", "a b"] {
        let problems = toml(&format!("webauthn.rp_id = '{domain}'")).problems();
        assert_eq!(keys(&problems), ["webauthn.rp_id"], "{domain}");
    }
    let hash = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
    let good =
        format!("webauthn.origins = ['android:apk-key-hash:{hash}', 'http://localhost:3000']");
    assert_eq!(toml(&good).loaded().config.webauthn.origins.len(), 2);
    for origin in [
        "http://app.example.com",
        "https://app.example.com/login",
        "https://*.example.com",
        "null",
        "android:apk-key-hash:AAAA",
        "android:apk-key-hash:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "ios:bundle-id:com.example",
    ] {
        let problems = toml(&format!("webauthn.origins = ['{origin}']")).problems();
        assert_eq!(keys(&problems), ["webauthn.origins"], "{origin}");
    }
}
