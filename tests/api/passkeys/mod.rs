//! Tests of passkeys (WebAuthn), with an authenticator in software.

mod authenticator;
mod callers;
mod cbor;
mod ceremonies;
mod hostile_logins;
mod hostile_registrations;
mod lifecycle;
mod login;
mod page;
mod registration;
mod second_factor;
mod settings;
mod step_up;
