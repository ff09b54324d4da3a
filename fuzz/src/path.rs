//! The fuzz harness for paths, path parameters, queries and forms. The first byte of the input
//! selects the method. The other bytes are the request target.

use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Uri};
use latchkey::http::matching::{RouteMatch, Router};
use latchkey::problem::Code;

const METHODS: [Method; 8] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::TRACE,
    Method::PUT,
];

/// Checks that the router matches the raw path, and that each path parameter is decoded exactly
/// once. A query must be either parsed as the URL standard says or refused.
pub fn run(data: &[u8]) {
    let Some((&first, target)) = data.split_first() else { return };
    let method = &METHODS[usize::from(first) % METHODS.len()];
    let Ok(uri) = Uri::try_from(target) else { return };
    thread_local!(static ROUTER: Router = Router::new(true));
    let found = ROUTER.with(|router| router.find(method, uri.path()));
    let mut headers = HeaderMap::new();
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(CONTENT_TYPE, form);
    let query = uri.query().unwrap_or_default().to_owned();
    let mut request = super::request_of(uri.clone(), headers, query.as_bytes());
    match found {
        RouteMatch::Route(route, params) => {
            assert_eq!(route.path.matches('{').count(), params.len());
            let mut rebuilt = route.path.to_owned();
            for (name, value) in &params {
                let rest = format!("{{*{name}}}");
                let takes_the_rest = route.path.contains(&rest);
                assert!(!value.is_empty() && (takes_the_rest || !value.contains('/')));
                rebuilt = rebuilt.replace(&rest, value).replace(&format!("{{{name}}}"), value);
            }
            assert_eq!(rebuilt, uri.path(), "a route takes its own path alone");
            request.params.clone_from(&params);
            for (name, value) in &params {
                match request.param(name) {
                    // Decoding either makes a value shorter or does not change it.
                    Ok(decoded) => assert!(decoded.len() <= value.len()),
                    Err(problem) => assert_eq!(problem.code, Code::MalformedRequest),
                }
            }
        }
        RouteMatch::Methods(allowed) => {
            let known = ["OPTIONS", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
            assert!(allowed.split(", ").all(|method| known.contains(&method)), "{allowed}");
            let taken =
                *method != Method::OPTIONS && allowed.split(", ").any(|it| it == method.as_str());
            assert!(!taken, "{method} is refused and allowed");
        }
        RouteMatch::Nothing => {}
    }
    let standard: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    match request.form() {
        Ok(pairs) => {
            assert_eq!(pairs, standard);
            for (name, _) in &pairs {
                let first = standard.iter().find(|(other, _)| other == name);
                assert_eq!(request.query(name).ok().flatten().as_ref(), first.map(|(_, v)| v));
            }
        }
        Err(problem) => {
            assert_eq!(problem.code, Code::MalformedRequest);
            let replaced = |text: &str| text.contains(char::REPLACEMENT_CHARACTER);
            assert!(standard.iter().any(|(name, value)| replaced(name) || replaced(value)));
        }
    }
}
