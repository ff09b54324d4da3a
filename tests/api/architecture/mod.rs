//! The architecture tests, which read the sources: which crate may be named where, which folder may
//! import which, and that no large circle of imports exists.

mod circles;
mod imports;
mod layers;
mod rules;
mod source;
