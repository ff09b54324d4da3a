//! The endpoints of the API: one folder for each noun, one file for each verb. A file contains the
//! request type, the handler and the description of the endpoint.

pub mod account;
pub mod email;
pub mod factor;
pub mod invitation;
pub mod key;
pub mod member;
pub mod meta;
pub mod oauth;
pub mod passkey;
pub mod password;
pub mod project;
pub mod session;
pub mod team;
