//! The command that sends a request from a POSIX shell.

use serde_json::Value;

use super::operation::requirements;
use super::{example, items, members, schema, text};

/// The media type of an HTML form.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// The command that sends the request, with one option on each line. Values are examples from the
/// document, or placeholders in capitals.
pub(super) fn curl(
    document: &Value,
    path: &str,
    method: &str,
    operation: &Value,
    parameters: &[&Value],
    body: &Value,
) -> String {
    let server = document["servers"][0]["url"].as_str().unwrap_or("http://127.0.0.1:8080");
    let mut url = format!("{}{path}", server.trim_end_matches('/'));
    let mut query = Vec::new();
    for parameter in parameters {
        let name = text(parameter, "name");
        let value = example::of_parameter(document, parameter, name);
        match text(parameter, "in") {
            "path" => url = url.replace(&format!("{{{name}}}"), &value),
            "query" if parameter["required"] == true => query.push(format!("{name}={value}")),
            _ => {}
        }
    }
    if !query.is_empty() {
        url = format!("{url}?{}", query.join("&"));
    }
    let mut words = vec!["curl -s".to_owned()];
    if method != "get" {
        words.push(format!("-X {}", method.to_ascii_uppercase()));
    }
    words.push(quoted(&url));
    let mut lines = vec![words.join(" ")];
    lines.extend(credentials(document, operation));
    if let Some((media, content)) = members(&body["content"]).next() {
        let example = example::of_content(document, content);
        let data = if media == FORM { form(&example) } else { example.to_string() };
        lines.push(format!("-H {}", quoted(&format!("content-type: {media}"))));
        lines.push(format!("-d {}", quoted(&data)));
    }
    lines.join(" \\\n  ")
}

/// The option that sends the credentials. It uses the first way to authenticate that the operation
/// accepts.
fn credentials(document: &Value, operation: &Value) -> Option<String> {
    let (name, _) = items(requirements(document, operation)).find_map(|way| members(way).next())?;
    let scheme = schema::resolve(document, &document["components"]["securitySchemes"][name]);
    let credential = example::capitals(name);
    Some(match (text(scheme, "type"), text(scheme, "scheme"), text(scheme, "in")) {
        ("http", "basic", _) => "-u \"ID:SECRET\"".to_owned(),
        ("apiKey", _, "header") => {
            format!("-H {}", quoted(&format!("{}: {credential}", text(scheme, "name"))))
        }
        _ => format!("-H \"authorization: Bearer ${credential}\""),
    })
}

/// Writes the members of an object as a form. Nothing is encoded, because names and examples are
/// plain words. A user who sends other values has to encode them.
pub(super) fn form(example: &Value) -> String {
    members(example)
        .map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name}={text}"),
            None => format!("{name}={value}"),
        })
        .collect::<Vec<_>>()
        .join("&")
}

/// Quotes one word for a POSIX shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
