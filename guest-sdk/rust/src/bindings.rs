//! The only place that generates code from `wit/`: what a grain may import, and a module for each hook that it may export.
//!
//! A component carries of the imports only those that its code uses, and of the hooks only those that it names in
//! [`grain!`](crate::grain).

/// The worlds differ, the way to bind them does not.
macro_rules! bind {
    ($world:literal, $export:literal, $suffix:literal $(, $with:tt)?) => {
        wit_bindgen::generate!({
            path: "wit",
            world: $world,
            additional_derives: [PartialEq, Eq],
            generate_unused_types: true,
            pub_export_macro: true,
            export_macro_name: $export,
            type_section_suffix: $suffix,
            $(with: $with,)?
        });
    };
}

bind!(
    "granary:grain/imports",
    "export_nothing",
    "granary-sdk-imports"
);

/// Bindings of the imports `granary:grain/async-state` and `async-calls`.
#[cfg(feature = "async")]
pub mod asynchronous {
    bind!(
        "granary:grain/async-imports",
        "export_nothing_async",
        "granary-sdk-async",
        {
            "granary:grain/types@0.1.0": crate::bindings::granary::grain::types,
            "granary:grain/context@0.1.0": crate::bindings::granary::grain::context,
            "granary:grain/state@0.1.0": crate::bindings::granary::grain::state,
            "granary:grain/calls@0.1.0": crate::bindings::granary::grain::calls,
            "granary:grain/async-state@0.1.0": generate,
            "granary:grain/async-calls@0.1.0": generate,
        }
    );
}

/// Bindings of the export `granary:grain/lifecycle`.
pub mod lifecycle {
    bind!(
        "granary:grain/with-lifecycle",
        "export_lifecycle",
        "granary-sdk-lifecycle"
    );
}

/// Bindings of the export `granary:grain/migration`.
pub mod migration {
    bind!(
        "granary:grain/with-migration",
        "export_migration",
        "granary-sdk-migration"
    );
}
