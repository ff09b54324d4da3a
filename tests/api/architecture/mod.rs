//! The architecture, read off the sources: which crate may be named where, which folder may import which, and that
//! imports run in no large circle.

mod circles;
mod imports;
mod layers;
mod rules;
mod source;
