//! Tests of the exact claims of both tokens. They also check that a token of one kind is never
//! accepted as a token of the other kind.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::app::{PUBLIC_URL, both};
use crate::client::{claims, jose_header};

fn names(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

const USER: [&str; 15] = [
    "acr",
    "amr",
    "aud",
    "auth_time",
    "email",
    "email_verified",
    "exp",
    "gen",
    "iat",
    "iss",
    "jti",
    "name",
    "nbf",
    "sid",
    "sub",
];

both!(claims_before_the_address_is_proven, async |app| {
    let person = app.register("Ada@example.org").await;
    let now = app.clock.now_seconds();
    let user = claims(&person.user_token);
    assert_eq!(names(&user), USER);
    assert_eq!((&user["iss"], &user["aud"]), (&json!(PUBLIC_URL), &json!(PUBLIC_URL)));
    assert_eq!(user["email"], "Ada@example.org");
    assert_eq!(user["email_verified"], false);
    assert_eq!(user["name"], "Ada Lovelace");
    assert_eq!(user["gen"], 0);
    assert_eq!(user["amr"], json!(["pwd"]));
    for (name, at) in [("iat", now), ("nbf", now), ("auth_time", now), ("exp", now + 15 * 60)] {
        assert_eq!(user[name], at, "{name}");
    }
    let vault = claims(&person.vault_token);
    let expected = [
        "acr",
        "amr",
        "aud",
        "auth_time",
        "client_id",
        "exp",
        "iat",
        "iss",
        "jti",
        "nbf",
        "scope",
        "sid",
        "sub",
    ];
    assert_eq!(names(&vault), expected);
    for name in ["acr", "amr", "auth_time"] {
        assert_eq!(vault[name], user[name], "{name}");
    }
    assert_eq!(vault["scope"], "");
    assert_eq!(vault["client_id"], "latchkey");
    assert_eq!((&vault["iss"], &vault["aud"]), (&json!(PUBLIC_URL), &json!("vault")));
    assert_eq!(vault["exp"], now + 5 * 60);
    assert_eq!((&vault["sub"], &vault["sid"]), (&user["sub"], &user["sid"]));
    assert_ne!(vault["jti"], user["jti"]);
});

both!(claims_after_the_address_is_proven, async |app| {
    let person = app.verified("ada@example.org").await;
    let user = claims(&person.user_token);
    assert_eq!(names(&user), USER);
    assert_eq!(user["email_verified"], true);
    assert_eq!(user["amr"], json!(["email"]));
    let vault = claims(&person.vault_token);
    let expected = [
        "acr",
        "amr",
        "aud",
        "auth_time",
        "client_id",
        "exp",
        "iat",
        "iss",
        "jti",
        "mep",
        "nbf",
        "pid",
        "role",
        "scope",
        "sid",
        "sub",
        "tid",
    ];
    assert_eq!(names(&vault), expected);
    assert_eq!(vault["role"], "owner");
    assert!(vault["mep"].is_i64());
    let scopes: Vec<&str> = vault["scope"].as_str().expect("a text").split(' ').collect();
    assert!(scopes.contains(&"vault:read") && scopes.contains(&"team:own"), "{scopes:?}");
});

both!(headers_say_type_algorithm_and_key, async |app| {
    let person = app.verified("ada@example.org").await;
    let (user, vault) = (jose_header(&person.user_token), jose_header(&person.vault_token));
    assert_eq!(names(&user), ["alg", "kid", "typ"]);
    assert_eq!((&user["typ"], &user["alg"]), (&json!("user+jwt"), &json!("HS256")));
    assert_eq!((&vault["typ"], &vault["alg"]), (&json!("at+jwt"), &json!("ES256")));
    let keys = app.anonymous().get("/.well-known/jwks.json").await.expect(200).json();
    let kids: Vec<&Value> =
        keys["keys"].as_array().expect("keys").iter().map(|key| &key["kid"]).collect();
    assert!(kids.contains(&&vault["kid"]) && !kids.contains(&&user["kid"]), "{keys}");
});

both!(a_token_with_another_header_or_claim_is_nobodys, async |app| {
    let person = app.verified("ada@example.org").await;
    let parts: Vec<&str> = person.user_token.split('.').collect();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut header = jose_header(&person.user_token);
    let mut payload = claims(&person.user_token);
    payload["email"] = json!("eve@example.org");
    let mut tokens = vec![
        format!("{}.{}.{}", parts[0], encode(&payload), parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}=", person.user_token),
        format!("{} ", person.user_token.replace('.', " .")),
    ];
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("ES256")),
        ("typ", json!("JWT")),
        ("typ", json!("at+jwt")),
        ("kid", json!("../../etc/passwd")),
        ("jku", json!("https://evil.example/jwks.json")),
        ("crit", json!(["exp"])),
    ] {
        let mut other = header.clone();
        other[name] = value;
        tokens.push(format!("{}.{}.{}", encode(&other), parts[1], parts[2]));
    }
    header["typ"] = json!("user+jwt");
    let vault: Vec<&str> = person.vault_token.split('.').collect();
    tokens.push(format!("{}.{}.{}", encode(&header), vault[1], vault[2]));
    for token in tokens {
        app.anonymous().bearer(&token).get("/api/me").await.expect_problem(401, "invalid-token");
    }
    person.me().await.expect(200);
});

both!(
    lifetimes_and_audience_are_settings,
    [
        "tokens.user_ttl" = "1h",
        "tokens.vault_ttl" = "2m",
        "tokens.audience" = "shop",
        "tokens.algorithm" = "EdDSA"
    ],
    async |app| {
        let person = app.register("ada@example.org").await;
        let now = app.clock.now_seconds();
        assert_eq!(claims(&person.user_token)["exp"], now + 3_600);
        assert_eq!(claims(&person.vault_token)["exp"], now + 120);
        assert_eq!(claims(&person.vault_token)["aud"], "shop");
        assert_eq!(jose_header(&person.vault_token)["alg"], "EdDSA");
    }
);
