//! The endpoints: a folder a noun, a file a verb. A file holds request, handler and what the endpoint says of itself.

pub mod account;
pub mod email;
pub mod invitation;
pub mod key;
pub mod member;
pub mod meta;
pub mod oauth;
pub mod password;
pub mod project;
pub mod session;
pub mod team;
