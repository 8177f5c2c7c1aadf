//! The interfaces of `torture/wit/torture.wit`, derived from Rust: a component with three of them, a module each.

mod journey;

mod trouble;

mod types;
