//! HTTP.
pub mod openapi;
