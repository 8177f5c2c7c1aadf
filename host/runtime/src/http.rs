//! `wasi:http`, both ways: requests that a guest serves, and requests that it makes.

pub(crate) mod addresses;
pub(crate) mod egress;
pub(crate) mod incoming;
pub(crate) mod rules;
