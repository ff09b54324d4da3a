//! `GET /api/forward-auth`: checks the token of a client's request. A proxy calls this endpoint
//! before it forwards the request (nginx `auth_request`, Traefik's ForwardAuth, Envoy's ext_authz).
//!
//! The check is live, like introspection. After a logout, the removal of a member or a revocation,
//! the next request is refused. If a dependency does not respond, the response is a 503, which
//! every proxy treats as a refusal. The requests are not limited by IP address, because a proxy
//! sends them for all of its clients. A forged token costs only one check of a signature.

use hyper::header::{HeaderName, HeaderValue};

use crate::app::App;
use crate::http::answer::{self, Answer};
use crate::http::openapi::{Operation, Tag};
use crate::http::request::Request;
use crate::http::{fresh, limit};
use crate::problem::{Code, Problem};
use crate::session::{Level, Refused};
use crate::telemetry::labels::ForwardAuth;
use crate::telemetry::typed::Outcome;
use crate::token::VaultClaims;

/// The query parameters that narrow the check. Any other parameter is refused, so that a misspelled
/// condition never lets a request through.
const CONDITIONS: [&str; 3] = ["team", "project", "scope"];

/// The `detail` of the problem for every refused token.
const WANTED: &str =
    "Send `Authorization: Bearer <vaultToken>` with a token that is not expired and not revoked.";

pub async fn handle(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let conditions = Conditions::of(request);
    answered(app, request, conditions).await
}

/// The same check for proxies that append the path and the query of the client's request and keep
/// its method (Envoy). The client chose this path and query, so they are not decoded and have no
/// effect on the decision.
pub async fn handle_any(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    answered(app, request, Ok(Conditions::default())).await
}

async fn answered(
    app: &App,
    request: &Request,
    conditions: Result<Conditions, Problem>,
) -> Result<Answer, Problem> {
    let answered =
        answer_for(app, request, conditions).await.map_err(|problem| match problem.code {
            Code::InvalidToken => problem.detail(WANTED),
            _ => problem,
        });
    let failed = answered.as_ref().err().map(|problem| problem.code);
    app.metrics.forward_auths.one(Outcome::of(ForwardAuth::Allowed, failed));
    answered
}

async fn answer_for(
    app: &App,
    request: &Request,
    conditions: Result<Conditions, Problem>,
) -> Result<Answer, Problem> {
    let conditions = conditions?;
    let token = request.bearer()?.ok_or(Code::InvalidToken)?;
    let claims = app.check().vault_claims(token).await?;
    let _pass = limit::permit_of(app, request, &claims).await?;
    match app.check().vault_is_live(&claims).await {
        Err(Refused::FactorRequired(caller)) => {
            return Err(fresh::step_up(app, &caller, Level::Aal2).await);
        }
        checked => checked.map(drop)?,
    }
    if !conditions.hold(&claims) {
        return Err(Problem::new(Code::Forbidden)
            .detail("The token belongs to another team or project, or it does not have all required scopes."));
    }
    let mut answer = answer::empty();
    // All five headers are always set, even if a value is empty. So a proxy that copies them always
    // overwrites values that the client sent.
    let said = [
        ("x-latchkey-subject", Some(claims.sub)),
        ("x-latchkey-team", claims.tid),
        ("x-latchkey-project", claims.pid),
        ("x-latchkey-role", claims.role),
        ("x-latchkey-scope", Some(claims.scope)),
    ];
    for (name, value) in said {
        let value = value.unwrap_or_default();
        answer.headers_mut().insert(HeaderName::from_static(name), clean(&value)?);
    }
    Ok(answer)
}

/// Creates a header value of printable ASCII. Ids, roles and scopes are printable ASCII. The check
/// also covers values that a later release may add.
fn clean(value: &str) -> Result<HeaderValue, Problem> {
    if value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return HeaderValue::from_str(value).map_err(|_| Code::InternalError.into());
    }
    Err(Problem::new(Code::InternalError).because("a claim is not printable ASCII"))
}

/// The conditions that a live token must also fulfill. The configuration of the proxy sets them in
/// the query.
#[derive(Debug, Default, PartialEq, Eq)]
struct Conditions {
    team: Option<String>,
    project: Option<String>,
    scope: Vec<String>,
}

impl Conditions {
    fn of(request: &Request) -> Result<Self, Problem> {
        Self::from(request.query_pairs()?)
    }

    fn from(pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let is_twice = names.windows(2).any(|pair| pair[0] == pair[1]);
        let is_known = names.iter().all(|name| CONDITIONS.contains(name));
        let is_empty = pairs.iter().any(|(_, value)| value.trim().is_empty());
        if is_twice || !is_known || is_empty {
            return Err(Problem::new(Code::MalformedRequest).detail(
                "The query may contain `team`, `project` and `scope`, each once and with a value.",
            ));
        }
        let mut conditions = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "team" => conditions.team = Some(value),
                "project" => conditions.project = Some(value),
                _ => conditions.scope = value.split_whitespace().map(str::to_owned).collect(),
            }
        }
        Ok(conditions)
    }

    fn hold(&self, claims: &VaultClaims) -> bool {
        let is =
            |wanted: &Option<String>, said: &Option<String>| wanted.is_none() || wanted == said;
        let has = |scope: &String| claims.scope.split(' ').any(|said| said == scope);
        is(&self.team, &claims.tid) && is(&self.project, &claims.pid) && self.scope.iter().all(has)
    }
}

pub fn operation() -> Operation {
    Operation::new("forwardAuth", Tag::Meta, "Check a token for a proxy")
        .describes(
            "This endpoint is for nginx `auth_request`, Traefik and Envoy. They send this request \
             before they forward the client's request. If the token is a live vaultToken with a \
             team, the response is a 200 without a body. Its headers are `X-Latchkey-Subject`, `X-Latchkey-Team`, \
             `X-Latchkey-Project`, `X-Latchkey-Role` and `X-Latchkey-Scope`. The query parameters \
             restrict which tokens are accepted. If the team requires a second factor and the session \
             of the token has none, the response is a 401 with the challenge of RFC 9470.",
        )
        .bearer_of("vaultToken")
        .query("team", "Accept only tokens of this team. For another token, the response is a 403.")
        .query("project", "Accept only tokens of this project. For another token, the response is a 403.")
        .query(
            "scope",
            "Accept only tokens with all of these scopes, separated by spaces. For another token, the \
             response is a 403.",
        )
        .gives_empty("The proxy may forward the client's request.")
        .fails(&[Code::InvalidToken, Code::StepUpRequired, Code::Forbidden, Code::MalformedRequest])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(pairs: &[(&str, &str)]) -> Result<Conditions, Problem> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Conditions::from(pairs.iter().map(owned).collect())
    }

    #[test]
    fn a_condition_that_is_misspelt_empty_or_doubled_is_refused() {
        for wrong in [
            &[("teams", "x")][..],
            &[("team", "")],
            &[("scope", " ")],
            &[("team", "a"), ("team", "b")],
            &[("", "x")],
        ] {
            assert!(conditions(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(conditions(&[]).unwrap(), Conditions::default());
        let both = conditions(&[("scope", "a  b"), ("team", "t")]).unwrap();
        assert_eq!(both.scope, ["a", "b"]);
    }

    #[test]
    fn only_printable_ascii_becomes_a_header() {
        assert_eq!(clean("vault:read vault:write").unwrap(), "vault:read vault:write");
        for wrong in ["a\r\nX: y", "é", "\t", "\u{7f}"] {
            assert!(clean(wrong).is_err(), "{wrong:?}");
        }
    }
}
