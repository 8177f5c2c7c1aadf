//! Code first: an interface that is written in Rust.
//!
//! A grain may be one file of Rust, with no WIT at hand. [`#[interface]`](macro@crate::interface) makes the functions of an `impl` block the
//! component's interface, and [`grain!`](crate::grain) exports it:
//!
//! ```
//! use granary_sdk::state::Value;
//! use granary_sdk::{Record, Variant, interface};
//! use serde::{Deserialize, Serialize};
//!
//! /// One thing to buy.
//! #[derive(Record, Serialize, Deserialize)]
//! pub struct Item {
//!     pub name: String,
//!     /// How many of it.
//!     pub count: u32,
//! }
//!
//! #[derive(Variant)]
//! pub enum Refused {
//!     Full,
//!     /// A name has at most so many letters.
//!     TooLong(u32),
//! }
//!
//! const ITEMS: Value<Vec<Item>> = Value::at("items");
//!
//! struct List;
//!
//! /// A shopping list.
//! #[interface]
//! impl List {
//!     /// Adds an item, and answers how many there are.
//!     fn add(item: Item) -> Result<u32, Refused> {
//!         let mut items = Self::items();
//!         if 100 <= items.len() {
//!             return Err(Refused::Full);
//!         }
//!         if 50 < item.name.len() {
//!             return Err(Refused::TooLong(50));
//!         }
//!         items.push(item);
//!         ITEMS.set(&items).expect("the state has room for a list");
//!         Ok(items.len() as u32)
//!     }
//!
//!     fn items() -> Vec<Item> {
//!         ITEMS.get().expect("the state is readable").unwrap_or_default()
//!     }
//! }
//!
//! granary_sdk::grain!(List);
//! # use granary_sdk::wit::Described;
//! # fn main() { assert_eq!(List::INTERFACE.functions.len(), 2); }
//! ```
//!
//! With `build = "."` in `granary.toml`, `granary build` makes a component of it, and `cargo build --release --target wasm32-wasip2`
//! does, too. Nothing of the host can tell it from one that was written WIT first. `granary wit show` prints what was derived:
//!
//! ```wit
//! package app:list@0.1.0 {
//!   /// A shopping list.
//!   interface %list {
//!     /// One thing to buy.
//!     record item {
//!       name: string,
//!       /// How many of it.
//!       count: u32,
//!     }
//!
//!     variant refused {
//!       full,
//!       /// A name has at most so many letters.
//!       too-long(u32),
//!     }
//!
//!     /// Adds an item, and answers how many there are.
//!     add: func(item: item) -> result<u32, refused>;
//!
//!     items: func() -> list<item>;
//!   }
//! }
//! ```
//!
//! # From Rust to WIT
//!
//! | Rust | WIT |
//! |---|---|
//! | `bool`, `char`, `String`, `f32`, `f64` | `bool`, `char`, `string`, `f32`, `f64` |
//! | `u8` to `u64`, `i8` to `i64` | `u8` to `u64`, `s8` to `s64` |
//! | `Vec<T>`, `Option<T>`, `(A, B)` | `list<t>`, `option<t>`, `tuple<a, b>` |
//! | `Result<T, E>`, `Result<(), E>`, `Result<T, ()>` | `result<t, e>`, `result<_, e>`, `result<t>` |
//! | a struct that derives [`Record`](crate::Record) | `record` |
//! | an enum that derives [`Variant`](crate::Variant) | `variant`, or `enum` if no case has a payload |
//! | a struct of bools that derives [`Flags`](crate::Flags) | `flags` |
//! | `fn`, `async fn` | `func`, `async func` |
//! | [`Stream<T>`], `Result<Stream<T>, E>` as the answer of an `async fn` | `stream<t>`, `result<stream<t>, e>` |
//! | `///` | the doc comments of OpenAPI and of `granary wit show` |
//!
//! Names change their form: `look_around` and `LookAround` are `look-around`. A type may be in any module or crate, and an alias means
//! what it means in Rust. Values come and go whole: there are no references, and what is generic in Rust is written out.
//!
//! A type that has no place in an interface is an error where it stands:
//!
//! ```compile_fail,E0277
//! pub struct Plain {
//!     name: String,
//! }
//! struct List;
//! #[granary_sdk::interface]
//! impl List {
//!     // `Plain` has no WIT type, so it cannot stand in a grain's interface
//!     fn add(item: Plain) {}
//! }
//! # fn main() {}
//! ```
//!
//! An interface has one space of names for its types and functions, so two types of one name are an error, and so is a function that
//! is called like a type:
//!
//! ```compile_fail,E0080
//! mod a {
//!     #[derive(granary_sdk::Variant)]
//!     pub enum Color { Red }
//! }
//! mod b {
//!     #[derive(granary_sdk::Variant)]
//!     pub enum Color { Blue }
//! }
//! struct List;
//! #[granary_sdk::interface]
//! impl List {
//!     // two types are called `color` in WIT: a::Color and b::Color; rename one
//!     fn mix(first: a::Color, second: b::Color) {}
//! }
//! # fn main() {}
//! ```
//!
//! # Hooks, and more than one interface
//!
//! Hooks are those of every Rust grain: implement [`Lifecycle`](crate::hooks::Lifecycle) or
//! [`Migration`](crate::hooks::Migration), and name them, `grain!(List, lifecycle, migration)`. A second interface of a component is a
//! second struct in a module of its own, with the same package and its own `#[interface]` and `grain!`.
//!
//! # When WIT first is right
//!
//! An interface that several languages implement, or that other people agree on, is better written down once, in WIT. And WIT says some
//! things that Rust here does not: resources, streams as parameters, types that one interface uses of another.
//!
//! # How it works
//!
//! WIT is derived by the compiler's own means. Each type that may stand in an interface implements [`WitType`], whose constant describes
//! it; that is why modules, aliases and other crates need no special word. `#[interface]` puts the descriptions of its functions
//! together, and constant functions write the result as the component type that the linker expects. Nothing of the descriptions is left
//! in the component but that type, and the doc comments in a custom section. Values pass by the component model's canonical ABI, as with
//! generated bindings.

pub use describe::{Function, Interface, Item, Kind, Named, Type};
pub use stream::{Closed, Items, Stream};
pub use values::{Payload, WitType};

mod describe;

mod layout;

mod values;

mod stream;

mod encode;

mod comments;

/// For the code that the macros write, and for nothing else.
#[doc(hidden)]
pub mod glue;

/// A type whose functions are an interface. `#[interface]` implements it.
pub trait Described {
    /// The interface's package, name and functions.
    const INTERFACE: Interface;

    /// A world that exports it, as the component type that linkers expect in a `component-type` section.
    const COMPONENT_TYPE: &'static [u8];

    /// Its doc comments, as the host reads them: a version byte, and the JSON of wit-component's `package-docs`.
    const COMMENTS: &'static [u8];
}
