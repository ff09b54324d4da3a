//! People's accounts: how an address and a name are read.
//!
//! Every endpoint reads an address with [`EmailAddress::parse`] and a name with [`PersonName::parse`] and with nothing
//! else, so that one spelling is one account everywhere. What is stored of an account is not here.

pub mod address;
pub mod person_name;

pub use address::{AddressError, EmailAddress};
pub use person_name::{NameError, PersonName};
