//! latchkey: a self-hosted, multi-tenant auth daemon. This page is the map.
//!
//! # Where things are
//!
//! | room | what lives there |
//! |---|---|
//! | [`cli`] | the command line, a file a command |
//! | [`daemon`] | the composition root: connects, migrates, starts the pools, listens, drains |
//! | [`app`] | [`app::App`]: what an endpoint may touch |
//! | [`http`] | listener, dispatch, route table, endpoints (`api/<noun>/<verb>.rs`), pages |
//! | [`actor`] | bounded pools of supervised workers |
//! | [`account`] | what an address and a name are; what a person is at this moment |
//! | [`password`] | policy, hashing |
//! | [`token`] | signing keys; minting and verifying, pure |
//! | [`session`] | opening, refreshing, ending; the check of a userToken |
//! | [`registration`] | what changes a person: one transaction each |
//! | [`team`] | teams, memberships, roles |
//! | [`audit`] | who did what, when, from where: a chain that shows tampering |
//! | [`captcha`], [`limits`] | what slows strangers down |
//! | [`egress`] | requests that we make of others, bounded |
//! | [`mail`] | outbox, rendering, delivery |
//! | [`store`] | everything with a time to live: Redis, or a table with the same semantics |
//! | [`database`] | SQLite or PostgreSQL; schema in the crate `latchkey-migration`, tables in `latchkey-entity` |
//! | [`health`] | whether each store takes writes, and why not |
//! | [`config`], [`problem`], [`telemetry`], [`clock`], [`secret`] | what everybody stands on |
//!
//! Dependencies run one way: `main → cli → daemon → http → app, rooms → store, database, problem, clock, secret`. Rooms
//! call each other's plain functions only where one transaction demands it. The walls (hyper in `http/` and `egress/`, ractor in
//! `actor/`, redis in `store/redis`, …) are held by `clippy.toml` and `tests/api/architecture/`.
//!
//! # A request
//!
//! `http::server` accepts → `http::dispatch` makes the span and the context, reads the body, takes a place, proves the
//! caller → one file of `http::api` asks the rooms → `dispatch` turns answer or [`problem::Problem`] into a response,
//! measures and logs it, once. Endpoints compose, workers work: only an endpoint asks a pool, no worker asks another.
//!
//! # What is decided where
//!
//! - Atomic steps belong to the stores: one SQL statement or transaction, or one script. See [`store`], [`registration::flow`].
//! - What must outlive a lost Redis is in SQL: endings of sessions, and the epoch. See [`session`].
//! - Nothing that may not be lost waits in memory: mail is a row first. See [`mail`].
//! - In doubt, 503: [`problem::Unavailable`] is the one word for it, and never becomes a 401.

pub mod account;
pub mod actor;
pub mod app;
pub mod audit;
pub mod captcha;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod database;
pub mod egress;
pub mod exit;
pub mod health;
pub mod http;
pub mod limits;
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
