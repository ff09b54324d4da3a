//! People's accounts: how an address and a name are read.
//!
//! Every endpoint reads an address with [`EmailAddress::parse`] and a name with [`PersonName::parse`] and with nothing
//! else, so that one spelling is one account everywhere. [`Standing`] is what the rows say of a person at this moment; changing them
//! is `registration/`'s; what an operator does to them from the command line is [`operator`] and [`transfer`].

pub mod address;
pub mod operator;
pub mod person_name;
pub mod standing;
pub mod transfer;

pub use address::{AddressError, EmailAddress};
pub use person_name::{NameError, PersonName};
pub use standing::Standing;
