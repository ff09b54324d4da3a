//! Tests of `GET /api/exist-email/{email}`, which reveals by design whether an account exists. The
//! operator can limit the endpoint, require a captcha for it, or switch it off.

use serde_json::json;

use crate::app::both;
use crate::ask::{broken_rules, solved_captcha};
use crate::client::encoded;

both!(it_says_whether_an_address_has_an_account, async |app| {
    app.register("Ada+tag@bücher.example").await;
    let anonymous = app.anonymous();
    for same in ["Ada+tag@bücher.example", "ADA+TAG@xn--bcher-kva.example"] {
        let answer = anonymous.exists(same).await.expect(200);
        assert_eq!(answer.json(), json!(true));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    assert_eq!(anonymous.exists("ada@bücher.example").await.expect(200).json(), json!(false));
    // A plus sign in a path means a plus sign and not a space.
    let plain = anonymous.get("/api/exist-email/ada+tag@xn--bcher-kva.example").await.expect(200);
    assert_eq!(plain.json(), json!(true));
    assert_eq!(anonymous.get("/api/exist-email/nobody@example.org").await.json(), json!(false));
});

both!(what_is_no_address_is_a_422, async |app| {
    let answer = app.anonymous().exists("no address").await;
    assert_eq!(broken_rules(&answer), [("/email".to_owned(), "format".to_owned())]);
    let answer = app.anonymous().get("/api/exist-email/%ff@example.org").await;
    assert_eq!(broken_rules(&answer), [("/email".to_owned(), "format".to_owned())]);
});

both!(it_can_be_off, ["registration.expose_existence" = "off"], async |app| {
    app.register("ada@example.org").await;
    for email in ["ada@example.org", "nobody@example.org", "no address"] {
        app.anonymous().exists(email).await.expect_problem(404, "not-found");
    }
});

both!(it_can_need_a_captcha, ["registration.expose_existence" = "captcha"], async |app| {
    app.register("ada@example.org").await;
    let anonymous = app.anonymous();
    anonymous.exists("ada@example.org").await.expect_problem(400, "captcha-invalid");
    anonymous.exists("nobody@example.org").await.expect_problem(400, "captcha-invalid");
    anonymous.exists("no address").await.expect(422);
    let captcha = encoded(&solved_captcha(app).await);
    let path = format!("/api/exist-email/ada@example.org?captcha={captcha}");
    assert_eq!(anonymous.get(&path).await.expect(200).json(), json!(true));
    anonymous.get(&path).await.expect_problem(400, "captcha-invalid");
});
