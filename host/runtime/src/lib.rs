//! Runs guests: engines, component cache, linking, limits, turns, JSON ↔ WIT.
//!
//! The only crate that names Wasmtime. It knows `wit/` and knows no cluster, no store and no HTTP server: what a guest asks
//! of its node goes through the [`Host`] trait, what a turn wants to leave behind comes back as [`Ended::wishes`].
//!
//! Read in this order.

mod bindings;
mod cache;
pub mod client;
pub mod compare;
pub mod componentize;
mod engine;
mod guest;
pub mod handover;
pub mod host;
mod http;
mod imports;
pub mod instance;
pub mod interface;
pub mod link;
pub mod runtime;
pub mod schema;
pub mod value;
mod wit;
pub mod world;

pub use cache::CacheConfig;
pub use compare::{Change, Comparison, Verdict, compare, compare_client};
pub use componentize::{carries_world, componentize, is_core_module, without_debug};
pub use engine::EngineKind;
pub use engine::capacity::Capacity;
pub use host::{
    BoxFuture, Host, LogLevel, LogStream, OutgoingCall, Payload, StatePage, TurnContext, TurnHead,
};
pub use instance::stream::{StreamFormat, Streaming};
pub use instance::{Answered, Ended, HeldResponse, HttpBody, Instance, Seat, Work};
pub use interface::{
    ClientImport, ClientMethod, ComponentError, Flow, Import, Interface, Method, Param,
};
pub use link::{LinkError, Linked};
pub use runtime::{Component, Runtime, RuntimeConfig, RuntimeError};
pub use schema::{json_schema, openapi};
pub use value::{Arguments, Body, JsonOptions, Results, Typed, ValueError};
pub use world::{World, WorldError};
