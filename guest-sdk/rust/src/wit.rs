//! What [`#[interface]`](macro@crate::interface) and the derives stand on: a description of each type, and how its values pass.
//!
//! WIT is derived by the compiler's own means. Each type that may stand in an interface implements [`WitType`], whose constant describes
//! it; so a name means what it means in Rust, through modules, aliases and other crates. `#[interface]` puts the descriptions of its
//! functions together, and constant functions write the result as the component type that the linker expects. Nothing of the
//! descriptions is left in the component but that type, and the doc comments in a section of their own.
//!
//! Values pass by the component model's canonical ABI, as with generated bindings.

pub use describe::{Function, Interface, Item, Kind, Named, Type};
pub use values::{Payload, WitType};

mod describe;

mod layout;

mod values;

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
