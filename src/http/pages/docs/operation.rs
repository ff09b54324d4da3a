//! Reads one operation of the document: its parameters, its responses, and a command that sends a
//! request to it.

use serde_json::Value;

use super::curl::curl;
use super::schema::{self, Field, Named};
use super::trial::{self, Trial};
use super::{example, items, members, slug, text};
use crate::http::pages::words;

/// An operation as the template shows it. `description` is HTML markup.
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
    pub(super) trial: Trial,
}

pub(super) struct Body {
    pub(super) media: String,
    pub(super) kind: String,
    pub(super) schema: Option<Named>,
    pub(super) required: bool,
    pub(super) description: String,
    pub(super) fields: Vec<Field>,
}

/// A response: its status and its possible contents.
pub(super) struct Response {
    pub(super) status: String,
    /// The first digit of the status.
    pub(super) class: String,
    pub(super) description: String,
    pub(super) headers: Vec<String>,
    pub(super) contents: Vec<Content>,
}

pub(super) struct Content {
    pub(super) media: String,
    pub(super) kind: String,
    pub(super) schema: Option<Named>,
    pub(super) fields: Vec<Field>,
    /// An example of the content. It is empty for a problem.
    pub(super) example: String,
}

/// The media type of errors. All errors have the same members, so the page does not repeat these
/// members under each operation.
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
    let id = slug(&[method, path]);
    Operation {
        trial: trial::read(document, &id, operation, &parameters, body),
        id,
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
            schema: schema::named_component(&content["schema"]),
            required: body["required"] == true,
            description: words::prose(text(body, "description")),
            fields: schema::fields(document, &content["schema"]),
        }),
        responses: members(&operation["responses"])
            .map(|(status, response)| answer(document, status, response))
            .collect(),
    }
}

/// The operation's own parameters, then the parameters of its path that the operation does not
/// replace.
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
            .map(|(media, content)| self::content(document, media, content))
            .collect(),
    }
}

fn content(document: &Value, media: &str, content: &Value) -> Content {
    let schema = &content["schema"];
    let shown = |fields: Vec<Field>, example: String| Content {
        media: media.to_owned(),
        kind: schema::kind(document, schema),
        schema: schema::named_component(schema),
        fields,
        example,
    };
    if media == PROBLEM {
        return shown(Vec::new(), String::new());
    }
    let fields = schema::fields(document, schema);
    let example = if fields.is_empty() {
        String::new()
    } else {
        example::pretty(&example::of_content(document, content))
    };
    shown(fields, example)
}

/// The security requirements of the operation. If the operation has none, these are the
/// requirements of the document.
pub(super) fn requirements<'a>(document: &'a Value, operation: &'a Value) -> &'a Value {
    operation.get("security").unwrap_or(&document["security"])
}

/// The names of the security schemes that the operation accepts, as a text. The text is empty if
/// the operation requires none.
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
