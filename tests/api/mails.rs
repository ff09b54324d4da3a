//! Tests of the mails that arrive: their recipients, texts and links. A mail must not contain any
//! text from an anonymous client.

use crate::app::{PUBLIC_URL, both};

const LINK_HOST: &str = "Bring me to https://evil.example now";

both!(a_mail_to_an_unproven_address_says_nothing_that_a_stranger_chose, async |app| {
    let client = app.anonymous().header("user-agent", "Mozilla/5.0 (evil.example) Firefox/1 Linux");
    let body = serde_json::json!({
        "email": "ada@example.org", "password": "correct horse battery", "name": LINK_HOST,
    });
    client.post_json("/api/register", body).await.expect(200);
    app.anonymous().forgot("ada@example.org").await.expect(200);
    for _ in 0..2 {
        let mail = app.mail_to("ada@example.org").await;
        for part in [&mail.subject, &mail.text, &mail.html] {
            assert!(!part.contains("evil.example"), "{part}");
        }
        assert!(
            mail.text.contains("Hello,\n") || mail.text.contains("Hello,\r\n"),
            "{}",
            mail.text
        );
        assert!(mail.text.contains("127.0.0.1"), "{}", mail.text);
        assert!(
            mail.text.contains("Firefox, Linux") || mail.subject.contains("password"),
            "{}",
            mail.text
        );
    }
});

both!(a_proven_address_is_called_by_name_in_safe_html, async |app| {
    let mut person = app.verified("ada@example.org").await;
    let body = serde_json::json!({ "name": "Ada <b>&\"'" });
    person.as_user().json(hyper::Method::PATCH, "/api/me", body).await.expect(200);
    person.change_password("a quite new password").await.expect(200);
    let mail = app.mail_to("ada@example.org").await;
    assert!(mail.text.contains("Hello Ada <b>&\"',"), "{}", mail.text);
    assert!(!mail.html.contains("Ada <b>"), "{}", mail.html);
    assert!(mail.from.contains("auth@latchkey.test"), "{}", mail.from);
});

both!(a_link_stands_alone_in_the_text_and_is_built_on_the_public_url, async |app| {
    // The link must not depend on the Host header or on a header of an untrusted proxy.
    let client = app
        .anonymous()
        .header("x-forwarded-host", "evil.example")
        .header("x-forwarded-proto", "ftp")
        .header("forwarded", "host=evil.example");
    let body = serde_json::json!({
        "email": "ada@example.org", "password": "correct horse battery", "name": "Ada",
    });
    client.post_json("/api/register", body).await.expect(200);
    let mail = app.mail_to("ada@example.org").await;
    let link = format!("{PUBLIC_URL}/verify-email?token={}", mail.token());
    assert_eq!(mail.link.as_deref(), Some(link.as_str()));
    assert_eq!(mail.text.lines().filter(|line| line.contains("http")).count(), 1, "{}", mail.text);
    assert!(mail.html.contains(&link), "{}", mail.html);
    assert!(!mail.html.contains("<img") && !mail.html.contains("<script"), "{}", mail.html);
    assert!(!mail.text.contains("evil") && !mail.html.contains("evil"));
});

both!(a_mail_speaks_the_readers_language, async |app| {
    let client = app.anonymous().header("accept-language", "de-CH,de;q=0.9,en;q=0.5");
    let body = serde_json::json!({
        "email": "ada@example.org", "password": "correct horse battery", "name": "Ada",
    });
    client.post_json("/api/register", body).await.expect(200);
    let mail = app.mail_to("ada@example.org").await;
    assert!(mail.html.contains("lang=\"de\""), "{}", mail.html);
    let english = app.register("eve@example.org").await;
    assert!(app.mail_to(&english.email).await.html.contains("lang=\"en\""));
});

both!(mail_goes_to_the_stored_address_alone, async |app| {
    app.register("Ada@example.org").await;
    app.mail_to("Ada@example.org").await;
    app.anonymous().forgot("aDA@EXAMPLE.org").await.expect(200);
    let mail = app.mail_to("Ada@example.org").await;
    assert!(mail.to.starts_with("Ada@"), "{}", mail.to);
});
