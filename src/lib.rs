//! latchkey: a self-hosted, multi-tenant auth daemon. This page is the map.
//!
//! # Folders, in the order in which they build on each other
//!
//! A folder imports only folders above it in this table; `tests/api/architecture/` names the line that breaks the order.
//!
//! | folder | what it contains |
//! |---|---|
//! | [`clock`], [`client_key`], [`secret`] | time; what limits count a client by; typed secrets, randomness, sealing under the master key |
//! | [`problem`], [`exit`], [`health`] | error codes of the API and [`problem::Unavailable`]; exit codes; whether the stores take writes |
//! | [`config`] | settings: where they come from, their rules, their documentation |
//! | [`telemetry`], [`actor`] | log, metrics, traces; supervised worker pools and tasks |
//! | [`database`] | SQLite or PostgreSQL: connections, transactions, tenant scope |
//! | [`egress`] | outgoing HTTP |
//! | [`store`] | sessions, one-time tokens and shared budgets: Redis, or an embedded twin |
//! | [`audit`] | the tamper-evident log of who did what; [`audit::ChangeContext`] |
//! | [`mail`] | outbox, rendering, delivery |
//! | [`token`], [`password`], [`captcha`] | signing keys and JWTs; hashing; captcha vendors |
//! | [`admission`] | rate limits, budgets, login back-off |
//! | [`user`], [`team`] | the table of users; teams, memberships, invitations, projects, keys |
//! | [`session`] | opening, rotating and ending sessions; the check of a token |
//! | [`account`] | use cases: register, log in, verify, recover, change, delete |
//! | [`app`], [`http`] | what a request may use; the listener, the route table, endpoints and pages |
//! | [`daemon`], [`cli`] | connects, builds, supervises and drains; the command line |
//!
//! The schema is in the crate `latchkey-migration`, the tables in `latchkey-entity`.
//!
//! # A request
//!
//! `http::server` accepts → `http::dispatch` creates span and context, reads the body, takes a permit, checks the token →
//! one file of `http::api` or `http::pages` parses and calls one service → `http::dispatch` turns the result or the
//! [`problem::Problem`] into a response, measures it and logs it, once. `docs/develop.md` follows one login and one mail through
//! the files.
//!
//! # Rules
//!
//! - A change is one transaction with its audit event and its mails, in a service, run by a worker.
//! - Atomic steps belong to the stores: one SQL statement or transaction, or one script. See [`store`], [`account`].
//! - What must outlive a lost Redis is in SQL: endings of sessions, and the epoch. See [`session`].
//! - Nothing that must not be lost waits in memory: a mail is a row first. See [`mail`].
//! - In doubt, 503: [`problem::Unavailable`] never becomes a 401.

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
