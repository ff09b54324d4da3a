//! Checks every response that a test client receives against `/openapi.json`: its status, its
//! schema, and the codes of its problems. The check skips paths that the document does not contain.
//! It also skips the bytes that a test sends with `Client::raw`.
//!
//! If `LATCHKEY_TEST_SEEN` names a file, the check appends a line for each code that an operation
//! returned. `scripts/lib/declared` compares these codes with the declared codes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::{LazyLock, Mutex, PoisonError};

use hyper::Method;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::servers;

static DOCUMENT: LazyLock<Document> = LazyLock::new(Document::read);

/// The pairs of operation and code that the file already contains.
static SEEN: Mutex<BTreeSet<(String, String)>> = Mutex::new(BTreeSet::new());

/// The status of a HEAD request to a GET route that changes state.
const METHOD_NOT_ALLOWED: u16 = 405;

struct Document {
    paths: matchit::Router<BTreeMap<String, Operation>>,
    problem: Validator,
}

struct Operation {
    id: String,
    responses: BTreeMap<u16, Response>,
}

#[derive(Default)]
struct Response {
    /// The codes of the problems that the operation declares for this status.
    codes: BTreeSet<String>,
    /// The schema of the JSON body, or `None` if the response has no JSON body.
    schema: Option<Validator>,
}

impl Document {
    fn read() -> Self {
        let document = latchkey::http::openapi::document("http://localhost");
        let mut components = document["components"].clone();
        refuse_undeclared_members(&mut components["schemas"]);
        let validator = |schema: &Value| {
            let mut schema = schema.clone();
            schema["components"] = components.clone();
            jsonschema::validator_for(&schema).expect("a schema")
        };
        let mut paths = matchit::Router::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            let operations = item.as_object().expect("operations").iter();
            let operations: BTreeMap<_, _> = operations
                .map(|(method, operation)| {
                    let responses = operation["responses"].as_object().expect("responses").iter();
                    let responses = responses.map(|(status, response)| {
                        let json = &response["content"]["application/json"]["schema"];
                        let schema = json.is_object().then(|| validator(json));
                        let is_problem =
                            response["content"]["application/problem+json"].is_object();
                        let about = response["description"].as_str().unwrap_or_default();
                        let codes = if is_problem { quoted(about) } else { BTreeSet::new() };
                        (status.parse().expect("a status"), Response { codes, schema })
                    });
                    let id = operation["operationId"].as_str().expect("an id").to_owned();
                    (method.to_uppercase(), Operation { id, responses: responses.collect() })
                })
                .collect();
            paths.insert(path, operations).expect("a path of the router");
        }
        let problem = validator(&json!({ "$ref": "#/components/schemas/Problem" }));
        Self { paths, problem }
    }
}

/// Returns the texts between backticks.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Changes the schemas so that a JSON member that the document does not declare is an error. If a
/// schema is a part of another schema, it is copied into that schema first, because the part alone
/// cannot forbid other members.
fn refuse_undeclared_members(schemas: &mut Value) {
    let whole = schemas.clone();
    for schema in schemas.as_object_mut().expect("schemas").values_mut() {
        let parts = schema.get_mut("allOf").and_then(Value::as_array_mut);
        for part in parts.into_iter().flatten() {
            if let Some(name) = part["$ref"].as_str().and_then(|it| it.rsplit('/').next()) {
                *part = whole[name].clone();
            }
        }
        close(schema);
    }
}

fn close(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    if object.contains_key("allOf") {
        object.insert("unevaluatedProperties".to_owned(), json!(false));
        return;
    }
    if let Some(members) = object.get_mut("properties").and_then(Value::as_object_mut) {
        members.values_mut().for_each(close);
        object.insert("additionalProperties".to_owned(), json!(false));
    }
    if let Some(items) = object.get_mut("items") {
        close(items);
    }
}

/// Fails the test if a response differs from its declaration.
#[track_caller]
pub fn check(method: &Method, path: &str, answer: &Answer) {
    let path = path.split('?').next().unwrap_or_default();
    let Ok(found) = DOCUMENT.paths.at(path) else { return };
    let is_head = *method == Method::HEAD;
    let name = if is_head { "GET" } else { method.as_str() };
    let Some(operation) = found.value.get(name) else { return };
    let content = answer.header("content-type").unwrap_or_default();
    let what = format!("{name} {path} ({})", operation.id);
    if is_head && answer.status == METHOD_NOT_ALLOWED {
        return;
    }
    let Some(declared) = operation.responses.get(&answer.status) else {
        panic!("{what} does not declare {}: {}", answer.status, answer.text());
    };
    if is_head {
        return;
    }
    if answer.status >= 400 {
        assert_eq!(content, "application/problem+json", "{what}: {}", answer.text());
        let problem = answer.json();
        hold(&DOCUMENT.problem, &problem, &what);
        let code = problem["code"].as_str().unwrap_or_default();
        assert!(declared.codes.contains(code), "{what} does not declare `{code}`: {problem}");
        let is_in_clear = answer.text().contains("was sent over plain http");
        record(&operation.id, if is_in_clear { "plain-http" } else { code });
    } else if let Some(schema) = &declared.schema {
        assert_eq!(content, "application/json", "{what}: {}", answer.text());
        hold(schema, &answer.json(), &what);
    } else {
        assert!(answer.body.is_empty(), "{what} declares no body: {}", answer.text());
    }
}

#[track_caller]
fn hold(schema: &Validator, value: &Value, what: &str) {
    let errors: Vec<String> = schema.iter_errors(value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{what} is not as declared: {errors:?}: {value}");
}

fn record(operation: &str, code: &str) {
    let Some(file) = servers::seen_codes() else { return };
    let pair = (operation.to_owned(), code.to_owned());
    if SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert(pair) {
        let mut file = OpenOptions::new().create(true).append(true).open(file).expect("the file");
        file.write_all(format!("{operation} {code}\n").as_bytes()).expect("written");
    }
}

/// Returns every operation of the document as its method and its path. In the path, `x` stands for
/// each parameter.
pub fn operations() -> Vec<(Method, String)> {
    let document = latchkey::http::openapi::document("http://localhost");
    let paths = document["paths"].as_object().expect("paths").iter();
    let of = |(path, item): (&String, &Value)| {
        let path = path.split('{').map(|part| part.split_once('}').map_or(part, |(_, rest)| rest));
        let path = path.collect::<Vec<_>>().join("x");
        let methods = item.as_object().expect("operations").keys();
        let method = |name: &String| name.to_uppercase().parse().expect("a method");
        methods.map(|name| (method(name), path.clone())).collect::<Vec<_>>()
    };
    paths.flat_map(of).collect()
}
