//! latchkey from outside, over real sockets, on real servers. One binary: `app.rs` is the harness, `client.rs` the
//! callers, `ask.rs` what they share, and each capability has a module of its own.
mod app;
mod ask;
mod client;
mod faults;
mod http;
mod login;
mod mime;
mod password;
mod poll;
mod process;
mod proxy;
mod recovery;
mod refresh;
mod registration;
mod rules;
mod servers;
mod sessions;
mod smtp;
mod store_suite;
mod verification;
mod walls;
