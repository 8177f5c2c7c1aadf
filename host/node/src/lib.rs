//! Wires and drives: store, runtime, kinds, grains, HTTP, command line.
//!
//! Read in this order.

pub mod cli;
pub mod config;
pub mod grains;
pub mod http;
pub mod kinds;
pub mod manifest;
pub mod node;
pub mod observe;
pub mod project;
pub mod sends;
