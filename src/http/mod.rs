//! HTTP: the listener, the dispatcher, the endpoints and the pages.
//!
//! A request passes through `server`, `dispatch`, `router` and one file of `api/` or `pages/`. The
//! result returns through `dispatch`, which turns a problem into a response. Only this module uses
//! hyper's server.

mod access;
mod account_error;
pub mod admin;
pub mod answer;
pub mod api;
mod body;
pub mod body_type;
pub mod cors;
mod cross_site;
pub mod cx;
pub mod dispatch;
mod fields;
pub mod form;
mod forwarded;
pub mod fresh;
pub mod front;
pub mod head;
pub mod idle;
pub mod json;
mod lead;
pub mod limit;
pub mod mailbox_gate;
pub mod matching;
pub mod member;
pub mod openapi;
pub mod pages;
pub mod paging;
pub mod request;
pub mod router;
pub mod server;
pub mod sources;
pub mod tls;
mod watch;
