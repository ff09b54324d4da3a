//! latchkey: a self-hosted, multi-tenant auth daemon. This page describes the layout of the source
//! code.
//!
//! # Folders, in the order in which they build on each other
//!
//! A folder imports only folders above it in this table. The tests in `tests/api/architecture/`
//! name each line that breaks this order.
//!
//! | folder | what it contains |
//! |---|---|
//! | [`clock`], [`client_key`], [`secret`] | time; what limits count a client by; typed secrets, randomness, sealing under the master key |
//! | [`problem`], [`exit`], [`health`] | error codes of the API and [`problem::Unavailable`]; exit codes; whether the stores take writes |
//! | [`config`] | settings: where they come from, their rules, their documentation |
//! | [`telemetry`], [`actor`] | log, metrics, traces; supervised worker pools and tasks |
//! | [`database`] | SQLite or PostgreSQL: connections, transactions, tenant scope |
//! | [`egress`] | outgoing HTTP |
//! | [`store`] | sessions, one-time tokens and shared budgets: in Redis, or in an embedded store |
//! | [`audit`] | the tamper-evident log of each action and its actor; [`audit::ChangeContext`] |
//! | [`mail`] | outbox, rendering, delivery |
//! | [`token`], [`password`], [`captcha`] | signing keys and JWTs; hashing; captcha vendors |
//! | [`admission`] | rate limits, budgets, login back-off |
//! | [`user`], [`team`] | the table of users; teams, memberships, invitations, projects, keys |
//! | [`session`] | opening, rotating and ending sessions; the check of a token |
//! | [`account`] | use cases: register, log in, verify, recover, change, delete |
//! | [`app`], [`http`] | the dependencies of a request; the listener, the route table, endpoints and pages |
//! | [`daemon`], [`cli`] | connects, builds, supervises and drains; the command line |
//!
//! The schema is in the crate `latchkey-migration`, the tables are in `latchkey-entity`.
//!
//! # A request
//!
//! 1. `http::server` accepts the connection.
//! 2. `http::dispatch` creates the span and the context, reads the body, takes a permit and checks
//!    the token.
//! 3. One file of `http::api` or `http::pages` parses the request and calls one service.
//! 4. `http::dispatch` turns the result or the [`problem::Problem`] into a response, and measures
//!    and logs it once.
//!
//! `docs/develop.md` follows one login and one mail through the files.
//!
//! # Rules
//!
//! - A change is one transaction with its audit event and its mails. A service contains it, and a
//!   worker runs it.
//! - The stores do each atomic step: one SQL statement, one transaction or one script. See
//!   [`store`], [`account`].
//! - Data that must outlive a lost Redis is in SQL: endings of sessions, and the epoch. See
//!   [`session`].
//! - Work that must not be lost does not wait in memory: a mail is a row first. See [`mail`].
//! - If a dependency fails, the response is 503: [`problem::Unavailable`] never becomes a 401.

pub mod account;
pub mod actor;
pub mod admission;
pub mod app;
pub mod audit;
pub mod captcha;
pub mod cli;
pub mod client_key;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod database;
pub mod egress;
pub mod exit;
pub mod health;
pub mod http;
pub mod mail;
pub mod password;
pub mod problem;
pub mod secret;
pub mod session;
pub mod store;
pub mod team;
pub mod telemetry;
pub mod token;
pub mod user;
