//! latchkey: a self-hosted, multi-tenant auth daemon. This page describes the layout of the source
//! code.
//!
//! # Folders, in the order in which they build on each other
//!
//! A folder imports only folders that are above it in this table. The tests in
//! `tests/api/architecture/` print each line of code that breaks this order.
//!
//! | folder | what it contains |
//! |---|---|
//! | [`clock`], [`client_key`], [`secret`], [`strict_json`], [`authorities`] | the clock; the key by which limits identify a client; secrets as types, random values, encryption with the master key; a strict reader of JSON; the certificate authorities that latchkey trusts |
//! | [`problem`], [`exit`], [`health`] | error codes of the API and [`problem::Unavailable`]; exit codes; the check whether the stores accept writes |
//! | [`config`] | settings: their sources, their rules and their documentation |
//! | [`telemetry`], [`actor`] | log, metrics, traces; supervised worker pools and tasks |
//! | [`database`] | SQLite or PostgreSQL: connections, transactions, tenant scope |
//! | [`egress`] | outgoing HTTP |
//! | [`store`] | sessions, one-time tokens and shared budgets: in Redis, or in an embedded store |
//! | [`audit`] | the tamper-evident log of each action and its actor; [`audit::ChangeContext`] |
//! | [`mail`] | mails: the outbox, the rendering and the delivery |
//! | [`token`], [`password`], [`captcha`] | signing keys and JWTs; hashing of passwords; captcha vendors |
//! | [`admission`] | rate limits, budgets, login back-off |
//! | [`user`], [`team`] | the table of users; teams, memberships, invitations, projects, keys |
//! | [`factor`] | second factors: TOTP, passkeys and recovery codes |
//! | [`session`] | the functions that open, rotate and end sessions; the check of a token |
//! | [`account`] | use cases: register, log in, verify, recover, change, delete |
//! | [`app`], [`http`] | the dependencies of a request; the listener, the route table, endpoints and pages |
//! | [`daemon`], [`cli`] | the daemon: its start, its supervised tasks and its shutdown; the command line |
//!
//! The SQL schema is in the crate `latchkey-migration`. The Rust types of the tables are in the
//! crate `latchkey-entity`.
//!
//! # A request
//!
//! 1. `http::server` accepts the connection.
//! 2. `http::dispatch` creates the span and the context, reads the body, takes a permit and checks
//!    the token.
//! 3. A file in `http::api` or `http::pages` parses the request and calls one service.
//! 4. `http::dispatch` converts the result or the [`problem::Problem`] to a response. It counts the
//!    response in the metrics and writes one log line.
//!
//! `docs/develop.md` follows one login and one mail through the files.
//!
//! # Rules
//!
//! - A change, its audit event and its mails are written in one transaction. The code of the change
//!   is in a service, and a worker runs the transaction.
//! - Each atomic step runs in a store: it is one SQL statement, one SQL transaction or one Redis
//!   script. See [`store`] and [`account`].
//! - Data that is still needed after Redis has lost its data is in the database. This data is the
//!   records of ended sessions, and the epoch of each user. See [`session`].
//! - Work that must not be lost does not wait in memory. For example, a mail is first written to a
//!   table. See [`mail`].
//! - If a dependency fails, the response is 503. [`problem::Unavailable`] never leads to a 401.

pub mod account;
pub mod actor;
pub mod admission;
pub mod app;
pub mod audit;
pub mod authorities;
pub mod captcha;
pub mod cli;
pub mod client_key;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod database;
pub mod egress;
pub mod exit;
pub mod factor;
pub mod health;
pub mod http;
pub mod mail;
pub mod password;
pub mod problem;
pub mod secret;
pub mod session;
pub mod store;
pub mod strict_json;
pub mod team;
pub mod telemetry;
pub mod token;
pub mod user;
