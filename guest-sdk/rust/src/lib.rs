//! What a Rust grain uses of its host: state, calls, context, hooks. All of it is optional: a component that exports its own
//! interface is a grain, without this crate.
//!
//! # From nothing to a grain
//!
//! A grain is a component: a Cargo package of crate type `cdylib`, built by `cargo build --release --target wasm32-wasip2`.
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! granary-sdk = { path = "target/granary/sdk/rust" }
//! wit-bindgen = "=0.61.1"
//!
//! [workspace]
//! exclude = ["target"] # cargo takes what lies below a package for a part of it
//! ```
//!
//! `granary build` leaves this crate there. `granary new NAME --code-first` writes such a project.
//!
//! Its API is an interface in WIT, in `wit/counter.wit`. Each function becomes a method that is called over HTTP with JSON, from
//! the command line, and from other grains. The documentation comments go into the kind's OpenAPI page. What the grain uses of the
//! host need not be named here: it comes with this crate.
//!
//! ```wit
//! package demo:counter@0.1.0;
//!
//! interface counter {
//!   /// Adds `by` to the number and answers the new one.
//!   increment: func(by: u64) -> u64;
//!   get: func() -> u64;
//! }
//!
//! world grain {
//!   export counter;
//! }
//! ```
//!
//! The code implements the trait that `wit_bindgen` makes from it, and [`grain!`] exports it:
//!
//! ```
//! use exports::demo::counter::counter::Guest;
//! use granary_sdk::state::Value;
//!
//! wit_bindgen::generate!({
//! #   inline: "
//! #     package demo:counter@0.1.0;
//! #     interface counter { increment: func(by: u64) -> u64; get: func() -> u64; }
//! #     world grain { export counter; }
//! #   ",
//! #   path: [],
//! #   /*
//!     path: "wit",
//! #   */
//!     world: "grain",
//! });
//!
//! const COUNT: Value<u64> = Value::at("count");
//!
//! struct Counter;
//!
//! impl Guest for Counter {
//!     fn increment(by: u64) -> u64 {
//!         let count = Self::get() + by;
//!         COUNT.set(&count).expect("a number fits into the state");
//!         count
//!     }
//!
//!     fn get() -> u64 {
//!         COUNT.get().expect("the state is readable").unwrap_or(0)
//!     }
//! }
//!
//! granary_sdk::grain!(Counter);
//! # fn main() {}
//! ```
//!
//! `granary.toml` makes a kind of it. `get` is a `read` method: it may not write, and can be called with `GET`.
//!
//! ```toml
//! [kinds.counter]
//! build = "."
//!
//! [kinds.counter.methods.get]
//! mode = "read"
//! ```
//!
//! `granary dev` builds it, runs it, and builds it again when a file changes:
//!
//! ```text
//! $ curl -d 5 localhost:7420/g/counter/visits/increment
//! 5
//! $ curl localhost:7420/g/counter/visits/get
//! 5
//! ```
//!
//! # Code first
//!
//! That was *WIT first*. A grain may as well be one file of Rust, from which the WIT is derived: [`wit`] tells how.
//!
//! ```
//! use granary_sdk::state::Value;
//!
//! const COUNT: Value<u64> = Value::at("count");
//!
//! struct Counter;
//!
//! #[granary_sdk::interface(package = "demo:counter@0.1.0")]
//! impl Counter {
//!     /// Adds `by` to the number and answers the new one.
//!     fn increment(by: u64) -> u64 {
//!         let count = Self::get() + by;
//!         COUNT.set(&count).expect("a number fits into the state");
//!         count
//!     }
//!
//!     fn get() -> u64 {
//!         COUNT.get().expect("the state is readable").unwrap_or(0)
//!     }
//! }
//!
//! granary_sdk::grain!(Counter);
//! # fn main() {}
//! ```
//!
//! # What a turn is
//!
//! One call is one *turn*. A grain has one turn at a time, so plain code without locks is right. What the turn writes to the
//! [`state`] and the messages that it sends with [`Remote::send`](calls::Remote::send) are committed together when it ends, and the
//! answer leaves after that. When it panics, nothing of it is left, and the caller is told. So `expect` is a fair answer to an
//! error that leaves nothing to do.
//!
//! Memory (`static`, `thread_local!`) is the activation's own. It is fast, and gone when the grain goes to rest.
//!
//! `println!` and `eprintln!` go to the grain's log.
//!
//! # Calls, hooks, and what a turn knows
//!
//! - [`calls`]: other grains by name, with typed arguments.
//! - [`context`]: who calls, until when, in which chain.
//! - [`hooks`]: code around an activation, and code that takes over the state of an older revision. Name them in the macro:
//!   `grain!(Counter, lifecycle, migration)`.
//!
//! # The contract's types in an interface of one's own
//!
//! An interface that uses `granary:grain/types`, say to answer a `call-error`, needs the contract's WIT beside its own. `with` makes
//! the generated types those of this crate:
//!
//! ```ignore
//! wit_bindgen::generate!({
//!     path: ["wit/deps/granary-grain", "wit"],
//!     world: "demo:shop/grain", // whose world says: include granary:grain/imports@0.1.0;
//!     with: {
//!         "granary:grain/types@0.1.0": granary_sdk::bindings::granary::grain::types,
//!         "granary:grain/context@0.1.0": granary_sdk::bindings::granary::grain::context,
//!         "granary:grain/state@0.1.0": granary_sdk::bindings::granary::grain::state,
//!         "granary:grain/calls@0.1.0": granary_sdk::bindings::granary::grain::calls,
//!     },
//! });
//! ```
//!
//! # Features
//!
//! - `json` (default): typed state and calls, by serde. Without it there are bytes, and components are about 30 KB smaller.
//! - `async`: calls and state that an `async func` awaits, several at a time: see [`calls`] and [`state`].

pub mod state;

pub mod calls;

pub mod context;

pub mod hooks;

#[expect(
    unsafe_code,
    reason = "values cross the border of a component as addresses"
)]
pub mod wit;

#[doc(inline)]
pub use wit::Stream;

/// Makes the functions of an `impl` block a grain's interface, and derives its WIT: see [`wit`].
///
/// Every function of the block is exported; those that are not to be called from outside stand in another `impl` or beside it.
/// [`grain!`] in the same module exports it.
///
/// The options are `package = "demo:list@1.2.0"` and `name = "list"`. Without them the interface has the name of the type, and the
/// package is `app:NAME@0.1.0`. Callers in other grains see both, so do not change them lightly.
///
/// ```
/// struct Greeter;
///
/// #[granary_sdk::interface(package = "demo:greeter@0.1.0")]
/// impl Greeter {
///     fn greet(name: String) -> String {
///         format!("Hello, {name}!")
///     }
/// }
///
/// granary_sdk::grain!(Greeter);
/// # fn main() {}
/// ```
pub use granary_sdk_macros::interface;

/// Makes a struct with named fields a WIT `record`: see [`wit`].
///
/// ```
/// /// One thing to buy.
/// #[derive(granary_sdk::Record)]
/// pub struct Item {
///     /// What it is called.
///     pub name: String,
///     pub count: Option<u32>,
/// }
/// ```
pub use granary_sdk_macros::Record;

/// Makes an enum a WIT `variant`, or an `enum` if no case has a payload: see [`wit`].
///
/// ```
/// #[derive(granary_sdk::Variant)]
/// pub enum Refused {
///     Full,
///     /// A name has at most so many letters.
///     TooLong(u32),
/// }
/// ```
pub use granary_sdk_macros::Variant;

/// Makes a struct of bools WIT `flags`: see [`wit`].
///
/// ```
/// #[derive(granary_sdk::Flags)]
/// pub struct Rights {
///     pub read: bool,
///     pub write: bool,
/// }
/// ```
pub use granary_sdk_macros::Flags;

#[expect(missing_docs, reason = "generated")]
pub mod bindings;
