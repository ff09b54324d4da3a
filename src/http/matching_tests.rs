//! Tests of the router: a method and a path lead to one route, to none, or to a refusal that lists
//! the allowed methods.

use super::super::router::RouteMethod;
use super::*;

fn find(method: &str, path: &str) -> String {
    match Router::new(true).find(&method.parse().unwrap(), path) {
        RouteMatch::Route(route, params) => format!("{} {params:?}", route.path),
        RouteMatch::Methods(allowed) => format!("405 {allowed}"),
        RouteMatch::Nothing => "404".to_owned(),
    }
}

#[test]
fn every_route_is_found_by_its_own_path() {
    for route in ROUTES {
        let path = route.path.replace(['{', '}'], "");
        let method =
            if route.method == RouteMethod::Any { "PROPFIND" } else { route.method.name() };
        assert!(find(method, &path).starts_with(route.path), "{}", route.path);
    }
}

#[test]
fn the_routes_of_passkeys_do_not_exist_where_passkeys_are_off() {
    let find = |path: &str, method: &Method| Router::new(false).find(method, path);
    for path in PASSKEY_PATHS {
        assert!(ROUTES.iter().any(|route| route.path == path), "{path}");
        for method in [Method::GET, Method::POST] {
            assert!(matches!(find(path, &method), RouteMatch::Nothing), "{method} {path}");
        }
    }
    assert!(matches!(find("/api/login/factor", &Method::POST), RouteMatch::Route(..)));
}

#[test]
fn the_gets_that_change_state_have_no_head() {
    for path in ["/api/verify-email/x", "/api/resend-email-verification", "/api/refresh"] {
        assert_eq!(find("HEAD", path), "405 OPTIONS, GET", "{path}");
    }
    assert!(find("HEAD", "/api/me").starts_with("/api/me"));
}

#[test]
fn a_proxy_asks_for_what_it_can_forward() {
    let path = "/api/forward-auth/v1/x";
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        assert!(find(method, path).starts_with("/api/forward-auth/{*path}"), "{method}");
    }
    for method in ["TRACE", "CONNECT", "PRI"] {
        let refused = "405 OPTIONS, GET, HEAD, POST, PUT, PATCH, DELETE";
        assert_eq!(find(method, path), refused, "{method}");
    }
}

#[test]
fn a_body_is_awaited_where_the_endpoint_reads_one() {
    let takes_body =
        |method: &str, path: &str| match Router::new(true).find(&method.parse().unwrap(), path) {
            RouteMatch::Route(route, _) => route.takes_body,
            _ => panic!("{method} {path} is no route"),
        };
    for (method, path) in [
        ("POST", "/api/login"),
        ("POST", "/api/introspect"),
        ("POST", "/api/revoke"),
        ("PATCH", "/api/me"),
        ("DELETE", "/api/me"),
        ("POST", "/reset-password"),
    ] {
        assert!(takes_body(method, path), "{method} {path}");
    }
    for (method, path) in [
        ("GET", "/api/me"),
        ("HEAD", "/api/me"),
        ("GET", "/api/refresh"),
        ("DELETE", "/api/sessions"),
        ("POST", "/api/logout"),
        ("GET", "/api/forward-auth"),
        ("POST", "/api/forward-auth/x"),
        ("GET", "/reset-password"),
    ] {
        assert!(!takes_body(method, path), "{method} {path}");
    }
    for route in
        ROUTES.iter().filter(|route| matches!(route.method, RouteMethod::Get | RouteMethod::Any))
    {
        assert!(!route.reads_body(), "{}", route.path);
    }
}

#[test]
fn what_is_not_in_the_table_is_not_there() {
    for path in [
        "/api/login/",
        "//api/login",
        "/api/Login",
        "/api/%6cogin",
        "/api",
        "/api/verify-email/",
        "/api/verify-email/a/b",
    ] {
        assert_eq!(find("GET", path), "404", "{path}");
    }
    assert_eq!(find("TRACE", "/api/login"), "405 OPTIONS, POST");
    assert_eq!(find("get", "/api/login"), "405 OPTIONS, POST");
}
