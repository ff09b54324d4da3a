//! The route table, with one row for each endpoint.
//!
//! A row says which requests the endpoint takes, which callers it allows, and how it describes
//! itself for `/openapi.json`. The router uses the table to respond with 404 or 405, to set
//! `Allow`, and to respond to OPTIONS.

use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper::Method;

use super::answer::Answer;
use super::member::Member;
use super::openapi::Operation;
use super::request::Request;
use super::{api, pages};
use crate::app::App;
use crate::mail::Mailbox;
use crate::problem::Problem;
use crate::session::{FreshProof, Principal};
use crate::team::Permission;

/// The response has to be ready within this time after the request has arrived.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The response to a long-poll of the built-in mailbox has to be ready within this time. A
/// long-poll waits for a mail for 30 s at most.
const POLL_WITHIN: Duration = Duration::from_secs(35);

/// The future of a handler.
pub type Handling<'a> = BoxFuture<'a, Result<Answer, Problem>>;

/// A handler. The variant says which callers it allows.
#[derive(Clone, Copy)]
pub enum Handler {
    /// Any client.
    Open(for<'a> fn(&'a App, &'a mut Request) -> Handling<'a>),
    /// A caller with a valid userToken.
    User(for<'a> fn(&'a App, &'a mut Request, Principal) -> Handling<'a>),
    /// A caller with a valid userToken and a verified email address.
    Verified(for<'a> fn(&'a App, &'a mut Request, Principal) -> Handling<'a>),
    /// A member of the team `{tid}` with this permission.
    Team(Permission, for<'a> fn(&'a App, &'a mut Request, Member) -> Handling<'a>),
    /// A client on this machine with the key of the built-in mailbox.
    Mailbox(for<'a> fn(&'a Mailbox, &'a mut Request) -> Handling<'a>),
}

/// The property that distinguishes a route from a plain read or write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    Plain,
    /// A GET that changes state. It allows no HEAD and no prefetch.
    ChangesState,
    /// A GET that changes state and is mailed as a link. A browser that opens the link is
    /// redirected to the page of the link.
    MailedLink,
    /// A request that may wait for an event.
    LongPoll,
    /// A refresh of tokens. Refreshes have their own permits.
    Refresh,
    /// A write of a logged-in user that does not count against the account's budget of writes. It
    /// has its own budget, or it must never be refused.
    OwnBudget,
    /// A request that a server sends for many clients. It is not counted against the server's IP
    /// address. The module of the endpoint says why.
    Server,
}

/// One row of the route table.
#[derive(Clone, Copy)]
pub struct Route {
    /// The method of the route. A GET route also takes HEAD, unless it changes state.
    pub method: RouteMethod,
    /// The path in the syntax of matchit and OpenAPI. It is also `http.route` in spans and metrics.
    pub path: &'static str,
    pub handler: Handler,
    pub kind: RouteKind,
    /// The fresh proof that the action needs. None if it needs none, or if only some of its
    /// requests need one.
    pub proof: Option<FreshProof>,
    /// The description of the endpoint. It is none if the route is not part of the API.
    pub operation: Option<fn() -> Operation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteMethod {
    Get,
    Post,
    Patch,
    Delete,
    /// The route takes every method that a proxy forwards, because the method has no meaning for
    /// the route. A proxy does not forward CONNECT, because CONNECT opens a tunnel (RFC 9110
    /// §9.3.6). A proxy does not forward TRACE, because the response would reveal the headers that
    /// the proxy adds (RFC 9110 §9.3.8). PRI is reserved for HTTP/2 (RFC 9113 §11.6).
    Any,
}

impl RouteMethod {
    /// The method as it is written in the request line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Any => "*",
        }
    }
}

/// The paths of all routes, as in `http.route`.
pub fn paths() -> Vec<&'static str> {
    let mut paths: Vec<_> = ROUTES.iter().map(|route| route.path).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

impl Route {
    /// The response has to be ready within this time.
    pub fn answer_within(&self) -> Duration {
        if self.kind == RouteKind::LongPoll { POLL_WITHIN } else { ANSWER_WITHIN }
    }

    /// Whether the route takes a request with this method.
    pub(super) fn takes(&self, method: &Method) -> bool {
        let head = *method == Method::HEAD
            && self.method == RouteMethod::Get
            && matches!(self.kind, RouteKind::Plain | RouteKind::LongPoll | RouteKind::Server);
        let any = self.method == RouteMethod::Any
            && !matches!(method.as_str(), "CONNECT" | "TRACE" | "PRI");
        head || any || method.as_str() == self.method.name()
    }

    /// Whether a request counts against the account's budget of writes.
    pub fn is_account_write(&self) -> bool {
        let is_signed_in =
            matches!(self.handler, Handler::User(_) | Handler::Verified(_) | Handler::Team(..));
        is_signed_in && self.method != RouteMethod::Get && self.kind != RouteKind::OwnBudget
    }

    /// Whether the handler reads a body. The description of the endpoint says this. A route without
    /// a description reads a body if its method is POST, because the forms of the pages are sent by
    /// POST.
    pub(super) fn reads_body(&self) -> bool {
        self.operation
            .map_or(self.method == RouteMethod::Post, |operation| operation().takes_body())
    }
}

macro_rules! route {
    ($method:ident $path:literal open $($module:ident)::+ $(, $kind:ident)? $(; $proof:ident)?) => {
        Route {
            method: RouteMethod::$method,
            path: $path,
            handler: Handler::Open(|app, request| Box::pin($($module)::+::handle(app, request))),
            kind: route!(@kind $($kind)?),
            proof: route!(@proof $($proof)?),
            operation: Some($($module)::+::operation),
        }
    };
    ($method:ident $path:literal user $($module:ident)::+ $(, $kind:ident)? $(; $proof:ident)?) => {
        Route {
            method: RouteMethod::$method,
            path: $path,
            handler: Handler::User(|app, request, caller| Box::pin($($module)::+::handle(app, request, caller))),
            kind: route!(@kind $($kind)?),
            proof: route!(@proof $($proof)?),
            operation: Some($($module)::+::operation),
        }
    };
    ($method:ident $path:literal verified $($module:ident)::+ $(, $kind:ident)? $(; $proof:ident)?) => {
        Route {
            method: RouteMethod::$method,
            path: $path,
            handler: Handler::Verified(|app, request, caller| Box::pin($($module)::+::handle(app, request, caller))),
            kind: route!(@kind $($kind)?),
            proof: route!(@proof $($proof)?),
            operation: Some($($module)::+::operation),
        }
    };
    ($method:ident $path:literal team $permission:ident $($module:ident)::+ $(, $kind:ident)? $(; $proof:ident)?) => {
        Route {
            method: RouteMethod::$method,
            path: $path,
            handler: Handler::Team(
                Permission::$permission,
                |app, request, member| Box::pin($($module)::+::handle(app, request, member)),
            ),
            kind: route!(@kind $($kind)?),
            proof: route!(@proof $($proof)?),
            operation: Some($($module)::+::operation),
        }
    };
    ($method:ident $path:literal page $handle:path $(, $kind:ident)? $(; $proof:ident)?) => {
        Route {
            method: RouteMethod::$method,
            path: $path,
            handler: Handler::Open(|app, request| Box::pin($handle(app, request))),
            kind: route!(@kind $($kind)?),
            proof: route!(@proof $($proof)?),
            operation: None,
        }
    };
    ($method:ident $path:literal mailbox $handle:path $(, $kind:ident)? $(; $proof:ident)?) => {
        Route {
            method: RouteMethod::$method,
            path: $path,
            handler: Handler::Mailbox(|mailbox, request| Box::pin($handle(mailbox, request))),
            kind: route!(@kind $($kind)?),
            proof: route!(@proof $($proof)?),
            operation: None,
        }
    };
    (@kind) => { RouteKind::Plain };
    (@kind $kind:ident) => { RouteKind::$kind };
    (@proof) => { None };
    (@proof $proof:ident) => { Some(FreshProof::$proof) };
}

pub const ROUTES: &[Route] = &[
    route!(Post "/api/login" open api::session::login),
    route!(Post "/api/register" open api::account::register),
    route!(Get "/api/verify-email/{token}" open api::email::verify, MailedLink),
    route!(Get "/api/resend-email-verification" user api::email::resend, ChangesState),
    route!(Get "/api/refresh" open api::session::refresh, Refresh),
    route!(Post "/api/forgot-passsword" open api::password::forgot),
    route!(Post "/api/forgot-password" open api::password::forgot),
    route!(Post "/api/reset-passsword" open api::password::reset),
    route!(Post "/api/reset-password" open api::password::reset),
    route!(Get "/api/exist-email/{email}" open api::email::exist),
    route!(Post "/api/logout" open api::session::logout),
    route!(Get "/api/sessions" user api::session::list),
    route!(Delete "/api/sessions" user api::session::revoke_others),
    route!(Delete "/api/sessions/{sid}" user api::session::revoke),
    route!(Get "/api/me" user api::account::show),
    route!(Get "/api/me/events" user api::account::events),
    route!(Patch "/api/me" user api::account::rename),
    route!(Delete "/api/me" user api::account::delete, OwnBudget; SecondFactor),
    route!(Post "/api/change-password" user api::password::change, OwnBudget; SecondFactor),
    route!(Post "/api/change-email" user api::email::change, OwnBudget; SecondFactor),
    route!(Post "/api/login/factor" open api::session::login_factor),
    route!(Post "/api/login/passkey/options" open api::session::login_passkey_options),
    route!(Post "/api/login/passkey" open api::session::login_passkey),
    route!(Post "/api/step-up" user api::session::step_up, OwnBudget),
    route!(Post "/api/step-up/options" user api::session::step_up_options, OwnBudget),
    route!(Get "/api/me/factors" user api::factor::list),
    route!(Post "/api/me/factors/totp" verified api::factor::add_totp; Password),
    route!(Post "/api/me/factors/{id}/confirm" verified api::factor::confirm),
    route!(Patch "/api/me/factors/{id}" verified api::factor::rename),
    route!(Delete "/api/me/factors/{id}" verified api::factor::remove; SecondFactor),
    route!(Post "/api/me/passkeys/options" verified api::passkey::begin; Password),
    route!(Post "/api/me/passkeys" verified api::passkey::add),
    route!(Post "/api/me/recovery-codes" verified api::factor::recovery_codes; SecondFactor),
    route!(Post "/api/token" open api::oauth::token),
    route!(Post "/api/introspect" open api::oauth::introspect, Server),
    route!(Post "/api/revoke" open api::oauth::revoke),
    route!(Get "/api/forward-auth" open api::session::forward_auth, Server),
    route!(Any "/api/forward-auth/" page api::session::forward_auth::handle_any, Server),
    route!(Any "/api/forward-auth/{*path}" page api::session::forward_auth::handle_any, Server),
    route!(Get "/api/captcha" open api::meta::captcha),
    route!(Get "/api/teams" verified api::team::list),
    route!(Post "/api/teams" verified api::team::create),
    route!(Get "/api/teams/{tid}" team SeeTeam api::team::show),
    route!(Patch "/api/teams/{tid}" team ManageTeam api::team::update),
    route!(Delete "/api/teams/{tid}" team DeleteTeam api::team::delete; Any),
    route!(Post "/api/teams/{tid}/switch" team UseTeam api::team::switch),
    route!(Get "/api/teams/{tid}/projects" team ReadTeam api::project::list),
    route!(Post "/api/teams/{tid}/projects" team ManageProjects api::project::create),
    route!(Get "/api/teams/{tid}/projects/{pid}" team ReadTeam api::project::show),
    route!(Patch "/api/teams/{tid}/projects/{pid}" team ManageProjects api::project::update),
    route!(Delete "/api/teams/{tid}/projects/{pid}" team ManageProjects api::project::delete),
    route!(Get "/api/teams/{tid}/projects/{pid}/keys" team ManageKeys api::key::list),
    route!(Post "/api/teams/{tid}/projects/{pid}/keys" team ManageKeys api::key::create; Any),
    route!(Delete "/api/teams/{tid}/projects/{pid}/keys/{kid}" team ManageKeys api::key::revoke),
    route!(Get "/api/teams/{tid}/invitations" team ManageInvitations api::invitation::list),
    route!(Post "/api/teams/{tid}/invitations" team ManageInvitations api::invitation::create),
    route!(Post "/api/teams/{tid}/invitations/{iid}/resend" team ManageInvitations api::invitation::resend),
    route!(Delete "/api/teams/{tid}/invitations/{iid}" team ManageInvitations api::invitation::revoke),
    route!(Post "/api/invitations/accept" verified api::invitation::accept),
    route!(Get "/api/me/invitations" verified api::invitation::mine),
    route!(Post "/api/me/invitations/{iid}/accept" verified api::invitation::join),
    route!(Delete "/api/me/invitations/{iid}" verified api::invitation::decline),
    route!(Get "/api/teams/{tid}/members" team ReadTeam api::member::list),
    route!(Patch "/api/teams/{tid}/members/{userId}" team ManageMembers api::member::change),
    route!(Delete "/api/teams/{tid}/members/{userId}" team LeaveTeam api::member::remove),
    route!(Get "/.well-known/jwks.json" open api::meta::jwks),
    route!(Get "/.well-known/openid-configuration" open api::meta::discovery),
    route!(Get "/.well-known/webauthn" open api::meta::webauthn),
    route!(Get "/openapi.json" open api::meta::document),
    route!(Get "/" page pages::site::index),
    route!(Get "/docs" page pages::site::docs),
    route!(Get "/problems" page pages::site::problems),
    route!(Get "/problems/{code}" page pages::site::problem),
    route!(Get "/assets/{name}" page pages::site::asset),
    route!(Get "/verify-email" page pages::verify_email::show),
    route!(Post "/verify-email" page pages::verify_email::submit),
    route!(Get "/reset-password" page pages::reset_password::show),
    route!(Post "/reset-password" page pages::reset_password::submit),
    route!(Get "/undo-email-change" page pages::undo_email_change::show),
    route!(Post "/undo-email-change" page pages::undo_email_change::submit),
    route!(Get "/undo-factor" page pages::undo_factor::show),
    route!(Post "/undo-factor" page pages::undo_factor::submit),
    route!(Get "/invitation" page pages::invitation::show),
    route!(Post "/invitation" page pages::invitation::submit),
    route!(Get "/dev/mailbox" mailbox pages::dev_mailbox::list),
    route!(Get "/dev/mailbox/messages" mailbox pages::dev_mailbox::messages, LongPoll),
    route!(Delete "/dev/mailbox/messages" mailbox pages::dev_mailbox::clear),
    route!(Get "/dev/mailbox/{id}" mailbox pages::dev_mailbox::show),
    route!(Get "/dev/mailbox/{id}/html" mailbox pages::dev_mailbox::html),
];
