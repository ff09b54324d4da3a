//! latchkey from outside, over real sockets, on real servers. One binary: `app.rs` is the harness, `client.rs` the
//! callers, and each capability has a module of its own.
mod app;
mod client;
mod faults;
mod http;
mod mime;
mod poll;
mod process;
mod proxy;
mod servers;
mod smtp;
mod store_suite;
mod walls;
