//! One operation of the document: what it takes, what it gives, and a command to try it.

use serde_json::Value;

use super::schema::{self, Field};
use super::{items, members, slug, text};
use crate::http::pages::words;

/// An operation as the template shows it; `description` is markup.
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) summary: String,
    pub(super) description: String,
    pub(super) deprecated: bool,
    pub(super) auth: String,
    pub(super) parameters: Vec<Field>,
    pub(super) body: Option<Body>,
    pub(super) responses: Vec<Response>,
    pub(super) curl: String,
}

/// A request's body.
pub(super) struct Body {
    pub(super) media: String,
    pub(super) kind: String,
    pub(super) required: bool,
    pub(super) description: String,
    pub(super) fields: Vec<Field>,
}

/// An answer: its status, and each content it can have.
pub(super) struct Response {
    pub(super) status: String,
    /// The first digit of the status.
    pub(super) class: String,
    pub(super) description: String,
    pub(super) headers: Vec<String>,
    pub(super) contents: Vec<Content>,
}

/// A content of an answer.
pub(super) struct Content {
    pub(super) media: String,
    pub(super) kind: String,
    pub(super) fields: Vec<Field>,
}

/// Errors all look alike: their members are not repeated under each operation.
const PROBLEM: &str = "application/problem+json";

pub(super) fn read(
    document: &Value,
    path: &str,
    method: &str,
    item: &Value,
    operation: &Value,
) -> Operation {
    let parameters = parameters(document, item, operation);
    let body = schema::resolve(document, &operation["requestBody"]);
    Operation {
        id: slug(&[method, path]),
        method: method.to_ascii_uppercase(),
        path: path.to_owned(),
        summary: text(operation, "summary").to_owned(),
        description: words::prose(text(operation, "description")),
        deprecated: operation["deprecated"] == true,
        auth: auth(document, operation),
        curl: curl(document, path, method, operation, &parameters, body),
        parameters: parameters.iter().map(|parameter| field(document, parameter)).collect(),
        body: members(&body["content"]).next().map(|(media, content)| Body {
            media: media.clone(),
            kind: schema::kind(document, &content["schema"]),
            required: body["required"] == true,
            description: words::prose(text(body, "description")),
            fields: schema::fields(document, &content["schema"]),
        }),
        responses: members(&operation["responses"])
            .map(|(status, response)| answer(document, status, response))
            .collect(),
    }
}

/// The operation's own parameters, then those of its path that it does not replace.
fn parameters<'a>(document: &'a Value, item: &'a Value, operation: &'a Value) -> Vec<&'a Value> {
    let mut all: Vec<&Value> = Vec::new();
    for parameter in items(&operation["parameters"]).chain(items(&item["parameters"])) {
        let parameter = schema::resolve(document, parameter);
        if !all
            .iter()
            .any(|known| known["name"] == parameter["name"] && known["in"] == parameter["in"])
        {
            all.push(parameter);
        }
    }
    all
}

fn field(document: &Value, parameter: &Value) -> Field {
    Field {
        name: text(parameter, "name").to_owned(),
        kind: schema::kind(document, &parameter["schema"]),
        place: text(parameter, "in").to_owned(),
        required: parameter["required"] == true,
        description: words::prose(text(parameter, "description")),
        notes: schema::notes(document, &parameter["schema"]),
    }
}

fn answer(document: &Value, status: &str, response: &Value) -> Response {
    let response = schema::resolve(document, response);
    Response {
        status: status.to_owned(),
        class: status
            .chars()
            .next()
            .filter(char::is_ascii_digit)
            .map_or(String::new(), String::from),
        description: words::prose(text(response, "description")),
        headers: members(&response["headers"]).map(|(name, _)| name.clone()).collect(),
        contents: members(&response["content"])
            .map(|(media, content)| Content {
                media: media.clone(),
                kind: schema::kind(document, &content["schema"]),
                fields: if media == PROBLEM {
                    Vec::new()
                } else {
                    schema::fields(document, &content["schema"])
                },
            })
            .collect(),
    }
}

/// The security requirements that apply: the operation's own, else the document's.
fn requirements<'a>(document: &'a Value, operation: &'a Value) -> &'a Value {
    operation.get("security").unwrap_or(&document["security"])
}

/// Which schemes open the operation, in words; nothing where none is needed.
fn auth(document: &Value, operation: &Value) -> String {
    let mut optional = false;
    let mut ways: Vec<String> = Vec::new();
    for requirement in items(requirements(document, operation)) {
        let names: Vec<&str> = members(requirement).map(|(name, _)| name.as_str()).collect();
        if names.is_empty() {
            optional = true;
        } else {
            ways.push(names.join(" with "));
        }
    }
    let ways = ways.join(" or ");
    if optional && !ways.is_empty() { format!("{ways}, optional") } else { ways }
}

/// A command that sends the request. Values are examples of the document's, or capitals to replace.
fn curl(
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
        let value = example(document, parameter, name);
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
    words.extend(credentials(document, operation));
    if let Some((media, content)) = members(&body["content"]).next() {
        let example = schema::example(document, content);
        let data = match media.as_str() {
            "application/x-www-form-urlencoded" => form(&example),
            _ => example.to_string(),
        };
        words.push(format!("-H {}", quoted(&format!("content-type: {media}"))));
        words.push(format!("-d {}", quoted(&data)));
    }
    words.join(" ")
}

/// The option that carries the first required way to authenticate.
fn credentials(document: &Value, operation: &Value) -> Option<String> {
    let (name, _) = items(requirements(document, operation)).find_map(|way| members(way).next())?;
    let scheme = schema::resolve(document, &document["components"]["securitySchemes"][name]);
    let credential = capitals(name);
    Some(match (text(scheme, "type"), text(scheme, "scheme"), text(scheme, "in")) {
        ("http", "basic", _) => "-u \"ID:SECRET\"".to_owned(),
        ("apiKey", _, "header") => {
            format!("-H {}", quoted(&format!("{}: {credential}", text(scheme, "name"))))
        }
        _ => format!("-H \"authorization: Bearer ${credential}\""),
    })
}

/// A parameter's example: its own, its schema's, or its name in capitals.
fn example(document: &Value, parameter: &Value, name: &str) -> String {
    let schema = schema::resolve(document, &parameter["schema"]);
    match parameter.get("example").or_else(|| schema::given_example(schema)) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => capitals(name),
    }
}

/// An object's members as a form. Names and examples are plain words; what is not is left to the reader.
fn form(example: &Value) -> String {
    members(example)
        .map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name}={text}"),
            None => format!("{name}={value}"),
        })
        .collect::<Vec<_>>()
        .join("&")
}

/// A name as a shell's variable has it: `userToken` becomes `USER_TOKEN`.
fn capitals(name: &str) -> String {
    let mut spaced = String::with_capacity(name.len() + 4);
    for char in name.chars() {
        if char.is_ascii_uppercase() && spaced.ends_with(|last: char| last.is_ascii_lowercase()) {
            spaced.push(' ');
        }
        spaced.push(char);
    }
    slug(&[&spaced]).replace('-', "_").to_ascii_uppercase()
}

/// One word for a POSIX shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
