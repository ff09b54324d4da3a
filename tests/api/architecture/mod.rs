//! The architecture tests, which read the source files. They check which file may name which crate,
//! which folder may import from which folder, and that no large circle of imports exists.

mod circles;
mod imports;
mod layers;
mod rules;
mod source;
