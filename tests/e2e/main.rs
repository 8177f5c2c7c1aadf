//! The whole product from the outside: real `granary` processes on loopback, HTTP and the command line, `kill -9`.
//!
//! Nothing here links the product; what a test knows is what a user sees. Each test has a data directory of its own, each node a free
//! port, and every wait is for a state, with a bound. The guests are built from source once a run.
//!
//! Read in this order.
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail the test")]
#![expect(clippy::panic, reason = "a helper of a test may fail the test")]
#![expect(
    clippy::print_stderr,
    reason = "what a failed test needs to be understood"
)]

mod harness;

mod main_job;

mod exact_integers;
mod languages;
mod sdks;
mod templates;

mod crash;

mod types;

mod code_first;

mod bad_json;
mod bad_manifest;
mod bad_path;
mod bad_upload;

mod activation;
mod async_python;
mod asynchronous;
mod calls;
mod foreign;
mod grants;
mod http_grain;
mod idempotency;
mod limits;
mod reads;
mod revisions;
mod side_by_side;
mod stream_items;
mod streams;
mod typed_calls;

mod access;
mod building;
mod command_line;
mod data_directory;
mod debian;
mod development;
mod downing;
mod languages_cli;
mod observing;
mod own_tests;
mod simulation;
mod slow_client;
mod state_api;
mod uploads;
