//! Tests of the import of accounts with second factors.

use std::fs;

use serde_json::{Value, json};

use super::Place;
use super::factors::{exported, now};
use super::users::{on_servers, value};
use crate::client::Person;
use crate::factor_lifecycle::{Authenticator, challenge, login_factor};

const EMAIL: &str = "ada@work.example";
const ADDED: &str = "2024-02-03T04:05:06.000Z";
/// The secret of the test vectors in RFC 6238, appendix B.
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

struct Told {
    /// The counts of imported accounts, of refused lines and of accounts without their factors.
    counts: [u64; 3],
    errors: String,
}

/// Imports these lines. A dry run before the import must print the same.
fn import(place: &Place, lines: &[Value], arguments: &[&str]) -> Told {
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    fs::write(place.path("people.jsonl"), text.join("\n")).expect("written");
    let run = |more: &[&str]| {
        let all = [&["users", "import", "people.jsonl", "--json"], arguments, more].concat();
        let ended = place.run(&all);
        let told = value(&ended.stdout());
        let counts = ["imported", "refused", "withoutFactors"]
            .map(|name| told[name].as_u64().expect("a number"));
        let ended = ended.expect(i32::from(counts[1] > 0));
        Told { counts, errors: ended.stderr() }
    };
    let dry = run(&["--dry-run"]);
    let wet = run(&[]);
    assert_eq!((dry.counts, &dry.errors), (wet.counts, &wet.errors));
    wet
}

fn line(email: &str, factors: &Value) -> Value {
    let hash = "$2y$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui";
    json!({
        "email": email, "name": "Ada", "passwordHash": hash, "emailVerified": true,
        "factors": factors,
    })
}

fn totp(secret: Option<&str>) -> Value {
    let mut totp = json!({ "kind": "totp", "name": "Phone", "createdAt": ADDED });
    if let Some(secret) = secret {
        totp["secret"] = json!(secret);
    }
    totp
}

async fn an_import_brings_totp_secrets(mut place: Place) {
    let running = place.start().await;
    // The account of this hash comes from a real password, so the test sets one by an export.
    let grace = Person::register(&running.client, "grace@work.example").await;
    let mail = running.mail_to("grace@work.example", 0).await;
    running.anonymous().verify(mail.token()).await.expect(200);
    let hash = exported(&place)["passwordHash"].clone();
    let mut ada = line(EMAIL, &json!([totp(Some(SECRET))]));
    ada["passwordHash"] = hash;
    let passkey = json!({ "kind": "passkey", "name": "Laptop" });
    let lines = [
        ada.clone(),
        line("bob@work.example", &json!([totp(None)])),
        line("eve@work.example", &json!([passkey, totp(Some("gezdgnbvgy3tqojqgezdgnbvgy======"))])),
        line("kim@work.example", &json!([])),
    ];
    let told = import(&place, &lines, &["--with-totp-secrets"]);
    assert_eq!(told.counts, [4, 0, 2], "{}", told.errors);

    let asked = challenge(&running.client, EMAIL, &grace.password).await;
    let authenticator = Authenticator::new(SECRET);
    let entered = login_factor(&running.client, &asked, &authenticator.code_at(now())).await;
    let tokens = entered.tokens();
    let user = running.client.bearer(&tokens.user);
    let listed = user.get("/api/me/factors").await.expect(200).json();
    let factor = &listed["items"][0];
    assert_eq!((&factor["name"], &factor["createdAt"]), (&json!("Phone"), &json!(ADDED)));
    assert_eq!(listed["recoveryCodesLeft"], 0);
    user.post_json("/api/me/recovery-codes", json!({})).await.expect(200);
    let text = place.run(&["users", "export"]).expect(0).stdout();
    assert!(!text.contains("secret") && !text.contains(SECRET), "{text}");
    // The same file without the secrets describes the same accounts.
    assert_eq!(import(&place, &lines, &[]).counts, [0, 0, 0]);
    running.stop().await;
}

#[tokio::test]
async fn an_import_brings_totp_secrets_embedded() {
    an_import_brings_totp_secrets(Place::new().set("secrets.master_key", &"A".repeat(43))).await;
}

#[tokio::test]
async fn an_import_brings_totp_secrets_on_servers() {
    let (place, _database) = on_servers().await;
    an_import_brings_totp_secrets(place).await;
}

#[tokio::test]
async fn an_import_says_which_accounts_came_without_their_factors_embedded() {
    let place = Place::new().set("secrets.master_key", &"A".repeat(43));
    place.run(&["migrate", "up"]).expect(0);
    let lines = [
        line("a@work.example", &json!([totp(None)])),
        line("b@work.example", &json!([totp(Some(SECRET))])),
        line("c@work.example", &json!(null)),
    ];
    assert_eq!(import(&place, &lines, &[]).counts, [3, 0, 2]);
    let shown =
        value(&place.run(&["users", "show", "b@work.example", "--json"]).expect(0).stdout());
    assert_eq!(shown["factors"], json!([]));
    fs::write(place.path("more.jsonl"), line("d@work.example", &json!([totp(None)])).to_string())
        .expect("written");
    let told = place.run(&["users", "import", "more.jsonl"]).expect(0).stderr();
    assert!(told.contains("1 of them without some or all of their second factors"), "{told}");
}

#[tokio::test]
async fn a_wrong_factor_in_a_line_is_refused_and_its_secret_never_told_embedded() {
    let place = Place::new().set("secrets.master_key", &"A".repeat(43));
    place.run(&["migrate", "up"]).expect(0);
    let with = |member: &str, value: Value| {
        let mut factor = totp(Some(SECRET));
        factor[member] = value;
        json!([factor])
    };
    for (factors, word) in [
        (with("secret", json!("not base32 at all!")), "base32"),
        (with("secret", json!("GEZDGNBVGY3TQOJQ")), "16 to 64 bytes"),
        (with("secret", json!(7)), "wrong type"),
        (with("kind", json!("sms")), "neither"),
        (with("kind", json!("passkey")), "only a factor of the kind"),
        (with("name", json!("")), "name"),
        (with("createdAt", json!("yesterday")), "RFC 3339"),
        (with("createdAt", json!("1969-12-31T23:59:59Z")), "1970"),
        (with("GEZDGNBV", json!(1)), "unknown member"),
        (json!([totp(Some(SECRET)), totp(None)]), "at most one"),
        (json!(vec![json!({ "kind": "passkey", "name": "Key" }); 11]), "more than 10"),
        (json!("none"), "wrong type"),
    ] {
        let lines = [line("ada@work.example", &factors)];
        for arguments in [&[][..], &["--with-totp-secrets"]] {
            let told = import(&place, &lines, arguments);
            assert_eq!(told.counts, [0, 1, 0], "{factors}");
            assert!(told.errors.contains(word), "{word}: {}", told.errors);
            assert!(!told.errors.contains("GEZDGNBV"), "{}", told.errors);
        }
    }
}
