//! The attributes of instruments with their possible values. This module defines the lists of
//! values and the attributes of OpenTelemetry's conventions. Most of latchkey's own attributes are
//! types in `labels.rs`.
//!
//! Every list is closed. If another module owns a list, that module declares the list, and the
//! composition root collects it ([`DeclaredValues`]). A value is never the id of a user, a key or a
//! session, an address, a raw path or the text of an error. The types of the values cannot hold
//! such text.

use crate::problem::Code;

#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    pub key: &'static str,
    pub values: Values,
    /// Whether a series may lack this attribute.
    pub is_optional: bool,
}

/// The possible values of an attribute.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// These words.
    Of(&'static [&'static str]),
    /// These words, and the code of every API error.
    Outcome(&'static [&'static str]),
    /// A list that another module declares, and its description.
    Declared(Declared, &'static str),
    /// An HTTP status.
    Status,
    /// At most this many values, which the operator or the build decides. The text describes them.
    Few(usize, &'static str),
}

/// A list of values that is declared by the module that owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    /// The templates of the routes.
    Routes,
    /// The names of the limits by address.
    AddressPolicies,
    Budgets,
    MailTemplates,
    AuditActions,
}

/// The lists that other modules declare. The composition root collects them. Without these lists an
/// instrument works, but its series do not start at 0.
#[derive(Clone, Debug, Default)]
pub struct DeclaredValues {
    pub routes: Vec<&'static str>,
    pub address_policies: Vec<&'static str>,
    pub budgets: Vec<&'static str>,
    pub mail_templates: Vec<&'static str>,
    pub audit_actions: Vec<&'static str>,
}

impl DeclaredValues {
    fn list(&self, list: Declared) -> &[&'static str] {
        match list {
            Declared::Routes => &self.routes,
            Declared::AddressPolicies => &self.address_policies,
            Declared::Budgets => &self.budgets,
            Declared::MailTemplates => &self.mail_templates,
            Declared::AuditActions => &self.audit_actions,
        }
    }
}

impl Values {
    /// All words, or `None` if they cannot be listed.
    pub fn words(&self, declared: &DeclaredValues) -> Option<Vec<&'static str>> {
        match self {
            Self::Of(words) => Some(words.to_vec()),
            Self::Outcome(words) => {
                Some(words.iter().copied().chain(Code::ALL.iter().map(|it| it.name())).collect())
            }
            Self::Declared(list, _) => Some(declared.list(*list).to_vec()),
            Self::Status | Self::Few(..) => None,
        }
    }

    /// Whether `value` is one of these values.
    pub fn hold(&self, declared: &DeclaredValues, value: &str) -> bool {
        match self {
            Self::Status => value.parse().is_ok_and(|status| (100..600).contains::<u16>(&status)),
            Self::Few(..) => !value.is_empty(),
            _ => self.words(declared).is_some_and(|words| words.contains(&value)),
        }
    }

    /// The values, as Markdown for the documentation.
    pub fn describe(&self) -> String {
        let list = |words: &[&str]| {
            words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Of(words) => list(words),
            Self::Outcome(words) => format!("{}, or an error [code](errors.md)", list(words)),
            Self::Declared(_, what) | Self::Few(_, what) => (*what).to_owned(),
            Self::Status => "an HTTP status".to_owned(),
        }
    }
}

impl Attribute {
    /// The number of values. The absence of an optional attribute counts as one value.
    pub fn count(&self, declared: &DeclaredValues) -> usize {
        let count = match self.values {
            Values::Few(count, _) => count,
            // The statuses that latchkey and the services that it calls usually send. For other
            // statuses the limit of the SDK applies.
            Values::Status => 20,
            _ => self.values.words(declared).map_or(0, |words| words.len()),
        };
        count + usize::from(self.is_optional)
    }
}

const fn needed(key: &'static str, values: Values) -> Attribute {
    Attribute { key, values, is_optional: false }
}

const fn optional(key: &'static str, values: Values) -> Attribute {
    Attribute { key, values, is_optional: true }
}

/// HTTP methods. `_OTHER` stands for every other method (OpenTelemetry's conventions).
const METHODS: &[&str] =
    &["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT", "CONNECT", "TRACE", "_OTHER"];

pub(super) const HTTP_METHOD: Attribute = needed("http.request.method", Values::Of(METHODS));
pub(super) const SCHEME: Attribute = needed("url.scheme", Values::Of(&["http", "https"]));
pub(super) const ROUTE: Attribute = optional(
    "http.route",
    Values::Declared(Declared::Routes, "the template of the route, absent if no route matched"),
);
pub(super) const STATUS: Attribute = needed("http.response.status_code", Values::Status);
/// The status of a response, if the server is at fault.
pub(super) const SERVER_ERROR: Attribute =
    optional("error.type", Values::Of(&["500", "501", "502", "503", "504"]));
pub(super) const PEER: Attribute =
    needed("server.address", Values::Few(4, "a host from your settings"));
pub(super) const PEER_PORT: Attribute =
    needed("server.port", Values::Few(1, "the port of that host"));
pub(super) const CLIENT_STATUS: Attribute = optional("http.response.status_code", Values::Status);
pub(super) const CLIENT_ERROR: Attribute =
    optional("error.type", Values::Of(&["timeout", "connect", "broken", "too_large"]));

pub(super) const SQL_SYSTEM: Attribute =
    needed("db.system.name", Values::Of(&["postgresql", "sqlite"]));
pub(super) const SQL_OPERATION: Attribute = needed("db.operation.name", Values::Of(SQL_OPERATIONS));
/// The first words of SQL statements. `_OTHER` stands for every other word.
pub const SQL_OPERATIONS: &[&str] =
    &["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "BEGIN", "_OTHER"];
pub(super) const REDIS_SYSTEM: Attribute = needed("db.system.name", Values::Of(&["redis"]));
pub(super) const REDIS_OPERATION: Attribute =
    needed("db.operation.name", Values::Of(REDIS_OPERATIONS));
/// The Redis commands that latchkey sends. A script is sent as `EVALSHA`.
pub const REDIS_OPERATIONS: &[&str] =
    &["EVALSHA", "HGETALL", "GET", "SET", "PING", "CONFIG", "_OTHER"];
pub(super) const DB_ERROR: Attribute =
    optional("error.type", Values::Of(&["timeout", "connection", "_OTHER"]));
pub(super) const DB_POOL: Attribute =
    needed("db.client.connection.pool.name", Values::Of(&["database", "reader", "writer"]));
pub(super) const DB_STATE: Attribute =
    needed("db.client.connection.state", Values::Of(&["idle", "used"]));

pub(super) const CPU_MODE: Attribute = needed("cpu.mode", Values::Of(&["user", "system"]));

pub(super) const KEY_KIND: Attribute = needed("kind", Values::Of(&["user", "vault"]));
pub(super) const SIGNAL: Attribute = needed("signal", Values::Of(&["traces", "metrics", "logs"]));
