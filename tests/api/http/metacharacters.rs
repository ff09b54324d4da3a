//! Tests that characters with a meaning in SQL, Redis, paths or templates have no special meaning
//! in latchkey (ASVS 1.2.4). The tests put them into the path, the query and the body of every
//! route.

use hyper::Method;
use latchkey::http::router::{ROUTES, RouteMethod};
use serde_json::{Value, json};

use crate::app::both;
use crate::client::encoded;

const TEXTS: [&str; 20] = [
    "'",
    "\"",
    "`",
    "\\",
    "' OR '1'='1",
    "') OR 1=1 --",
    "'; DROP TABLE users; --",
    "1; SELECT version()--",
    "1 UNION SELECT NULL--",
    "%",
    "_",
    "*",
    "?1",
    "$1",
    ":id",
    "a\0b",
    "\u{2019} OR 1=1",
    "../../etc/passwd",
    "{{7*7}}",
    "}}:*\r\nFLUSHALL\r\n",
];
/// Texts in the errors of databases and libraries. A response with such a text shows that another
/// parser than latchkey's has read the input.
const LEAKS: [&str; 6] = ["syntax error", "sqlite", "sqlx", "postgres", "sea_orm", "redis"];
/// The minimum number of requests that the test must send.
const REQUESTS_MIN: usize = 2_000;

/// Returns a body with every member that the API knows. Each member has this text as its value.
fn body(text: &str) -> Value {
    let names = [
        "email",
        "password",
        "newPassword",
        "name",
        "token",
        "captcha",
        "slug",
        "role",
        "projectId",
        "challenge",
        "method",
        "code",
        "trustDevice",
    ];
    names.into_iter().map(|name| (name.to_owned(), json!(text))).collect()
}

both!(sql_and_other_languages_are_text_everywhere, async |app| {
    let person = app.verified("ada@text.example").await;
    let mut asked = 0;
    // Routes that end the user's session are left out, because all later requests would get a 401.
    let open = ROUTES.iter().filter(|route| {
        route.method != RouteMethod::Any
            && route.path != "/api/logout"
            && !route.path.starts_with("/dev/")
    });
    for route in open {
        let method: Method = route.method.name().parse().expect("a method");
        for text in TEXTS {
            let value = encoded(text);
            let mut path = route.path.to_owned();
            while let (Some(from), Some(to)) = (path.find('{'), path.find('}')) {
                path.replace_range(from..=to, &value);
            }
            let query = ["cursor", "limit", "captcha", "team", "scope", "token"]
                .map(|name| format!("{name}={value}"))
                .join("&");
            let user = person.as_user();
            let mut answers = vec![
                user.bare(method.clone(), &format!("{path}?{query}")).await,
                user.json(method.clone(), &path, body(text)).await,
            ];
            if method == Method::POST {
                let form = [("token", text), ("password", text), ("token_type_hint", text)];
                answers.push(user.post_form(&path, &form).await);
            }
            for answer in answers {
                let (status, name) = (answer.status, format!("{method} {path} with {text:?}"));
                assert!(status < 500, "{name}: {status}");
                asked += 1;
                if answer.header("content-type") == Some("application/problem+json") {
                    let told = answer.text().to_lowercase();
                    let leak = LEAKS.iter().find(|leak| told.contains(**leak));
                    assert_eq!(leak, None, "{name}: {told}");
                }
            }
        }
    }
    println!("{asked} requests");
    assert!(asked >= REQUESTS_MIN, "{asked}");
    // Such a text is also a valid name of a user. The response must return it unchanged.
    for text in TEXTS.iter().filter(|text| !text.contains(char::is_control)) {
        let user = person.as_user();
        let renamed = user.json(Method::PATCH, "/api/me", json!({ "name": text })).await;
        assert_eq!(renamed.expect(200).json()["name"], *text);
    }
    assert_eq!(person.me().await.expect(200).json()["email"], "ada@text.example");
});
