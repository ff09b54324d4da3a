//! Tests of `latchkey users import`: it imports every user, or names the line of the user that it
//! does not import.

use std::fs;

use sea_orm::{ConnectionTrait as _, Database};
use serde_json::{Value, json};

use super::Place;
use super::users::{on_servers, value};

const HASH: &str = "$2y$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui";
const OTHER_HASH: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
const ID: &str = "0197d3c1-0000-7000-8000-000000000001";
const OTHER_ID: &str = "0197d3c1-0000-7000-8000-000000000002";

fn embedded() -> Place {
    let place = Place::new().set("secrets.master_key", &"A".repeat(43));
    place.run(&["migrate", "up"]).expect(0);
    place
}

/// What one run of an import printed.
struct Told {
    /// The counts of imported, existing and refused lines.
    counts: [u64; 3],
    errors: String,
}

/// Imports these lines. A dry run before the import must print the same.
fn import(place: &Place, lines: &[Value]) -> Told {
    import_file(place, text_of(lines).as_bytes())
}

fn text_of(lines: &[Value]) -> String {
    lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
}

fn import_file(place: &Place, bytes: &[u8]) -> Told {
    fs::write(place.path("people.jsonl"), bytes).expect("written");
    let run = |arguments: &[&str]| {
        let all = [&["users", "import", "people.jsonl", "--json"], arguments].concat();
        let ended = place.run(&all);
        let told = value(&ended.stdout());
        let count = |name: &str| told[name].as_u64().expect("a number");
        let counts = ["imported", "exists", "refused"].map(count);
        let ended = ended.expect(i32::from(counts[2] > 0));
        Told { counts, errors: ended.stderr() }
    };
    let dry = run(&["--dry-run"]);
    let wet = run(&[]);
    assert_eq!((dry.counts, &dry.errors), (wet.counts, &wet.errors));
    wet
}

/// Imports pairs of lines for one email address, in one file and in two files.
fn the_second_of_two_accounts_is_refused(place: &Place) {
    let ann = json!({ "email": "Ann@shop.example", "name": "Ann", "passwordHash": HASH });
    let with = |member: &str, other: Value| {
        let mut line = ann.clone();
        line[member] = other;
        line
    };
    let lower = |mut line: Value| {
        line["email"] = json!("ann@shop.example");
        line
    };
    let others = [
        with("name", json!("Ann Two")),
        lower(with("name", json!("Ann Two"))),
        lower(ann.clone()),
        with("passwordHash", json!(OTHER_HASH)),
        with("passwordHash", Value::Null),
        with("emailVerified", json!(true)),
        with("disabled", json!(true)),
        with("id", json!(ID)),
    ];
    // A line without a hash says nothing that the account of an earlier run does not have.
    let without_hash = 4;
    for (at, other) in others.iter().enumerate() {
        let lines = [ann.clone(), other.clone()];
        let told = import(place, &lines);
        assert_eq!(told.counts, [u64::from(at == 0), u64::from(at > 0), 1], "{other}");
        let wrong = "line 2: email: the account of line 1 has it";
        assert!(told.errors.contains(wrong), "{other}: {}", told.errors);
        let told = import(place, std::slice::from_ref(other));
        if at == without_hash {
            assert_eq!(told.counts, [0, 1, 0], "{other}");
        } else {
            assert_eq!(told.counts, [0, 0, 1], "{other}");
            let wrong = "line 1: email: another account has this email address";
            assert!(told.errors.contains(wrong), "{other}: {}", told.errors);
        }
    }
    let again = import(place, &[ann.clone(), ann.clone(), ann]);
    assert_eq!(again.counts, [0, 3, 0]);

    // Both lines name the same domain.
    let wide = json!({ "email": "eve@bücher.example", "name": "Eve" });
    let ascii = json!({ "email": "eve@xn--bcher-kva.example", "name": "Eve Two" });
    assert_eq!(import(place, &[wide.clone(), ascii.clone()]).counts, [1, 0, 1]);
    assert_eq!(import(place, &[ascii]).counts, [0, 0, 1]);
    assert_eq!(import(place, &[wide]).counts, [0, 1, 0]);

    // An id means one account, also if its other members differ.
    let bob = json!({ "id": ID, "email": "bob@shop.example", "name": "Bob" });
    let renamed = json!({ "id": ID, "email": "Bob@shop.example", "name": "Robert" });
    let moved = json!({ "id": ID, "email": "robert@shop.example", "name": "Bob" });
    let other = json!({ "id": OTHER_ID, "email": "bob@shop.example", "name": "Bob" });
    let told = import(place, &[bob, renamed, moved.clone(), other.clone()]);
    assert_eq!(told.counts, [1, 1, 2]);
    assert!(told.errors.contains("line 3: id: the account of line 1 has it"), "{}", told.errors);
    assert!(told.errors.contains("line 4: email: the account of line 1 has it"));
    let told = import(place, &[moved, other]);
    assert_eq!(told.counts, [0, 0, 2]);
    assert!(told.errors.contains("line 1: id: another account has this id"), "{}", told.errors);
}

#[tokio::test]
async fn the_second_of_two_accounts_is_refused_embedded() {
    the_second_of_two_accounts_is_refused(&embedded());
}

#[tokio::test]
async fn the_second_of_two_accounts_is_refused_on_servers() {
    let (place, _database) = on_servers().await;
    the_second_of_two_accounts_is_refused(&place);
}

#[tokio::test]
async fn two_lines_of_different_batches_are_compared_embedded() {
    let place = embedded();
    let mut lines = vec![json!({ "email": "Ann@shop.example", "name": "Ann" })];
    let other = |n: u32| json!({ "email": format!("p{n}@shop.example"), "name": "P" });
    lines.extend((0..600).map(other));
    lines.push(json!({ "email": "ann@SHOP.example", "name": "Ann Two" }));
    lines.push(lines[0].clone());
    let told = import(&place, &lines);
    assert_eq!(told.counts, [601, 1, 1]);
    assert!(told.errors.contains("line 602: email: the account of line 1 has it"));
    assert_eq!(import(&place, &lines).counts, [0, 602, 1]);
}

/// Changes accounts after their import, as logins and users do. The same lines must still count as
/// imported.
async fn a_changed_account_is_recognised(mut place: Place, database: &str) {
    let line = |name: &str, created: Value| {
        let email = format!("{name}@shop.example");
        json!({ "email": email, "name": "Ann", "passwordHash": HASH, "emailVerified": true,
            "createdAt": created })
    };
    let lines = [line("ann", Value::Null), line("bob", json!("2020-02-03T04:05:06Z"))];
    assert_eq!(import(&place, &lines).counts, [2, 0, 0]);
    let running = place.start().await;
    for name in ["ann", "bob"] {
        let email = format!("{name}@shop.example");
        let password = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        let body = json!({ "email": email, "password": password });
        let tokens = running.client.post_json("/api/login", body).await.expect(200).json();
        let person = running.client.bearer(tokens["userToken"].as_str().expect("a token"));
        let name = json!({ "name": format!("{name} the second") });
        person.json(hyper::Method::PATCH, "/api/me", name).await.expect(200);
        let change = json!({ "password": password, "newPassword": "a staple of the battery" });
        person.post_json("/api/change-password", change).await.expect(200);
    }
    place.run(&["users", "disable", "ann@shop.example"]).expect(0);
    assert_eq!(import(&place, &lines).counts, [0, 2, 0]);
    running.stop().await;
    let db = Database::connect(database).await.expect("connected");
    let moved = "UPDATE users SET email = 'new.' || email, email_normal = 'new.' || email_normal";
    db.execute_unprepared(moved).await.expect("moved");
    db.close().await.expect("closed");
    assert_eq!(import(&place, &lines).counts, [0, 2, 0]);
}

#[tokio::test]
async fn a_changed_account_is_recognised_embedded() {
    let place = embedded();
    let database = format!("sqlite://{}", place.path("data/latchkey.db").display());
    a_changed_account_is_recognised(place, &database).await;
}

#[tokio::test]
async fn a_changed_account_is_recognised_on_servers() {
    let (place, database) = on_servers().await;
    a_changed_account_is_recognised(place, &database.url()).await;
}

#[tokio::test]
async fn a_registered_address_is_not_imported_in_silence_embedded() {
    let mut place = Place::new().set("secrets.master_key", &"A".repeat(43));
    let running = place.start().await;
    let body = json!({ "email": "ann@shop.example", "password": "a staple of the battery",
        "name": "Ann" });
    running.client.post_json("/api/register", body).await.expect(200);
    let line = json!({ "email": "ann@shop.example", "name": "Ann", "emailVerified": true });
    let told = import(&place, &[line]);
    assert_eq!(told.counts, [0, 0, 1]);
    assert!(told.errors.contains("another account has this email address"), "{}", told.errors);
    running.stop().await;
}

#[tokio::test]
async fn files_of_windows_and_of_psql_are_read_embedded() {
    let place = embedded();
    let line = |n: u32| {
        json!({ "email": format!("p{n}@shop.example"), "name": "P", "emailVerified": null,
            "createdAt": "2020-02-03 04:05:06+00", "passwordHash": "" })
    };
    let text = format!("\u{feff}{}\r\n\r\n{}\r\n\u{feff}\r\n\u{feff}{}", line(1), line(2), line(3));
    assert_eq!(import_file(&place, text.as_bytes()).counts, [3, 0, 0]);
    let plain = text_of(&[line(1), line(2), line(3)]);
    assert_eq!(import_file(&place, plain.as_bytes()).counts, [0, 3, 0]);

    let units = |mark: &str| format!("{mark}{plain}").encode_utf16().collect::<Vec<_>>();
    for mark in ["\u{feff}", ""] {
        let little: Vec<u8> = units(mark).iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units(mark).iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for bytes in [little, big] {
            fs::write(place.path("people.jsonl"), bytes).expect("written");
            for arguments in [&["--dry-run"][..], &[]] {
                let all = [&["users", "import", "people.jsonl"], arguments].concat();
                let told = place.run(&all).expect(1).stderr();
                assert!(told.contains("is UTF-16 and not UTF-8: convert it"), "{told}");
            }
        }
    }
}

#[tokio::test]
async fn an_unusable_password_is_imported_as_none_embedded() {
    let mut place = embedded();
    let line = |n: usize, hash: &str| {
        json!({ "email": format!("p{n}@shop.example"), "name": "P", "emailVerified": true,
            "passwordHash": hash })
    };
    let hashes = ["!", "!5vbG8KzSTVvWoJMSXWlPJ6jXnB0nqmhFpDwvQeAZ", ""];
    let lines: Vec<Value> = hashes.iter().enumerate().map(|(n, hash)| line(n, hash)).collect();
    assert_eq!(import(&place, &lines).counts, [3, 0, 0]);
    let running = place.start().await;
    for (n, hash) in hashes.iter().enumerate() {
        let email = format!("p{n}@shop.example");
        for password in [hash, "a staple of the battery"] {
            let body = json!({ "email": email, "password": password });
            running.client.post_json("/api/login", body).await.expect(401);
        }
        running
            .client
            .post_json("/api/forgot-password", json!({ "email": email }))
            .await
            .expect(200);
        let mail = running.mail_to(&email, 0).await;
        let body = json!({ "token": mail.token(), "newPassword": "a staple of the battery" });
        running.client.post_json("/api/reset-password", body).await.expect(200);
    }
    running.stop().await;
}
