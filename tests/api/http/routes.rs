//! Tests of every route in the route table, with every method and with other spellings of its path.
//! They also check the headers of each refusal.

use hyper::Method;
use latchkey::http::router::{ROUTES, RouteMethod};

use super::{Raw, bare};
use crate::app::{TestApp, both};

/// The minimum number of methods, and of paths, that the route table must produce.
const METHODS_MIN: usize = 300;
const PATHS_MIN: usize = 500;

/// Replaces each parameter of a path with its name as plain text.
fn filled(path: &str) -> String {
    path.replace(['{', '}', '*'], "")
}

/// Returns the paths of the route table without duplicates. Routes that accept any method are left
/// out, because only a proxy calls them.
fn paths() -> Vec<String> {
    let listed = ROUTES.iter().filter(|route| route.method != RouteMethod::Any);
    let mut paths: Vec<String> = listed.map(|route| filled(route.path)).collect();
    paths.sort();
    paths.dedup();
    paths
}

fn verbs(path: &str) -> Vec<&'static str> {
    ROUTES
        .iter()
        .filter(|route| filled(route.path) == path)
        .map(|route| route.method.name())
        .collect()
}

/// Checks the security headers that every response must have.
#[track_caller]
fn hardened(name: &str, answer: &Raw) {
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{name}");
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{name}");
    let policy = answer.header("content-security-policy").unwrap_or_default();
    assert!(policy.contains("default-src 'none'"), "{name}: {policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{name}: {policy}");
    assert!(answer.header("cross-origin-resource-policy").is_some(), "{name}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{name}");
    for absent in ["server", "set-cookie", "access-control-allow-origin", "location", "etag"] {
        assert_eq!(answer.header(absent), None, "{name}: {absent}");
    }
}

async fn ask(app: &TestApp, method: &str, target: &str, headers: &[(&str, &str)]) -> Raw {
    let headers = [headers, &[("Connection", "close")]].concat();
    Raw::first(&app.raw(&bare(method, target, &headers)).await).0
}

both!(no_route_takes_a_method_that_is_not_its_own, async |app| {
    let mut count = 0;
    for path in paths() {
        let own = verbs(&path);
        for method in [
            "GET", "POST", "PATCH", "DELETE", "PUT", "TRACE", "PROPFIND", "get", "Post", "QUERY",
            "X",
        ] {
            if own.contains(&method) {
                continue;
            }
            let name = format!("{method} {path}");
            let answer = ask(app, method, &path, &[]).await;
            assert_eq!(answer.problem(), (405, "method-not-allowed".to_owned()), "{name}");
            hardened(&name, &answer);
            let allow = answer.header("allow").expect("a 405 says what is allowed");
            let allowed: Vec<&str> = allow.split(", ").collect();
            assert!(own.iter().all(|verb| allowed.contains(verb)), "{name}: {allow}");
            assert!(!allowed.contains(&method), "{name}: {allow}");
            count += 1;
        }
        // A header that names another method must not change the method of the request.
        for header in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"] {
            let answer = ask(app, "PUT", &path, &[(header, own[0])]).await;
            assert_eq!(answer.status, 405, "{header}: {} {path}", own[0]);
            count += 1;
        }
        let answer = ask(app, "PUT", &format!("{path}?_method={}", own[0]), &[]).await;
        assert_eq!(answer.status, 405, "{path}");
        count += 1;
    }
    println!("{count} methods refused");
    assert!(count >= METHODS_MIN, "{count}");
});

/// Returns other spellings of a path. Some servers treat these spellings as the same path.
fn spellings(path: &str) -> Vec<String> {
    let (head, tail) = path.rsplit_once('/').expect("a slash");
    let capital = tail.to_ascii_uppercase();
    let first = tail.chars().next().map_or(0, u32::from);
    let mut spellings = vec![
        format!("{path}/"),
        format!("{path}//"),
        format!("/{path}"),
        format!("//x{path}"),
        format!("/.{path}"),
        format!("/x/..{path}"),
        format!("/%2e%2e{path}"),
        format!("{path}/./"),
        format!("{path}/x/.."),
        format!("{head}//{tail}"),
        format!("{head}/./{tail}"),
        format!("{head}%2f{tail}"),
        format!("{head}%5c{tail}"),
        format!("/x{path}"),
        format!("{path}/%2e/"),
        format!("{path}/..;/"),
        format!("/;x{path}"),
    ];
    // If the path has a parameter, the parameter can contain these texts. They are then not another
    // spelling of the path.
    let has_parameter =
        ROUTES.iter().any(|route| route.path.contains('{') && filled(route.path) == path);
    let is_parents = ROUTES
        .iter()
        .any(|route| route.path.strip_prefix(path).is_some_and(|rest| rest.starts_with("/{")));
    if !has_parameter {
        spellings.extend([
            format!("{path};x=y"),
            format!("{path}%00"),
            format!("{path}%20"),
            format!("{path}."),
            format!("{path}.json"),
            format!("{path}%2f"),
            format!("{path}%3f"),
            format!("{head}/%{first:02x}{}", tail.get(1..).unwrap_or_default()),
        ]);
        if capital != tail {
            spellings.push(format!("{head}/{capital}"));
        }
    }
    if !is_parents && !has_parameter {
        spellings.extend([format!("{path}/."), format!("{path}/.."), format!("{path}/%2e%2e")]);
    }
    // Some of the spellings are paths of other routes of latchkey, so they are left out.
    spellings.retain(|spelling| spelling.starts_with('/') && !paths().contains(spelling));
    spellings
}

/// Says whether a route with parameters accepts this path. If so, the path is valid and must not be
/// refused.
fn taken_by_a_parameter(spelling: &str) -> bool {
    let parts: Vec<&str> = spelling.split('/').collect();
    ROUTES.iter().filter(|route| route.path.contains('{')).any(|route| {
        if let Some((below, _)) = route.path.split_once("{*") {
            return spelling.starts_with(below);
        }
        let own: Vec<&str> = route.path.split('/').collect();
        own.len() == parts.len()
            && own
                .iter()
                .zip(&parts)
                .all(|(own, part)| own == part || (own.starts_with('{') && !part.is_empty()))
    })
}

both!(no_path_is_known_by_another_spelling, async |app| {
    let mut count = 0;
    for path in paths().iter().filter(|path| path.len() > 1) {
        let verb = verbs(path)[0];
        for spelling in spellings(path) {
            if taken_by_a_parameter(&spelling) {
                continue;
            }
            let name = format!("{verb} {spelling}");
            let answer = ask(app, verb, &spelling, &[]).await;
            assert_eq!(answer.status, 404, "{name}");
            assert_eq!(answer.problem(), (404, "not-found".to_owned()), "{name}");
            hardened(&name, &answer);
            let body = String::from_utf8_lossy(&answer.body).replace("/problems/not-found", "");
            assert!(!body.contains(&spelling), "{name} is repeated");
            count += 1;
        }
    }
    println!("{count} spellings refused");
    assert!(count >= PATHS_MIN, "{count}");
});

both!(other_forms_of_a_target_are_no_way_round, async |app| {
    for (method, target, statuses) in [
        // The absolute form of a target means the same as the origin form, and latchkey ignores its
        // host (RFC 9112 §3.2.2).
        ("GET", "http://evil.example/api/me", &[401][..]),
        ("GET", "https://evil.example:1/api/me", &[401]),
        ("GET", "http://u:p@evil.example/api/me", &[400, 401]),
        ("GET", "http://evil.example", &[200]),
        ("GET", "ftp://evil.example/api/me", &[400, 401]),
        ("GET", "evil.example/api/me", &[400]),
        ("GET", "api/me", &[400]),
        ("GET", "evil.example:80", &[400, 404]),
        ("GET", "*", &[400, 404]),
        ("GET", "?x", &[400, 404]),
        ("GET", "#x", &[400, 404]),
        ("GET", "\\api\\me", &[400, 404]),
        ("GET", "file:///etc/passwd", &[400, 404]),
        ("OPTIONS", "*", &[204, 400, 404]),
        ("CONNECT", "evil.example:443", &[400, 404, 405]),
        ("CONNECT", "/api/me", &[400, 404, 405]),
        ("CONNECT", "http://evil.example/", &[400, 404, 405]),
        ("TRACE", "*", &[400, 404, 405]),
        ("TRACE", "/api/me", &[405]),
    ] {
        let answer = ask(app, method, target, &[("X-Planted", "planted-Zq7")]).await;
        assert!(statuses.contains(&answer.status), "{method} {target}: {}", answer.status);
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!body.contains("evil.example") && !body.contains("planted"), "{method} {target}");
        assert_eq!(answer.header("location"), None, "{method} {target}");
    }
});

both!(every_preflight_is_answered_and_none_lets_a_stranger_in, async |app| {
    let mut count = 0;
    for path in paths() {
        for asked in ["GET", "POST", "PUT", "DELETE", "TRACE", "CONNECT", "x y", "*", ""] {
            for origin in ["https://evil.example", "null", "http://127.0.0.1", "*"] {
                let preflight = app
                    .anonymous()
                    .header("Origin", origin)
                    .header("Access-Control-Request-Method", asked)
                    .header("Access-Control-Request-Headers", "authorization, x-evil")
                    .header("Access-Control-Request-Private-Network", "true")
                    .bare(Method::OPTIONS, &path)
                    .await
                    .expect(204);
                for absent in [
                    "access-control-allow-origin",
                    "access-control-allow-credentials",
                    "access-control-allow-private-network",
                ] {
                    assert_eq!(preflight.header(absent), None, "{path} {asked} {origin}");
                }
                let methods = preflight.header("access-control-allow-methods").unwrap_or_default();
                assert!(!methods.contains(['*', ' ']) || methods.contains(", "), "{methods}");
                assert!(!methods.contains("PUT") && !methods.contains("TRACE"), "{methods}");
                count += 1;
            }
        }
    }
    println!("{count} preflights");
    assert!(count >= 900, "{count}");
});
