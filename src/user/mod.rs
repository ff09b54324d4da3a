//! Users: the parsers of email addresses and names, and the table `users`.
//!
//! Every endpoint reads an email address with [`EmailAddress::parse`] and a name with
//! [`PersonName::parse`]. So every endpoint finds the same account for an address. Only [`table`]
//! writes rows of `users`.

pub mod address;
pub mod person_name;
pub mod table;

pub use address::{AddressError, EmailAddress};
pub use latchkey_entity::user::{Model as User, UserState};
pub use person_name::{NameError, PersonName};
