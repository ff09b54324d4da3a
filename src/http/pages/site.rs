//! Handlers of the pages that only show information: `/`, `/docs`, `/problems`, `/assets`.

use hyper::StatusCode;
use hyper::header::{self, HeaderValue};

use super::assets::{VERSION, etag};
use super::{ASSETS, Mailbox, Stores, Trials};
use crate::app::{App, Described, Text};
use crate::config::{Config, Profile};
use crate::http::answer::{self, Answer};
use crate::http::mailbox_gate;
use crate::http::openapi;
use crate::http::request::Request;
use crate::problem::{Code, Problem};

/// Caches may store an asset for one year, because the URL of an asset changes when its content
/// changes.
const ASSET_SECONDS: u32 = 31_536_000;

/// `GET /`
pub async fn index(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let mailbox = mailbox(app, request);
    Ok(answer::page(
        StatusCode::OK,
        super::landing(&app.config.public_url, mailbox, Stores::of(&app.config)),
    ))
}

/// Whether the mailbox is served to the client. Only then the page links to it.
fn mailbox(app: &App, request: &Request) -> Mailbox {
    if mailbox_gate::is_served(app, request) { Mailbox::Served } else { Mailbox::Absent }
}

/// Renders the description of the API once. A user can send requests from the page only in
/// development.
pub fn describe(config: &Config) -> Described {
    let document = openapi::document(&config.public_url);
    let trials = match config.profile {
        Profile::Development => Trials::Offered,
        Profile::Production => Trials::Absent,
    };
    let text = |text: String| Text { etag: etag(&text), body: text.into() };
    let reference = |mailbox| text(super::docs(&document, trials, mailbox));
    Described {
        reference: reference(Mailbox::Absent),
        reference_here: (trials == Trials::Offered).then(|| reference(Mailbox::Served)),
        document: text(document.to_string()),
    }
}

/// `GET /docs`
pub async fn docs(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    let described = &app.described;
    let reference = match mailbox(app, request) {
        Mailbox::Served => described.reference_here.as_ref().unwrap_or(&described.reference),
        Mailbox::Absent => &described.reference,
    };
    let mut answer = answer::kept(request, reference, kind);
    answer::as_page(&mut answer);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(answer)
}

/// `GET /problems`
pub async fn problems(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    Ok(answer::page(StatusCode::OK, super::problems(mailbox(app, request))))
}

/// `GET /problems/{code}`
pub async fn problem(app: &App, request: &mut Request) -> Result<Answer, Problem> {
    let code = Code::from_name(&request.param("code")?).ok_or(Code::NotFound)?;
    Ok(answer::page(StatusCode::OK, super::problem(code, mailbox(app, request))))
}

/// `GET /assets/{name}`
pub async fn asset(_: &App, request: &mut Request) -> Result<Answer, Problem> {
    let path = request.uri.path();
    let (_, kind, body) = ASSETS.iter().find(|(name, _, _)| *name == path).ok_or(Code::NotFound)?;
    let answer = answer::with_type(StatusCode::OK, HeaderValue::from_static(kind), *body);
    if request.query("v")?.as_deref() == Some(VERSION) {
        return Ok(answer::cacheable(answer, ASSET_SECONDS));
    }
    let mut answer = answer;
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(answer)
}
