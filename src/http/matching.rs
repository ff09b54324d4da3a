//! Finds the route of a request in the route table.

use hyper::Method;
use matchit::Router as Matcher;

use super::router::{ROUTES, Route};

/// The paths of the routes that exist only where passkeys work.
const PASSKEY_PATHS: [&str; 6] = [
    "/api/login/passkey/options",
    "/api/login/passkey",
    "/api/step-up/options",
    "/api/me/passkeys/options",
    "/api/me/passkeys",
    "/.well-known/webauthn",
];

/// A route with values that are computed once.
#[derive(Clone, Copy)]
pub struct Entry {
    route: &'static Route,
    /// Whether the handler reads a body. If it does not, the daemon does not wait for a body, even
    /// if the request announces one.
    pub takes_body: bool,
}

impl std::ops::Deref for Entry {
    type Target = Route;

    fn deref(&self) -> &Route {
        self.route
    }
}

/// Finds the route of a request.
pub struct Router {
    matcher: Matcher<Vec<Entry>>,
}

/// The result of a search in the route table.
pub enum RouteMatch {
    /// The route and its path parameters.
    Route(Entry, Vec<(String, String)>),
    /// The path exists but does not take the method. The text lists the methods that the path
    /// takes.
    Methods(String),
    /// The path does not exist.
    Nothing,
}

impl Router {
    /// Creates the router of [`ROUTES`]. Where passkeys are off, their routes do not exist.
    ///
    /// # Panics
    /// If two routes contradict each other. A test creates the router, so it finds such routes.
    pub fn new(has_passkeys: bool) -> Self {
        let mut paths: Vec<(&'static str, Vec<Entry>)> = Vec::new();
        let is_there = |route: &&Route| has_passkeys || !PASSKEY_PATHS.contains(&route.path);
        for route in ROUTES.iter().filter(is_there) {
            let entry = Entry { route, takes_body: route.reads_body() };
            match paths.iter_mut().find(|(path, _)| *path == route.path) {
                Some((_, routes)) => routes.push(entry),
                None => paths.push((route.path, vec![entry])),
            }
        }
        let mut matcher = Matcher::new();
        for (path, routes) in paths {
            matcher.insert(path, routes).expect("no two routes contradict each other");
        }
        Self { matcher }
    }

    /// Finds a route by method and raw path.
    pub fn find(&self, method: &Method, path: &str) -> RouteMatch {
        let Ok(matched) = self.matcher.at(path) else { return RouteMatch::Nothing };
        if let Some(route) = matched.value.iter().find(|route| route.takes(method)) {
            let params = matched.params.iter();
            let params = params.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            return RouteMatch::Route(*route, params);
        }
        let mut allowed = vec!["OPTIONS"];
        for (method, name) in [
            (Method::GET, "GET"),
            (Method::HEAD, "HEAD"),
            (Method::POST, "POST"),
            (Method::PUT, "PUT"),
            (Method::PATCH, "PATCH"),
            (Method::DELETE, "DELETE"),
        ] {
            if matched.value.iter().any(|route| route.takes(&method)) {
                allowed.push(name);
            }
        }
        RouteMatch::Methods(allowed.join(", "))
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").field("routes", &ROUTES.len()).finish()
    }
}

#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;
