//! Everything that speaks HTTP.
pub mod pages;
