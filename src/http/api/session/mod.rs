//! Log in, refresh, log out, and the list of sessions.

pub mod forward_auth;
pub mod list;
pub mod login;
pub mod logout;
pub mod refresh;
pub mod revoke;
pub mod revoke_others;
