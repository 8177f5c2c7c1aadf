//! Hooks around an activation. Implement the trait and name the hook in [`grain!`](crate::grain).

use crate::bindings::{lifecycle, migration};

pub use crate::bindings::lifecycle::exports::granary::grain::lifecycle::{
    ActivateReason, DeactivateReason,
};

/// Code that runs before the first message of an activation and after its last.
///
/// ```
/// use granary_sdk::hooks::{ActivateReason, Lifecycle};
///
/// struct Session;
///
/// impl Lifecycle for Session {
///     fn activate(reason: ActivateReason) -> Result<(), String> {
///         println!("awake: {reason:?}"); // goes to the grain's log
///         Ok(())
///     }
/// }
/// ```
pub trait Lifecycle {
    /// Runs as a turn before the first message: it may read and write state. An error refuses that message; the next one
    /// tries again.
    fn activate(_reason: ActivateReason) -> Result<(), String> {
        Ok(())
    }

    /// Runs as a turn after the last message: what it writes is committed. Do not rely on it: after a trap, or when a node
    /// loses power, nothing is called.
    fn deactivate(_reason: DeactivateReason) {}
}

/// Code that takes over state which another revision wrote.
pub trait Migration {
    /// Runs once for each grain, as a turn of its own, before the first message reaches the new code. An error or a trap leaves
    /// the state untouched, keeps the grain on its old revision and halts the rollout.
    fn migrate(from_revision: u64) -> Result<(), String>;
}

impl<T: Lifecycle> lifecycle::exports::granary::grain::lifecycle::Guest for T {
    fn activate(reason: ActivateReason) -> Result<(), String> {
        T::activate(reason)
    }

    fn deactivate(reason: DeactivateReason) {
        T::deactivate(reason);
    }
}

impl<T: Migration> migration::exports::granary::grain::migration::Guest for T {
    fn migrate(from_revision: u64) -> Result<(), String> {
        T::migrate(from_revision)
    }
}

/// Makes a type the component's grain: exports the interface of its own world, and the hooks that are named.
///
/// Call it beside `wit_bindgen::generate!`, or name the module that holds it: `grain!(Counter in bindings)`. Of a type with
/// [`#[interface]`](macro@crate::interface), it exports what was derived; call it in the same module.
///
/// ```ignore
/// wit_bindgen::generate!({ path: "wit", world: "grain" });
/// granary_sdk::grain!(Counter, lifecycle, migration);
/// ```
#[macro_export]
macro_rules! grain {
    ($grain:ident $(, $hook:ident)* $(,)?) => { $crate::grain!($grain in self $(, $hook)*); };
    ($grain:ident in self $(, $hook:ident)* $(,)?) => {
        export!($grain);
        $($crate::grain!(@$hook $grain);)*
    };
    ($grain:ident in $bindings:ident $(, $hook:ident)* $(,)?) => {
        $bindings::export!($grain with_types_in $bindings);
        $($crate::grain!(@$hook $grain);)*
    };
    (@lifecycle $grain:ident) => {
        $crate::bindings::lifecycle::export_lifecycle!($grain with_types_in $crate::bindings::lifecycle);
    };
    (@migration $grain:ident) => {
        $crate::bindings::migration::export_migration!($grain with_types_in $crate::bindings::migration);
    };
}
