//! Tests of the forms of the pages that another website sends with the browser of its visitor.

use latchkey::http::router::{ROUTES, RouteMethod};

use crate::app::{PUBLIC_URL, TestApp, both};
use crate::client::Answer;

/// An origin that the tests put on the list `http.cors_origins`.
const LISTED: &str = "https://app.example";

type Headers<'a> = &'a [(&'a str, &'a str)];

async fn send(app: &TestApp, path: &str, headers: Headers<'_>, fields: &[(&str, &str)]) -> Answer {
    let mut client = app.anonymous().0;
    for (name, value) in headers {
        client = client.header(name, value);
    }
    client.post_form(path, fields).await
}

fn forms() -> Vec<&'static str> {
    let forms = ROUTES
        .iter()
        .filter(|route| route.method == RouteMethod::Post && route.operation.is_none());
    forms.map(|route| route.path).collect()
}

/// Headers of browsers. `own` is the origin of the daemon's address.
fn refused(own: &str) -> Vec<Vec<(&str, &str)>> {
    vec![
        vec![("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-site")],
        vec![("sec-fetch-site", "cross-site"), ("origin", "null")],
        vec![("sec-fetch-site", "cross-site"), ("origin", PUBLIC_URL)],
        vec![("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-origin")],
        vec![("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")],
        vec![("origin", "https://evil.example")],
        vec![("origin", "https://latchkey.test.evil.example")],
        vec![("origin", "http://latchkey.test")],
        vec![("origin", "https://latchkey.test:8443")],
        vec![("origin", "https://app.example.evil.example"), ("sec-fetch-site", "cross-site")],
        vec![("origin", LISTED), ("origin", "https://evil.example")],
        vec![("origin", "")],
        vec![("origin", "evil"), ("sec-fetch-site", "a-word-of-the-future")],
        vec![("origin", own), ("sec-fetch-site", "same-site")],
        // `public_url` is https, so the host of the request does not show that a page is ours.
        vec![("origin", own)],
        vec![("origin", PUBLIC_URL), ("sec-fetch-site", "a-word-of-the-future")],
        vec![("sec-fetch-site", "Same-Origin")],
        vec![("sec-fetch-site", "")],
    ]
}

both!(a_form_of_another_site_is_refused_on_every_page, async |app| {
    let own = format!("http://{}", app.public_addr());
    assert!(forms().len() >= 4, "{:?}", forms());
    for path in forms() {
        for headers in refused(&own) {
            let answer = send(app, path, &headers, &[("token", "x")]).await;
            assert_eq!(answer.status, 403, "{path} {headers:?}");
            assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
            let text = answer.text();
            assert!(text.contains("Another website sent this form"), "{path} {headers:?}: {text}");
            assert!(text.contains(&format!("{PUBLIC_URL}/reset-password")), "{text}");
        }
    }
});

both!(a_form_of_another_site_mails_and_changes_nothing, async |app| {
    let person = app.verified("ada@example.org").await;
    let foreign: Headers<'_> = &[("sec-fetch-site", "cross-site"), ("origin", "null")];
    let request = [("action", "request"), ("email", person.email.as_str())];
    send(app, "/reset-password", foreign, &request).await.expect(403);
    app.no_mail_to(&person.email).await;
    app.anonymous().forgot(&person.email).await.expect(200);
    let token = app.mail_to(&person.email).await.token().to_owned();
    let reset = [("token", token.as_str()), ("newPassword", "a quite new password")];
    send(app, "/reset-password", foreign, &reset).await.expect(403);
    person.me().await.expect(200);
    let own: Headers<'_> = &[("sec-fetch-site", "same-origin"), ("origin", "null")];
    send(app, "/reset-password", own, &reset).await.expect(200);
    person.me().await.expect(401);
});

both!(
    the_forms_of_our_own_pages_and_of_listed_origins_are_accepted,
    ["http.cors_origins" = "https://app.example"],
    async |app| {
        let accepted: Vec<Vec<(&str, &str)>> = vec![
            vec![],
            vec![("sec-fetch-site", "same-origin"), ("origin", PUBLIC_URL)],
            // A proxy changed the scheme or the host, or the user opened another name of latchkey.
            vec![("sec-fetch-site", "same-origin"), ("origin", "http://latchkey.test")],
            vec![("sec-fetch-site", "none"), ("origin", "null")],
            // Browsers send `null` for our own pages, because these have no referrer.
            vec![("sec-fetch-site", "same-origin"), ("origin", "null")],
            vec![("origin", "null")],
            vec![("origin", PUBLIC_URL)],
            vec![("origin", LISTED), ("sec-fetch-site", "cross-site")],
            vec![("origin", LISTED)],
        ];
        for path in forms() {
            for headers in &accepted {
                let answer = send(app, path, headers, &[("token", "x")]).await;
                assert_eq!(answer.status, 400, "{path} {headers:?}: {}", answer.text());
            }
        }
    }
);

both!(
    with_a_plain_http_public_url_the_host_of_the_request_is_enough,
    ["public_url" = "http://127.0.0.1:8080"],
    async |app| {
        let own = format!("http://{}", app.public_addr());
        for path in forms() {
            for (origin, status) in
                [(own.as_str(), 400), ("http://127.0.0.1:8080", 400), ("http://evil.example", 403)]
            {
                let answer = send(app, path, &[("origin", origin)], &[("token", "x")]).await;
                assert_eq!(answer.status, status, "{path} {origin}: {}", answer.text());
            }
        }
    }
);
