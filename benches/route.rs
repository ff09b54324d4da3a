//! Benchmark: finding the route of a path. It is compared with a lookup of the path in a hash map.
//! A hash map could not replace the router, because it cannot match paths with parameters.

use std::collections::HashMap;
use std::hint::black_box;

use hyper::Method;
use latchkey::http::matching::Router;
use latchkey::http::router::ROUTES;

use crate::measure::{Effort, Table};

pub fn run(effort: Effort) {
    let router = Router::new(true);
    let map: HashMap<&str, usize> =
        ROUTES.iter().enumerate().map(|(index, route)| (route.path, index)).collect();
    let table = Table::new("route", effort);
    for (name, method, path, in_map) in [
        ("no parameter", Method::POST, "/api/login", "/api/login"),
        (
            "one parameter",
            Method::GET,
            "/api/verify-email/4vJ9yPq0mZ7Xw2sT1bKc8dLfNhGuRaEiOoVjYtQkSxA",
            "/api/verify-email/{token}",
        ),
        ("no such path", Method::GET, "/wp-login.php", "/wp-login.php"),
    ] {
        table.row(
            &format!("find a route, {name}"),
            || {
                black_box(router.find(black_box(&method), black_box(path)));
            },
            "HashMap lookup of a path",
            || {
                black_box(map.get(black_box(in_map)));
            },
        );
    }
}
