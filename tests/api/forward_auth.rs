//! Tests of `GET /api/forward-auth`, and of the headers that it returns to a proxy.

use hyper::Method;

use crate::app::both;
use crate::client::{Answer, claims, encoded};

const PATH: &str = "/api/forward-auth";
const NAMES: [&str; 5] = ["Subject", "Team", "Project", "Role", "Scope"];

fn said(answer: &Answer) -> Vec<String> {
    let header = |name: &&str| answer.header(&format!("x-latchkey-{}", name.to_lowercase()));
    NAMES
        .iter()
        .map(|name| header(name).unwrap_or_else(|| panic!("no {name}")).to_owned())
        .collect()
}

both!(a_live_vault_token_passes_with_who_it_is, async |app| {
    let person = app.verified("ada@example.org").await;
    let answer = person.as_vault().get(PATH).await.expect(200);
    assert!(answer.body.is_empty());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let token = claims(&person.vault_token);
    let expected =
        ["sub", "tid", "pid", "role", "scope"].map(|name| token[name].as_str().expect("text"));
    assert_eq!(said(&answer), expected);
    let head = person.as_vault().bare(Method::HEAD, PATH).await.expect(200);
    assert_eq!(said(&head), expected);
});

both!(everything_else_is_a_401_that_says_nothing, async |app| {
    let unverified = app.register("eve@example.org").await;
    let person = app.verified("ada@example.org").await;
    let answers = [
        app.anonymous().get(PATH).await,
        unverified.as_vault().get(PATH).await,
        person.as_user().get(PATH).await,
        app.anonymous().bearer("x").get(PATH).await,
        app.anonymous().header("authorization", "Basic eDp5").get(PATH).await,
    ];
    for answer in answers {
        assert!(answer.header("www-authenticate").is_some_and(|text| text.starts_with("Bearer ")));
        assert!(NAMES.iter().all(|name| answer.header(&format!("x-latchkey-{name}")).is_none()));
        answer.expect_problem(401, "invalid-token");
    }
    person.as_vault().get(PATH).await.expect(200);
    person.logout().await.expect(204);
    person.as_vault().get(PATH).await.expect_problem(401, "invalid-token");
    person.as_vault().bare(Method::POST, PATH).await.expect_problem(405, "method-not-allowed");
});

both!(a_proxy_may_ask_for_one_team_one_project_and_scopes, async |app| {
    let person = app.verified("ada@example.org").await;
    let other = app.verified("eve@example.org").await;
    let token = claims(&person.vault_token);
    let (team, project) =
        (token["tid"].as_str().expect("text"), token["pid"].as_str().expect("text"));
    let ask = async |query: &str| person.as_vault().get(&format!("{PATH}?{query}")).await;
    let scope = encoded("vault:read team:own");
    for good in [
        format!("team={team}"),
        format!("team={team}&project={project}&scope={scope}"),
        "scope=vault%3Aread+vault%3Awrite".to_owned(),
    ] {
        ask(&good).await.expect(200);
    }
    for bad in [
        "team=0199d2f0-3c5e-7a10-8f00-5d2f6a1b9c33".to_owned(),
        format!("project={team}"),
        format!("team={team}&scope=vault%3Aread+vault%3Aeverything"),
        "scope=vault".to_owned(),
    ] {
        ask(&bad).await.expect_problem(403, "forbidden");
    }
    for wrong in ["teams=x", "team=", "scope=+", "team=a&team=b", "Team=x", "x"] {
        ask(wrong).await.expect_problem(400, "malformed-request");
    }
    let narrowed = other.as_vault().get(&format!("{PATH}?team={team}")).await;
    narrowed.expect_problem(403, "forbidden");
    let nobody = app.anonymous().get(&format!("{PATH}?team={team}")).await;
    nobody.expect_problem(401, "invalid-token");
});

both!(a_proxy_that_appends_path_and_keeps_the_method_is_answered_too, async |app| {
    let person = app.verified("ada@example.org").await;
    for method in
        [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS]
    {
        // Envoy's `path_prefix` ends with the client's path, which is `/` for the root.
        for path in ["/v1/secrets/a%20b?team=of-the-client&x=1", "/", "/?x=1", "//", "/a/"] {
            let path = format!("{PATH}{path}");
            let answer = person.as_vault().bare(method.clone(), &path).await.expect(200);
            let subject = claims(&person.vault_token)["sub"].as_str().expect("text").to_owned();
            assert_eq!(said(&answer)[0], subject);
            let nobody = app.anonymous().bare(method.clone(), &path).await;
            nobody.expect_problem(401, "invalid-token");
        }
    }
});

both!(what_no_proxy_forwards_is_refused, async |app| {
    let person = app.verified("ada@example.org").await;
    let path = format!("{PATH}/v1/secrets");
    for method in ["TRACE", "CONNECT", "PRI"] {
        let token = &person.vault_token;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        let told = String::from_utf8(app.raw(request.as_bytes()).await).expect("ASCII");
        // A CONNECT request can get a 400, because hyper does not accept a path as its target.
        let is_refused = told.starts_with("HTTP/1.1 405") || told.starts_with("HTTP/1.1 400");
        assert!(is_refused, "{method}: {told}");
        assert!(!told.to_ascii_lowercase().contains("x-latchkey-"), "{method}: {told}");
    }
    let trace = person.as_vault().bare(Method::TRACE, &path).await;
    assert_eq!(trace.header("allow"), Some("OPTIONS, GET, HEAD, POST, PUT, PATCH, DELETE"));
    trace.expect_problem(405, "method-not-allowed");
});

both!(a_proxy_is_not_limited_by_its_address, ["rate_limit.enabled" = "true"], async |app| {
    let person = app.verified("ada@example.org").await;
    for _ in 0..320 {
        person.as_vault().get(PATH).await.expect(200);
    }
    app.anonymous().bearer("x").get(PATH).await.expect_problem(401, "invalid-token");
});
