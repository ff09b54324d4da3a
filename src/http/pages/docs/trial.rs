//! The form that sends a request from the page. The fields are in the order of the parts of the
//! request.

use serde_json::Value;

use super::curl::{FORM, form};
use super::operation::requirements;
use super::{example, items, members, schema, slug, text};

/// Whether the page offers to send requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trials {
    /// The page offers to send requests. This is the case in development.
    Offered,
    /// The page sends no requests. This is the case in production, because users read the page
    /// while they are logged in to other services.
    Absent,
}

/// The fields of the form of one operation.
pub(super) struct Trial {
    pub(super) credential: Option<Credential>,
    pub(super) inputs: Vec<Input>,
    pub(super) body: Option<Body>,
}

/// The field for the credentials of the first way to authenticate. As soon as a response has a
/// member with the name of the credentials, the script fills in the field.
pub(super) struct Credential {
    pub(super) id: String,
    pub(super) name: String,
    /// `bearer` or `basic`.
    pub(super) scheme: &'static str,
}

/// The field of one parameter.
pub(super) struct Input {
    pub(super) id: String,
    pub(super) name: String,
    /// `path`, `query` or `header`.
    pub(super) place: String,
    pub(super) required: bool,
}

/// The field of the body, which contains an example at first.
pub(super) struct Body {
    pub(super) id: String,
    pub(super) media: String,
    pub(super) text: String,
    /// The number of rows of the field. The example has as many lines.
    pub(super) rows: usize,
    /// Whether the body has the response of an authenticator, which the script can get.
    pub(super) has_credential: bool,
}

pub(super) fn read(
    document: &Value,
    id: &str,
    operation: &Value,
    parameters: &[&Value],
    body: &Value,
) -> Trial {
    let field = |name: &str| slug(&[id, "try", name]);
    Trial {
        credential: credential(document, operation).map(|(name, scheme)| Credential {
            id: field(&name),
            name,
            scheme,
        }),
        inputs: parameters
            .iter()
            .map(|parameter| Input {
                id: slug(&[&field(text(parameter, "in")), text(parameter, "name")]),
                name: text(parameter, "name").to_owned(),
                place: text(parameter, "in").to_owned(),
                required: parameter["required"] == true,
            })
            .collect(),
        body: members(&body["content"]).next().map(|(media, content)| {
            let example = example::of_content(document, content);
            let text = if media == FORM { form(&example) } else { example::pretty(&example) };
            Body {
                id: field("body"),
                media: media.clone(),
                rows: text.lines().count(),
                has_credential: has_member(document, content, "credential"),
                text,
            }
        }),
    }
}

fn has_member(document: &Value, content: &Value, name: &str) -> bool {
    schema::resolve(document, &content["schema"])["properties"].get(name).is_some()
}

fn credential(document: &Value, operation: &Value) -> Option<(String, &'static str)> {
    let (name, _) = items(requirements(document, operation)).find_map(|way| members(way).next())?;
    let scheme = schema::resolve(document, &document["components"]["securitySchemes"][name]);
    let scheme = if text(scheme, "scheme") == "basic" { "basic" } else { "bearer" };
    Some((name.clone(), scheme))
}
