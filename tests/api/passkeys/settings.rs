//! Tests of the settings of passkeys, and of the pages and apps on which passkeys work.

use serde_json::json;

use super::callers::{as_is, holder, log_in, login_options};
use crate::app::both;

const ADA: &str = "ada@example.org";
const ANDROID: &str = "android:apk-key-hash:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";

both!(
    every_listed_origin_may_use_a_passkey_and_no_other_one,
    [
        "webauthn.origins" = "https://latchkey.test,https://Shop.Example.net:443,android:apk-key-hash:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
    ],
    async |app| {
        let mut user = holder(app, ADA).await;
        let client = &app.anonymous().0;
        let listed = client.get("/.well-known/webauthn").await.expect(200);
        assert_eq!(listed.header("content-type"), Some("application/json"));
        let origins = ["https://latchkey.test", "https://shop.example.net"];
        assert_eq!(listed.json(), json!({ "origins": origins }));
        for (origin, status) in [
            ("https://latchkey.test", 200),
            ("https://shop.example.net", 200),
            (ANDROID, 200),
            ("https://latchkey.test:443", 401),
            ("https://LATCHKEY.test", 401),
            ("https://latchkey.test/", 401),
            ("https://latchkey.test@evil.example", 401),
            ("https://x.latchkey.test", 401),
            ("http://latchkey.test", 401),
            ("https://example.net", 401),
            ("android:apk-key-hash:AAAA", 401),
            ("null", 401),
            ("", 401),
        ] {
            origin.clone_into(&mut user.passkey.origin);
            let answer = log_in(client, &user.passkey, as_is).await;
            assert_eq!(answer.status, status, "{origin}");
        }
        app.mail_to(ADA).await;
    }
);

both!(
    where_public_url_is_an_ip_address_the_routes_do_not_exist,
    ["public_url" = "https://192.0.2.7"],
    async |app| {
        let mut person = app.verified(ADA).await;
        person.login().await.expect(200);
        for path in ["/api/me/passkeys/options", "/api/me/passkeys", "/api/step-up/options"] {
            let answer = person.as_user().post_json(path, json!({})).await;
            answer.expect_problem(404, "not-found");
        }
        let client = &app.anonymous().0;
        login_options(client, json!({})).await.expect_problem(404, "not-found");
        let answer = client.post_json("/api/login/passkey", json!({})).await;
        answer.expect_problem(404, "not-found");
        client.get("/.well-known/webauthn").await.expect_problem(404, "not-found");
    }
);

both!(
    on_a_loopback_address_the_domain_is_localhost,
    ["public_url" = "http://127.0.0.1:8080"],
    async |app| {
        let client = &app.anonymous().0;
        let options = login_options(client, json!({})).await.expect(200).json();
        assert_eq!(options["publicKey"]["rpId"], "localhost");
        let listed = client.get("/.well-known/webauthn").await.expect(200).json();
        assert_eq!(listed, json!({ "origins": ["http://localhost:8080"] }));
    }
);

both!(a_login_offers_no_passkey_where_passkeys_are_off, async |app| {
    let user = holder(app, ADA).await;
    let moved = app.replica_with(&[("public_url", "https://192.0.2.7")]).await;
    let answer = moved.anonymous().login(ADA, &user.person.password).await;
    let problem = answer.expect_problem(401, "factor-required").json();
    assert_eq!(problem["methods"], json!(["recovery-code"]));
    moved.finish().await;
});
