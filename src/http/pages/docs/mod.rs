//! `/docs`: renders an OpenAPI 3.1 document as one page, once, when the daemon starts. The page is
//! readable without scripts. With scripts, a user can copy commands and, in development, send
//! requests.
//!
//! The module knows nothing about latchkey's endpoints and renders any document. References into
//! `#/components` are resolved. If a value is missing or has the wrong type, the page leaves it
//! out. This is not an error.

mod curl;
mod example;
mod operation;
mod schema;
mod trial;

use askama::Template;
use serde_json::Value;

use self::operation::Operation;
use self::schema::{Field, Named};
pub use self::trial::Trials;
use super::{Mailbox, html, words};

#[derive(Template)]
#[template(path = "docs.html")]
struct Docs {
    page: Page,
    trials: Trials,
    mailbox: Mailbox,
}

/// The content of the whole page. Each `description` is HTML markup.
struct Page {
    title: String,
    version: String,
    description: String,
    schemes: Vec<Scheme>,
    groups: Vec<Group>,
    schemas: Vec<Component>,
}

/// One way to authenticate.
struct Scheme {
    name: String,
    kind: String,
    description: String,
}

/// A schema that other schemas refer to by its name.
struct Component {
    named: Named,
    kind: String,
    description: String,
    fields: Vec<Field>,
    notes: Vec<String>,
}

/// The operations of one tag.
struct Group {
    id: String,
    name: String,
    description: String,
    operations: Vec<Operation>,
}

/// The methods of a path item, in the order on the page (OpenAPI 3.1, Path Item Object).
const METHODS: [&str; 8] = ["get", "post", "put", "patch", "delete", "head", "options", "trace"];

/// The group of operations without a tag.
const UNTAGGED: &str = "Other";

/// Renders an OpenAPI 3.1 document. Commands use the URL of the first entry of `servers`. If there
/// is none, they use `http://127.0.0.1:8080`.
pub fn docs(document: &Value, trials: Trials, mailbox: Mailbox) -> String {
    let info = &document["info"];
    let page = Page {
        title: text(info, "title").to_owned(),
        version: text(info, "version").to_owned(),
        description: words::prose(text(info, "description")),
        schemes: schemes(document),
        groups: groups(document),
        schemas: components(document),
    };
    html(&Docs { page, trials, mailbox })
}

fn components(document: &Value) -> Vec<Component> {
    members(&document["components"]["schemas"])
        .map(|(name, schema)| Component {
            named: Named::new(name),
            kind: schema::kind(document, schema),
            description: words::prose(text(schema, "description")),
            fields: schema::fields(document, schema),
            notes: schema::notes(document, schema),
        })
        .collect()
}

/// The ways to authenticate. Bearer tokens come before all other ways. Among the bearer tokens and
/// among the other ways, the one that most operations require comes first.
fn schemes(document: &Value) -> Vec<Scheme> {
    let asked = |name: &str| {
        let operations = members(&document["paths"])
            .flat_map(|(_, item)| METHODS.iter().filter_map(|method| item.get(*method)));
        operations
            .filter(|operation| items(&operation["security"]).any(|way| way.get(name).is_some()))
            .count()
    };
    let mut schemes: Vec<Scheme> = members(&document["components"]["securitySchemes"])
        .map(|(name, scheme)| {
            let scheme = schema::resolve(document, scheme);
            let kind = [text(scheme, "type"), text(scheme, "scheme"), text(scheme, "bearerFormat")];
            Scheme {
                name: name.clone(),
                kind: kind
                    .into_iter()
                    .filter(|part| !part.is_empty())
                    .collect::<Vec<_>>()
                    .join(", "),
                description: words::prose(text(scheme, "description")),
            }
        })
        .collect();
    schemes.sort_by_key(|scheme| {
        let is_bearer =
            document["components"]["securitySchemes"][&scheme.name]["scheme"] == "bearer";
        std::cmp::Reverse((is_bearer, asked(&scheme.name)))
    });
    schemes
}

/// Groups operations by their first tag. The tags that the document lists come first, in the order
/// of the document. Tags that the document does not list follow.
fn groups(document: &Value) -> Vec<Group> {
    let mut groups: Vec<Group> = items(&document["tags"])
        .map(|tag| group(text(tag, "name"), words::prose(text(tag, "description"))))
        .collect();
    for (path, item) in members(&document["paths"]) {
        let item = schema::resolve(document, item);
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            let tag = operation["tags"][0].as_str().unwrap_or(UNTAGGED);
            let at = groups.iter().position(|group| group.name == tag).unwrap_or_else(|| {
                groups.push(group(tag, String::new()));
                groups.len() - 1
            });
            groups[at].operations.push(operation::read(document, path, method, item, operation));
        }
    }
    groups.retain(|group| !group.operations.is_empty());
    groups
}

fn group(name: &str, description: String) -> Group {
    Group { id: slug(&["tag", name]), name: name.to_owned(), description, operations: Vec::new() }
}

/// The id of an element: the letters and digits of the parts, joined by single hyphens.
fn slug(parts: &[&str]) -> String {
    parts
        .join("-")
        .split(|char: char| !char.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-")
        .to_ascii_lowercase()
}

/// The text of a member that is a string. For every other member, the text is empty.
fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// The members of an object. Values of other types have no members.
fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// The items of an array. Values of other types have no items.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
