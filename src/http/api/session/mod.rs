//! Endpoints for sessions: login, refresh, logout, the list of sessions and forward-auth.

pub mod forward_auth;
pub mod list;
pub mod login;
pub mod login_factor;
pub mod login_passkey;
pub mod login_passkey_options;
pub mod logout;
pub mod refresh;
pub mod revoke;
pub mod revoke_others;
pub mod step_up;
pub mod step_up_options;
